"""Read numbers that people write: options of the command, and environment variables."""

import math


def number(written: str, least: float, most: float = math.inf) -> float:
    """Return a finite number from `least` to `most`.

    Raises:
        ValueError: It is none, or not in plain digits. The message says what is expected.

    Example:
        >>> number("0.95", 0, 1), number("-0", 0, 1)
        (0.95, 0.0)
    """
    try:
        value = float(written) if _is_plain(written) else math.nan
    except ValueError:
        value = math.nan
    if not least <= value <= most or math.isinf(value):
        raise ValueError(f"{written!r} is not a number {_range(f'{least:g}', '' if math.isinf(most) else f'{most:g}')}")
    return value + 0.0  # -0.0 becomes 0.0


def whole(written: str, least: int, most: int | None = None) -> int:
    """Return a whole number from `least` to `most`.

    Raises:
        ValueError: It is none, or not in plain digits. The message says what is expected.

    Example:
        >>> whole("20", 1)
        20
    """
    try:
        value = int(written) if _is_plain(written) else None
    except ValueError:
        value = None
    if value is None or value < least or (most is not None and value > most):
        end = "" if most is None else f"{most}"
        raise ValueError(f"{written!r} is not a whole number {_range(f'{least}', end)}")
    return value


def _is_plain(written: str) -> bool:
    """Return whether there are only digits of ASCII and no underscores, which Python takes for parts of a number."""
    return written.isascii() and "_" not in written


def _range(least: str, most: str) -> str:
    return f"from {least} to {most}" if most else f"of {least} or more"
