import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor
from sklearn import metrics as reference

from candor.cli import fonts
from candor.model.metrics import evaluate
from training.pictures import (
    COLOURS,
    MAX_NAMED,
    Scores,
    _titled,
    accuracy_limits,
    draw,
    draw_calibration,
    draw_fairness,
    draw_ways,
    join_others,
    most_confused,
    precision_recall_curve,
    roc_curve,
)

NAMES = ["overview", "learning_curve", "roc", "precision_recall", "score_histogram", "confusion_matrix"]
LABELS = {
    "two": ("neg", "pos"),
    "three": ("sport", "$\\bad_{math}", "_begins with an underscore\nand is far too long for an axis"),
    "many": tuple(f"topic {k}" for k in range(14)),
    "too many to name": tuple(f"话 {k}" for k in range(24)),
}
EPOCHS = [
    {"epoch": 1, "loss": 0.6, "val_loss": 0.5, "accuracy": 0.7, "val_accuracy": 0.75},
    {"epoch": 2, "loss": 0.3, "val_loss": 0.4, "accuracy": 0.9, "val_accuracy": 0.85},
]


def scored(labels, networks=("ours", "baseline"), rows=600):
    random = np.random.default_rng(3)
    targets = random.integers(len(labels), size=rows)
    probabilities = {}
    for network, skill in zip(networks, (4.0, 2.0), strict=False):
        logits = random.normal(size=(rows, len(labels))) + skill * np.eye(len(labels))[targets]
        probabilities[network] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    reports = {name: evaluate(values, targets, labels, seed=1, resamples=20) for name, values in probabilities.items()}
    return Scores(probabilities, targets, labels, reports, "test split")


def test_confusion_matrix_joins_labels_confused_least():
    """A matrix of more labels than there is room for names those that are confused most; no text is lost."""
    counts = np.diag(np.full(30, 9))
    counts[3, 28] = 5
    assert most_confused(counts[:20, :20]) == list(range(20))
    assert len(most_confused(counts, 10)) == 9
    kept = most_confused(counts)
    assert len(kept) == MAX_NAMED - 1
    assert {3, 28} <= set(kept)
    joined = join_others(counts, kept)
    assert joined.shape == (MAX_NAMED, MAX_NAMED)
    assert joined.sum() == counts.sum()
    assert joined[kept.index(3), kept.index(28)] == 5
    assert joined[-1, -1] == 9 * (30 - len(kept))


def drawn(folder, scores, history=None):
    folder.mkdir()
    history = history or dict.fromkeys(scores.probabilities, EPOCHS)
    return draw(folder, history, "n = 600 texts", scores)


def holds(path, colour):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=int)
    return bool((np.abs(pixels - ImageColor.getrgb(colour)).max(axis=2) <= 8).sum() > 50)


@pytest.mark.parametrize("kind", LABELS)
def test_draw_writes_small_wide_pngs(tmp_path, kind):
    """Every picture is a small PNG, wide enough for a page."""
    paths = drawn(tmp_path / "first", scored(LABELS[kind]))
    assert [path.name for path in paths] == [f"{name}.png" for name in NAMES]
    assert sorted(paths) == sorted((tmp_path / "first").iterdir())
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.size[0], image.info) == ("PNG", 1280, {})
        assert 5_000 < path.stat().st_size <= 60_000


