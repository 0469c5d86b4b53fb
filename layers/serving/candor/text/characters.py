"""Look up properties of all characters of a text at once. Each is computed when its character is first seen."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint32]
"""Code points of a text."""
_CODE_POINTS = 0x110000


def codes_of(text: str) -> Codes:
    """Return the code points of a text.

    Example:
        >>> codes_of("aé").tolist()
        [97, 233]
    """
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def text_of(codes: NDArray[np.integer]) -> str:
    """Return the text of code points: the inverse of `codes_of`."""
    return codes.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")


class CharacterTable:
    """A property of every character, as a number greater than 0.

    Args:
        value: Returns the property of one character. It is called once for each character that any text contains.

    Example:
        >>> table = CharacterTable(lambda character: 2 if character.isdigit() else 1)
        >>> table(codes_of("a1")).tolist()
        [1, 2]
    """

    def __init__(self, value: Callable[[str], int]) -> None:
        self._value = value
        self._values = np.zeros(_CODE_POINTS, np.uint32)  # memory is used only for the pages that texts touch

    def __call__(self, codes: Codes) -> NDArray[np.uint32]:
        """Return the property of each code point, uint32."""
        values = self._values.take(codes)
        if not values.all():
            for code in np.unique(codes[values == 0]).tolist():
                self._values[code] = self._value(chr(code))
            values = self._values.take(codes)
        return values
