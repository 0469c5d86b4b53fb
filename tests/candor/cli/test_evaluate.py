"""`candor evaluate` as a user runs it, on models of 2, 5 and 77 labels and of labels in other scripts."""

import csv
import json
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from types import MappingProxyType

import pytest

from candor.batch.labelled import content_digest
from candor.cli.evaluation_page import CHARTS
from candor.cli.main import main
from candor.model import bundle
from tests.bundles import files

LABELS = {
    "two": ("negative", "positive"),
    "markup": ("<b>bold</b>", 'quote "&"', "a label that is far too long for the margin of any chart"),
    "chinese": ("账单与付款问题", "物流", "退货退款", "账号登录与密码找回以及两步验证相关的所有问题", "其他"),
    "many": tuple(f"intent_{number}_of_a_bank" for number in range(77)),
}
TEXTS = ("it is a good film", "a dull and boring waste of time", "wonderful, moving, great!", "xyzzy")
OWN = {"split": "test", "n": 1000, "accuracy": {"value": 0.5}}


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Return a function that writes a model of some labels into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(labels=LABELS["two"], accuracy=0.5, more=MappingProxyType({}), **changes):
        Path("model").mkdir(exist_ok=True)
        own = files(labels=labels, metrics=OWN | {"accuracy": {"value": accuracy}}, **changes)
        bundle.write(Path("model"), {**own, **more})
        return labels

    return write


def table(rows, name="new.csv"):
    with Path(name).open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def evaluate(*options):
    return main(["evaluate", "new.csv", "--model", "model", *options])


def test_evaluate_prints_figures_and_verdict(model, capsys):
    model()
    table([("a good film", "positive"), ("boring waste", "negative"), ("dull time", "positive")] * 40)
    assert evaluate() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "120 texts, model made-up 1"
    assert lines[1].startswith("  accuracy           66.7% (57.8% to 74.5%)")
    assert [line[:21].strip() for line in lines[2:8]] == [
        *("macro F1", "ROC AUC", "log loss", "calibration error", "decided", "warnings"),
    ]
    assert lines[9].split() == ["label", "texts", "share", "answers", "precision", "recall", "F1"]
    assert lines[10].split()[:5] == ["negative", "40", "33.3%", "66.7%", "50.0%"]
    assert lines[lines.index("most confused") + 1] == "  40 × positive taken for negative"
    assert lines[lines.index("worst errors") + 1].startswith("  line 4: positive taken for negative, ")
    assert lines[-1].startswith("Better than the model's own figures: 66.7% accurate here, 50.0% on its test split")


@pytest.mark.parametrize(("accuracy", "status", "verdict"), [(0.9, 1, "worse"), (0.7, 0, "holds"), (0.2, 0, "better")])
def test_evaluate_worse_than_promised_exits_1(model, capsys, accuracy, status, verdict):
    """The status is 1 only if the model is worse than its own figures say."""
    model(accuracy=accuracy)
    table([("a good film", "positive"), ("boring waste", "negative"), ("dull time", "positive")] * 20)
    assert evaluate("--json") == status
    assert json.loads(capsys.readouterr().out)["comparison"]["verdict"] == verdict


