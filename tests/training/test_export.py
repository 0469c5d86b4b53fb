"""What is exported is the model, to the rounding of its integers."""

import numpy as np
import pytest

from candor.model.interpreter import Signature
from candor.text.features import KINDS
from candor.text.table import Table
from tests import bundles
from training import export


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("labels", [2, 3, 77])
def test_export_equals_quantised_model(bits, labels):
    """The served logits are those of the definition with the exported integers, to 1e-5."""
    model = bundles.additive(KINDS, labels)
    files = model.to_files(bits)
    random = np.random.default_rng(1)
    ids, rows = random.integers(0, len(model.q), 5000), random.integers(0, 40, 5000)
    inputs = {"ids": ids.astype(np.int32), "rows": rows.astype(np.int32), "texts": np.array(42, np.int32)}
    served = Signature(files["model.tflite"])(inputs)["logits"]
    expected = model.in_table_order().quantised(bits).logits(ids, rows, 42)
    assert served.shape == (42, labels)
    assert np.abs(served - expected).max() <= 1e-5
    exact = model.in_table_order().logits(ids, rows, 42)
    assert np.abs(exact - expected).max() <= (1e-3 if bits == 16 else 0.1)


def test_export_rows_are_in_the_order_of_the_table():
    """A hash finds its own weights."""
    model = bundles.additive()
    table = Table.from_bytes(model.to_files(16)["features.bin"])
    served = model.in_table_order()
    assert (served.hashes[table.lookup(model.hashes)] == model.hashes).all()
    assert (served.weights[table.lookup(model.hashes)] == model.weights).all()


def test_export_same_model_gives_same_bytes():
    """Two exports of one model are equal."""
    assert bundles.additive(labels=3).to_files(8) == bundles.additive(labels=3).to_files(8)


def test_export_holds_the_weights_once():
    """Both signatures share one table, so that a weight costs its bits and no more."""
    random = np.random.default_rng(0)
    rows, labels = 20_000, 5
    hashes = random.permutation(1 << 20)[:rows].astype(np.uint32)
    model = export.Additive(hashes, random.normal(size=(rows, labels)), random.random(rows), np.zeros(labels), 1.0)
    assert len(model.to_files(8)["model.tflite"]) < rows * (labels + 2) + 8000


def test_export_sum_that_would_overflow_is_exact():
    """As many features as a text can have, each of the largest weight, still fit the sum."""
    weights = np.array([[1.0], [-1.0]])
    model = export.Additive(np.uint32([1, 2]), weights, np.array([1.0, 0.5]), np.zeros(1), 1.0)
    for bits in (8, 16):
        ids = np.full(export.MAX_FEATURES, model.table.lookup(np.uint32([1]))[0], dtype=np.int32)
        inputs = {"ids": ids, "rows": np.zeros_like(ids), "texts": np.array(1, np.int32)}
        served = Signature(model.to_files(bits)["model.tflite"])(inputs)["logits"][0, 1]
        assert served == pytest.approx(np.sqrt(export.MAX_FEATURES), rel=1e-5)


@pytest.mark.parametrize("lost", ["table", "signature"])
def test_export_converter_that_loses_something_is_caught(monkeypatch, lost):
    """A converter that drops the weights or a signature raises instead of shipping."""
    kept = export._with_shared_tables

    def broken(content):
        return b"" if lost == "table" else kept(content).replace(b"explain", b"oxplain")

    monkeypatch.setattr(export, "_with_shared_tables", broken)
    with pytest.raises(RuntimeError, match="table of weights" if lost == "table" else "wrote the signatures"):
        bundles.additive().to_files(16)
