"""Bring labels into one form, so that what a reader takes for one label is one.

White space of any kind counts as one space, and none around a label. Characters are compared after NFC (Unicode
Standard Annex 15). A whole number is one label however it is written: 5, 5.0 and "5". Case and accents count.
"""

import json
import re
import unicodedata
from collections.abc import Iterable

from candor.limits import MAX_LABEL_LENGTH

_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u061c\u2060\ufeff\u00ad"
"""Characters without width that do not count around a label."""
_JOINERS = "\u200b\u200c\u200d"
"""Those of them that may stand within: between the letters of some scripts, and in emoji."""

RESERVED = "uncertain"
"""The decision where no label is decided, so that no label may be called so."""


class LabelError(ValueError):
    """A value is no label. The message says why, as what follows "a label"."""


class MultiLabelError(LabelError):
    """A row has several labels."""


def normalised(value: object) -> str:
    r"""Return a label in its one form, or "" if there is none.

    Args:
        value: A cell, or a value of JSON: a string, a number, a truth value, null, or a list of at most one of these.

    Raises:
        MultiLabelError: A list of several labels.
        LabelError: Not a label.

    Examples:
        >>> normalised(" very\u00a0good "), normalised(5.0), normalised(["pos"]), normalised([]), normalised(True)
        ('very good', '5', 'pos', '', 'true')
    """
    if isinstance(value, list):
        if len(value) > 1:
            raise MultiLabelError(f"{len(value)} labels")
        value = value[0] if value else None
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if not isinstance(value, str):
        raise LabelError("that is neither a string nor a number")
    label = _one_form(value)
    if len(label) > MAX_LABEL_LENGTH:
        raise LabelError(f"of {len(label):,} characters, where {MAX_LABEL_LENGTH} are allowed")
    return label


def case_variants(labels: Iterable[str]) -> list[list[str]]:
    """Return groups of labels that differ in case only.

    Example:
        >>> case_variants(["Pos", "neg", "pos"])
        [['Pos', 'pos']]
    """
    groups: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        groups.setdefault(label.casefold(), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def is_reserved(label: str) -> bool:
    r"""Return True for a label that a reader would take for RESERVED: in any case, width, or with unseen characters.

    Example:
        >>> [is_reserved(label) for label in (" Uncertain", "ＵＮＣＥＲＴＡＩＮ", "un\u200bcertain", "unsure")]
        [True, True, True, False]
    """
    compatible = unicodedata.normalize("NFKC", label).casefold()
    seen = "".join(each for each in compatible if unicodedata.category(each) not in ("Cc", "Cf", "Mn", "Me"))
    return seen.strip() == RESERVED


def _one_form(label: str) -> str:
    if label.isascii() and label.isprintable() and "  " not in label:
        label = label.strip()
    else:
        label = " ".join(unicodedata.normalize("NFC", label).split())
        label = " ".join(label.strip(_UNSEEN + " ").split())
        for character in label:
            _check(character)
    whole = _WHOLE.fullmatch(label)
    return whole[1] if whole else label


def _check(character: str) -> None:
    """Raise LabelError for a character that nobody can see."""
    kind = unicodedata.category(character)
    is_tag = "\U000e0020" <= character <= "\U000e007f"  # of an emoji, such as a flag
    if kind == "Cs":
        raise LabelError(f"with half a character, U+{ord(character):04X}")
    if kind == "Cc" or (kind == "Cf" and character not in _JOINERS and not is_tag):
        raise LabelError(f"with the control character U+{ord(character):04X}")