@pytest.mark.parametrize("rows", [40, 39])
def test_evaluate_learnt_texts_are_not_praised(model, capsys, rows):
    """The digest of the training data tells its texts in any format; of one row less it is another."""
    learnt = [("a good film", "positive"), ("boring waste", "negative")] * 20
    model(accuracy=0.2, data={"sha256": content_digest(learnt)})
    content = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in learnt[:rows])
    Path("same.jsonl").write_text(content)
    assert main(["evaluate", "same.jsonl", "--model", "model"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[1].startswith("These are the texts that the model learnt from"), lines[-1] == lines[1]) == (
        (True, True) if rows == 40 else (False, False)
    )
    assert lines[-1].endswith("Are these the texts that it learnt from?") is (rows == 39)


def test_evaluate_report_has_training_shares(model, capsys):
    """The share in training is that of the labels there, not of the model's answers; without it there is no column."""
    measured = {"n": 10, "by_label": {"negative": {"n": 2}, "positive": {"n": 8}}}
    metrics = bundle.canonical({"validation": {"ours": {"all": measured}}})
    drift = {"label": {"negative": [0.61], "positive": [0.39]}}
    table([("a good film", "positive"), ("boring waste", "negative")])
    for n, shown in ((10, True), (11, False)):  # of eleven texts folds have held out ten: their labels are not known
        model(data={"texts": n}, drift=drift, more={"metrics.json": metrics})
        assert evaluate("--report", "folder") == 0
        page = Path("folder/report.html").read_text()
        assert ("in training" in page, "<td class=n>20.0%<td" in page, "61.0%" in page) == (shown, shown, False)
        shares = json.loads(Path("folder/report.json").read_text())["shares"]
        assert [each.get("training") for each in shares.values()] == ([0.2, 0.8] if shown else [None, None])


def test_evaluate_unknown_labels_hint_shows_long_ones(model, capsys):
    """The model's labels are no secrets: long ones are shortened, 20 are named."""
    model((*LABELS["many"], LABELS["markup"][2]))
    table([("dull", "joyful")])
    assert evaluate() == 2
    hint = capsys.readouterr().err.splitlines()[1]
    assert "its labels: 'intent_0_of_a_bank', " in hint
    assert "'intent_19_of_a_bank' and 58 more; " in hint
    assert "intent_20" not in hint
    shutil.rmtree("model")
    model(LABELS["markup"])
    assert evaluate() == 2
    hint = capsys.readouterr().err.splitlines()[1]
    assert "'a label that is far too long …'" in hint
    assert "characters" not in hint


def test_evaluate_unknown_labels_are_named(model, capsys):
    """The five most frequent ones, with their rows; nothing is measured."""
    model()
    unknown = [("dull", f"queue {letter}") for letter in "abcdefg"] + [("dull", "joyful")] * 3
    table([("a good film", "positive"), *unknown])
    assert evaluate() == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "error: new.csv: 10 of 11 rows have labels that the model does not know: 'joyful' (3 rows), "
        "'queue a' (1 row), 'queue b' (1 row), 'queue c' (1 row), 'queue d' (1 row) and 3 more\n"
        "hint: its labels: 'negative', 'positive'; --label-column NAME names another column; "
        "--skip-unknown-labels leaves such rows out\n"
    )


def test_evaluate_label_of_other_case_is_told(model, capsys):
    model()
    table([("a good film", "Positive"), ("dull", "negative")])
    assert evaluate() == 2
    assert "hint: 'Positive' is not 'positive'; its labels: " in capsys.readouterr().err


def test_evaluate_skipped_labels_are_counted(model, capsys):
    """Rows left out are in no figure, but a sentence says how many, and what the accuracy is with them."""
    model()
    table([("a good film", "positive"), ("dull", "negative"), ("dull", "joyful"), ("good", "joyful")])
    assert evaluate("--skip-unknown-labels") == 0
    shown = capsys.readouterr().out
    assert "2 texts, model" in shown
    assert (
        "Left out: 2 of 4 rows, whose labels the model does not know: 'joyful' (2 rows). "
        "It cannot get them right; with them the accuracy is 50.0%.\n"
    ) in shown
    table([("dull", "joyful")])
    assert evaluate("--skip-unknown-labels") == 2
    assert "1 of 1 rows have labels that the model does not know" in capsys.readouterr().err


@pytest.mark.parametrize(("n", "said"), [(99, True), (100, False)])
def test_evaluate_few_texts_are_told(model, capsys, n, said):
    model()
    table([("a good film", "positive")] * (n - 1) + [("dull", "negative")])
    assert evaluate() == 0
    assert ("Fewer than 100 texts make these figures rough" in capsys.readouterr().out) is said


def test_evaluate_empty_file_exits_2(model, capsys):
    model()
    table([])
    assert evaluate() == 2
    assert capsys.readouterr().err == "error: new.csv: no rows\nhint: it needs a text and a label a row\n"


