"""Fonts for pictures whose words come from the data: labels may be in any script."""

import logging
from contextlib import suppress
from functools import cache
from typing import Any

FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Noto Sans CJK JP",
    "Hiragino Sans",
    "Noto Sans CJK KR",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Nirmala UI",
    "Noto Sans Thai",
    "Arial Unicode MS",
)
"""Fonts with letters that DejaVu Sans lacks, which machines may have. DejaVu Sans comes with Matplotlib."""


def style() -> dict[str, Any]:
    """Return Matplotlib's settings for words of the data: fonts for all scripts, and a `$` is a dollar sign.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed.
    """
    return {"font.family": ["DejaVu Sans", *installed()], "text.parse_math": False}


@cache
def installed() -> tuple[str, ...]:
    """Return those of FONTS that this machine has. It is searched once: there may be thousands of fonts."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # silent about a font that has one weight only
    known = {font.fname for font in fontManager.ttflist}  # from a cache, which does not learn of a new font
    for path in findSystemFonts():
        if path not in known:
            with suppress(OSError, RuntimeError):  # a kind of font that Matplotlib cannot draw
                fontManager.addfont(path)
    names = set(fontManager.get_font_names())
    return tuple(font for font in FONTS if font in names)
