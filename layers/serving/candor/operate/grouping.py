"""Disclosure control for published counts: no count, and no difference of counts, describes fewer than 10 texts.

Cell suppression and complementary suppression: Hundepool et al. 2012, "Statistical Disclosure Control", chapter 4.
"""

from collections.abc import Mapping

MIN_GROUP_SIZE = 10  # texts


def suppress_small_groups(counts: Mapping[str, int], k: int = MIN_GROUP_SIZE) -> dict[str, int | None]:
    """Suppress groups under k, with enough others that no difference from the total reveals them.

    Args:
        counts: Number of texts per group. Groups must not overlap. Their total may be public.
        k: Size of the smallest group that may be published.

    Returns:
        The counts, None for a suppressed group. What is missing from the total is at least k texts, of two groups or
        more. If the total itself is under k, every group is suppressed, and the total must not be published either.

    Example:
        >>> suppress_small_groups({"positive": 100, "negative": 50, "uncertain": 3})
        {'positive': 100, 'negative': None, 'uncertain': None}
    """
    if sum(counts.values()) < k:
        return dict.fromkeys(counts)
    hidden: dict[str, int] = {}
    for name, count in sorted(counts.items(), key=lambda item: item[1]):
        if 0 < count < k or (hidden and (len(hidden) < 2 or sum(hidden.values()) < k) and count):
            hidden[name] = count
    return {name: None if name in hidden else count for name, count in counts.items()}