def test_evaluate_absent_labels_are_told(model, capsys):
    """Precision of a label that is never answered, and recall of one without texts, are dashes."""
    labels = model(LABELS["chinese"])
    table([(TEXTS[0], labels[0]), (TEXTS[1], labels[1])])
    assert evaluate() == 0
    shown = capsys.readouterr().out
    assert "3 of the model's 5 labels have no text here. Means over labels leave them out.\n" in shown
    (row,) = (line for line in shown.splitlines() if line.startswith(labels[4]))
    assert row.split()[-2:] == ["–", "–"]


@pytest.mark.parametrize("kind", LABELS)
def test_evaluate_report_shows_every_label(model, kind, capsys):
    """The page needs no other file, and the charts are well-formed and name every label, whatever its script."""
    labels = model(LABELS[kind])
    table([(text, label) for label in labels for text in TEXTS])
    assert evaluate("--report", "folder") in (0, 1)
    assert "wrote folder/report.html" in capsys.readouterr().out
    names = {"report.html", "report.json", *(f"{name}.svg" for name in CHARTS)}
    assert {path.name for path in Path("folder").iterdir()} == names
    page = Path("folder/report.html").read_text()
    assert "If some of these texts were among them, the figures are too good." in page
    assert page.count("@media(prefers-color-scheme:dark)") == 1 + len(CHARTS)
    for forbidden in ("<script", "src=", "href=", "url(", "<b>bold"):
        assert forbidden not in page
    for name in CHARTS:
        chart = Path(f"folder/{name}.svg").read_text()
        assert chart in page
        whole = {element.text for element in ET.fromstring(chart).iter("{http://www.w3.org/2000/svg}title")}
        if name in ("labels", "confusion"):
            assert set(labels) <= whole
    report = json.loads(Path("folder/report.json").read_text())
    assert list(report["by_label"]) == [*labels]
    assert report["n"] == len(labels) * len(TEXTS)


def test_evaluate_long_labels_stay_distinct(model, capsys):
    """Labels that begin alike are told apart in the table and in both charts with names."""
    labels = model(tuple(f"a very long label of our own help desk, number {number}" for number in range(12)))
    table([(TEXTS[0], label) for label in labels])
    assert evaluate("--report", "folder") in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    (head,) = (number for number, line in enumerate(lines) if line.startswith("label "))
    assert len({line[:30] for line in lines[head + 1 : head + 13]}) == 12
    for name in ("labels", "confusion"):
        drawn = re.findall(r"</title>([^<]*…[^<]*)</text>", Path(f"folder/{name}.svg").read_text())
        assert len(drawn) == 12 * (1 + (name == "confusion"))
        assert len(set(drawn)) == 12


def test_evaluate_report_texts_are_redacted(model, capsys):
    """Only the report holds texts, without personal data, and none of them if that is asked for."""
    model()
    table([("a good film, write to jane@example.com <i>now</i>", "negative"), ("dull", "negative")])
    assert evaluate("--json", "--report", "with") == 0
    assert "good film" not in capsys.readouterr().out
    for name in ("report.html", "report.json"):
        content = Path("with", name).read_text()
        assert "a good film, write to [EMAIL]" in content
        assert "jane@example.com" not in content
    assert "&lt;i&gt;now" in Path("with/report.html").read_text()
    assert evaluate("--report", "without", "--no-texts") == 0
    for path in Path("without").iterdir():
        assert "good film" not in path.read_text()
    assert "line 2: " in Path("without/report.html").read_text()


def test_evaluate_report_where_all_is_right(model, capsys):
    model()
    table([("a good film", "positive"), ("boring waste", "negative")])
    assert evaluate("--report", "folder") == 0
    assert "worst errors" not in capsys.readouterr().out
    page = Path("folder/report.html").read_text()
    assert "Every answer is right." in page
    assert "Most confused" not in page


def test_evaluate_report_over_a_file_is_refused(model, capsys):
    model()
    table([("a good film", "positive"), ("dull", "negative")])
    assert evaluate("--report", "new.csv") == 2
    assert "'new.csv' is a file" in capsys.readouterr().err
    assert evaluate("--report", "new.csv/folder") == 2
    assert "error: new.csv/folder cannot be made: Not a directory\n" in capsys.readouterr().err
