"""Wrong labels, planted and found."""

import numpy as np

from training.findings import MAX_SUSPECTS, suspect_labels

LABELS = ("a", "b", "c")


def judged(n=300, n_wrong=12, seed=0):
    """Return probabilities of models that are mostly right, labels with some wrong ones, and where those are."""
    random = np.random.default_rng(seed)
    true = np.arange(n) % 3
    logits = random.normal(size=(n, 3)) + 4 * np.eye(3)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    sure = np.flatnonzero(probabilities[np.arange(n), true] > 0.97)
    wrong = np.sort(random.choice(sure, n_wrong, replace=False))
    targets = true.copy()
    targets[wrong] = (true[wrong] + 1) % 3
    return probabilities, targets, wrong


def test_suspect_labels_finds_planted_ones():
    """Wrong labels that the models are sure of are listed first, by the row that a user counts from 1."""
    probabilities, targets, wrong = judged()
    found = suspect_labels(probabilities, targets, np.arange(300) + 1000, LABELS)
    assert {each["line"] for each in found["most"][:12]} == {*(wrong + 1000).tolist()}
    assert 12 <= found["rows"] == len(found["most"]) <= 15
    for each in found["most"][:12]:
        row = each["line"] - 1000
        assert each["label"] == LABELS[targets[row]]
        assert each["likely"] == LABELS[(targets[row] + 2) % 3]
        assert each["probability"] == round(float(probabilities[row].max()), 4) > 0.97


def test_suspect_labels_name_their_file():
    """Where texts come from several files, each row names its own."""
    probabilities, targets, wrong = judged()
    files = [f"{row % 7}.csv" for row in range(300)]
    found = suspect_labels(probabilities, targets, np.arange(300), LABELS, files)
    assert {(each["file"], each["line"]) for each in found["most"]} >= {(files[row], row) for row in wrong.tolist()}


def test_suspect_labels_right_ones_are_none():
    """Right labels are not suspected, nor texts of which the models are less sure than is typical."""
    probabilities, targets, _ = judged(n_wrong=0)
    right = probabilities.argmax(axis=1) == targets
    assert suspect_labels(probabilities[right], targets[right], np.flatnonzero(right), LABELS) == {
        "rows": 0,
        "most": [],
    }
    unsure = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9], [0.45, 0.4, 0.15]])
    found = suspect_labels(unsure, np.array([0, 1, 2, 1]), np.arange(4), LABELS)
    assert found["rows"] == 0
    unsure[3] = [0.95, 0.03, 0.02]
    assert suspect_labels(unsure, np.array([0, 1, 2, 1]), np.arange(4), LABELS)["rows"] == 1


def test_suspect_labels_lists_the_surest_only():
    """All are counted; the list is short, the surest first, equal ones by row."""
    probabilities = np.tile([[0.9, 0.1], [0.1, 0.9]], (200, 1))
    targets = np.tile([0, 1], 200)
    targets[:300] = 1 - targets[:300]
    probabilities[7] = [0.01, 0.99]
    found = suspect_labels(probabilities, targets, np.arange(400)[::-1], ("a", "b"))
    assert found["rows"] == 300
    listed = [each["line"] for each in found["most"]]
    assert len(listed) == MAX_SUSPECTS
    assert listed[0] == 399 - 7  # its line
    assert listed[1:] == sorted(listed[1:])
