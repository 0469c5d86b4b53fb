"""The introductory network that every report compares with."""

import numpy as np
import pytest

from training.baseline import LENGTH, Baseline


@pytest.mark.parametrize(("words", "length"), [(7, 7), (LENGTH + 50, LENGTH)])
def test_baseline_pads_to_its_texts(words, length):
    """Texts are padded to the longest of 99 in 100, and cut at 256 words."""
    texts = [*["word " * words] * 199, "word " * 999]
    assert Baseline(texts, 2)._vectorise(texts[:1]).shape == (1, length)


def test_baseline_learns_labels_of_short_texts():
    """Few words a text and several labels are learnt: padding does not drown them."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 8, 2000)
    texts = [f"{' '.join(random.choice(['a', 'the', 'of'], 3))} word{target}" for target in targets]
    network = Baseline(texts, 8)
    history = network.fit((texts, targets), (texts[:500], targets[:500]))
    assert history[-1]["val_accuracy"] > 0.9
    assert network.probabilities(texts[:1]).shape == (1, 8)
