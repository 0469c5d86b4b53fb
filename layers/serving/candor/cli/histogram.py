"""A histogram of confidences as SVG, for reports and for `candor score --picture`."""

from collections import Counter

BINS = 20


def bin_of(probability: float) -> int:
    """Return the bin, from 0 to BINS - 1, that a probability falls into."""
    return min(int(probability * BINS), BINS - 1)


def histogram(counts: Counter[int]) -> str:
    """Draw texts by the probability of their label.

    Args:
        counts: Number of texts by bin.

    Returns:
        An SVG document of 600 by 170 units.
    """
    most = max(counts.values(), default=1)
    bars = "".join(
        f'<rect x="{30 * place}" y="{150 - 140 * counts[place] / most:.1f}" width="28" '
        f'height="{140 * counts[place] / most:.1f}">'
        f"<title>{place / BINS:.0%} to {(place + 1) / BINS:.0%}: {counts[place]:,}</title></rect>"
        for place in range(BINS)
    )
    marks = "".join(f'<text x="{30 * place}" y="166">{place / BINS:.0%}</text>' for place in range(0, BINS, 2))
    about = 'viewBox="0 0 600 170" role="img" aria-label="Texts by probability of their label"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {about}>{bars}{marks}</svg>'
