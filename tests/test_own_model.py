"""The tests pass whatever model is in use: here in a copy of the checkout, with another model of five labels."""

import re

import pytest

from candor.model.bundle import Bundle, canonical, write
from tests import checkout
from tests.shipped.bundle import shipped_bundle
from tests.trained import FIVE

# Quick tests of every part that has to do with a model, and of examples in the documentation.
TESTS = [
    "tests/candor/cli/test_main.py",
    "tests/candor/operate",
    "tests/functions/test_api.py",
    "tests/shipped",
    "tests/test_docs.py::test_python_examples_run",
    "tests/test_docs.py::test_readme_answer_is_the_handlers",
    "tests/test_golden.py",
    "tests/test_labels.py",
]
SLOW = "tflite_runtime or any_body or any_text or any_block or torture or completion or help"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return a copy of the checkout in which a user's model has taken the place of the one that ships."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine").mkdir()
    five = Bundle.open(FIVE)
    write(folder / "mine", five.files | {"model.json": canonical(five.model | {"name": "mine"})})
    copied = checkout.copy(folder / "candor", shipped_bundle())
    checkout.run(copied, "-m", "candor", "use", str(folder / "mine"))
    return copied


def test_suite_passes_with_own_model_in_use(own):
    """A representative part of the suite passes, without a skip, while another model is in use."""
    assert Bundle.open(own / "layers/model/bundle").model["name"] == "mine"
    out = checkout.run(own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, "-k", f"not ({SLOW})")
    (passed,) = re.findall(r"^(\d+) passed(?:, \d+ deselected)? in ", out, re.MULTILINE)
    assert int(passed) > 100
    assert "skipped" not in out
