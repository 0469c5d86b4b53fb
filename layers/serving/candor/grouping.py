"""Counts of groups that may be told: neither one of them nor a difference of two speaks of fewer than k texts.

Cell suppression and complementary suppression: Hundepool et al. 2012, "Statistical Disclosure Control", chapter 4.
"""

from collections.abc import Mapping

K = 10


def suppressed(counts: Mapping[str, int], k: int = K) -> dict[str, int | None]:
    """Counts of groups that do not overlap and whose total may be known; None for those that are not told.

    Groups of 1 to k - 1 are not, and so many of the next larger ones that what is missing from the total is at least
    k, of two groups or more. Of fewer than k in all nothing is told, and their total must not be, either.
    """
    if sum(counts.values()) < k:
        return dict.fromkeys(counts)
    hidden: dict[str, int] = {}
    for name, count in sorted(counts.items(), key=lambda item: item[1]):
        if 0 < count < k or (hidden and (len(hidden) < 2 or sum(hidden.values()) < k) and count):
            hidden[name] = count
    return {name: None if name in hidden else count for name, count in counts.items()}