def test_draw_same_numbers_give_same_bytes(tmp_path):
    first, again = (drawn(tmp_path / name, scored(LABELS["three"])) for name in ("first", "again"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    other = drawn(tmp_path / "other", scored(LABELS["three"], rows=500), {"ours": EPOCHS[:1], "baseline": EPOCHS})
    assert not {path.read_bytes() for path in first} & {path.read_bytes() for path in other}


def test_draw_networks_have_their_colours(tmp_path):
    """Both networks are drawn in their colours, and one alone is enough."""
    both = drawn(tmp_path / "both", scored(LABELS["two"]))
    alone = drawn(tmp_path / "alone", scored(LABELS["two"], networks=("ours",)))
    assert [holds(path, COLOURS["ours"]) and holds(path, COLOURS["baseline"]) for path in both] == [True] * 6
    assert not any(holds(path, COLOURS["baseline"]) for path in alone)
    assert all(holds(path, COLOURS["ours"]) for path in alone)


def test_draw_ignores_user_style(tmp_path):
    plain = drawn(tmp_path / "plain", scored(LABELS["two"]))
    with matplotlib.rc_context({"font.size": 25, "axes.facecolor": "black", "figure.dpi": 30}):
        styled = drawn(tmp_path / "styled", scored(LABELS["two"]))
    assert [path.read_bytes() for path in plain] == [path.read_bytes() for path in styled]


@pytest.mark.parametrize(
    ("labels", "names", "title"),
    [
        (("neg", "pos"), ["neg", "pos"], "ROC of “pos”"),
        (("neg", "\ue000"), ["1", "2"], "ROC of label 2"),  # private use: no font has it
        (("neg", "برگشت"), ["1", "2"], "ROC of label 2"),
        (tuple(f"topic {k}" for k in range(24)), [f"topic {k}" for k in range(24)], "ROC, mean of 24 labels"),
        (tuple(f"topic {k}" for k in range(77)), [f"topic {k}" for k in range(77)], "ROC, mean of 77 labels"),
    ],
)
def test_names_undrawable_are_numbers(labels, names, title):
    """Where no font has the letters of a name, pictures show numbers, and its caption says where the names are."""
    scores = scored(labels, rows=200)
    assert scores.names == names
    assert _titled("ROC", scores) == title
    by_number = "Labels by number: report.html has their names. "
    assert scores.named_caption.startswith(by_number) is (names[0] == "1")
    assert scores.named_caption.endswith(scores.caption)


def test_fonts_are_searched_once(tmp_path):
    """Pictures don't search the machine for fonts again: there may be thousands."""
    fonts.installed.cache_clear()
    draw_calibration(tmp_path, decisions((0.5, 0.9, 1.0)), "test", "n = 27 texts")
    assert (fonts.installed.cache_info().misses, fonts.installed.cache_info().hits) == (1, 1)


def test_names_stay_distinct():
    """Names that begin and end alike are told apart."""
    labels = tuple(f"intent_{k}_of_a_bank_customer" for k in range(150))
    names = scored(labels, rows=300).names
    assert len(set(names)) == 150
    assert max(map(len, names)) <= 16
    assert not scored(labels, rows=300).by_number


def test_caption_names_number_and_split():
    assert scored(LABELS["two"], rows=1600).caption == "n = 1,600 texts, test split"


@pytest.mark.parametrize("decimals", [12, 1])
def test_curves_equal_scikit_learn(decimals):
    """The curves are those of scikit-learn, with and without ties."""
    scores = scored(LABELS["two"])
    values, positive = scores.probabilities["ours"][:, 1].round(decimals), scores.targets == 1
    false, true, _ = reference.roc_curve(positive, values, drop_intermediate=False)
    assert np.allclose(roc_curve(values, positive), (false, true))
    precision, recall, _ = reference.precision_recall_curve(positive, values)
    assert np.allclose(precision_recall_curve(values, positive), (recall[::-1], precision[::-1]))


def test_draw_label_without_rows(tmp_path):
    scores = scored(LABELS["many"])
    targets = np.where(scores.targets == 13, 0, scores.targets)
    reports = {
        name: evaluate(values, targets, scores.labels, seed=1, resamples=20)
        for name, values in scores.probabilities.items()
    }
    paths = drawn(tmp_path / "rare", Scores(scores.probabilities, targets, scores.labels, reports, "test split"))
    assert all(path.stat().st_size > 5_000 for path in paths)


def decisions(accuracies, probabilities=(0.55, 0.9, 1.0)):
    """Return calibration and coverage with these accuracies."""
    bins = [{"n": 9, "probability": p, "accuracy": a} for p, a in zip(probabilities, accuracies, strict=False)]
    rows = [{"coverage": 1 - k / 10, "min_confidence": 0.5, "accuracy": a} for k, a in enumerate(accuracies)]
    measured = {"ece": {"value": 0.1}, "bins": bins}
    other = {"ece": {"value": 0.1}, "bins": [{"n": 9, "probability": 0.99, "accuracy": 0.99}]}
    return {"test": {"before": measured, "after": other, "coverage": rows}}


@pytest.mark.parametrize("accuracies", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.2, 0.9, 1.0), (0.0, 1.0, 0.5)])
def test_calibration_axes_show_all_and_no_more(tmp_path, monkeypatch, accuracies):
    """Every point is within the axes, and no axis has a mark below 0 or above 100 %."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k)))
    draw_calibration(tmp_path, decisions(accuracies), "test", "n = 27 texts")
    assert len(figures) == 2
    for axes in (axes for figure in figures for axes in figure.axes):
        for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            marks = [mark for mark in axis.get_ticklocs() if ends[0] <= mark <= ends[1]]
            assert marks
            assert min(marks) >= -1e-9
            assert max(marks) <= 1 + 1e-9
        low, high = axes.get_ylim()
        assert all(low <= y <= high for line in axes.lines if line.get_marker() == "o" for y in line.get_ydata())
        assert all(low <= y <= high for dots in axes.collections for _, y in dots.get_offsets())


@pytest.mark.parametrize(
    "measured", [[(18.8, 16, 21), (81, 79, 83)], [(0, 0, 3)], [(100, 96, 100), (2, 0, 5)], [(50, 50, 50)]]
)
def test_accuracy_limits_show_nothing_impossible(measured):
    """The axis holds all intervals with room around them, within 0 and 100 %."""
    left, right = accuracy_limits(measured)
    values = [value for each in measured for value in each]
    assert 0 <= left <= min(values) <= max(values) <= right <= 100
    assert right - left >= 2
    assert left == 0 or left < min(values)


@pytest.mark.parametrize("with_other", [True, False])
def test_draw_fairness_writes_a_picture(with_other, tmp_path):
    audit = {"swaps": {"age": {}, "control words": {}}}
    audit["templates"] = {name: {"max_difference": 0.2} for name in audit["swaps"]}
    found = {"way": "off", "chosen": audit, "gate": {"limits": {"template_difference": 0.05}}}
    drawn = draw_fairness(tmp_path, found | ({"off": audit} if with_other else {}), "n = 3")
    with Image.open(drawn) as picture:
        assert picture.size == (1280, 768)


def test_draw_ways_writes_a_picture(tmp_path):
    each = {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}, "gap": 0.0}
    drawn = draw_ways(tmp_path, {"off": each | {"gap": 0.3}, "one-feature": each}, "n = 3")
    with Image.open(drawn) as picture:
        assert picture.size == (1280, 704)
