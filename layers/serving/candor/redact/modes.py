"""What is written over a find: its type, a character for each of its own, or a keyed digest."""

import hashlib
import hmac
import re
import unicodedata
from bisect import bisect_right
from typing import NamedTuple

from candor.redact.entities import Entity
from candor.redact.finder import find
from candor.redact.normalise import Normal

MODES = ("replace", "mask", "hash", "off")
_SEPARATORS = re.compile(r"[\s._()/-]+")
_READ = "@+%&#_.-:;,/()[]'\"=?!$<>\\{}"  # characters that a pattern reads: as a mask they could make one match


class Redacted(NamedTuple):
    """The text with its finds written over, and the finds, in offsets of the text as it was."""

    text: str
    entities: list[Entity]
    places: list[int]
    """Where in `text` what is written over each find starts, and where it ends: two numbers a find."""

    def origin(self, begin: int, end: int) -> tuple[int, int]:
        """Offsets in the text as it was of text[begin:end]; a find's, whole, if any of it is in what stands for it."""
        return self._back(begin, 0), self._back(end - 1, 1)

    def _back(self, place: int, side: int) -> int:
        after = bisect_right(self.places, place)
        if after % 2:
            found = self.entities[after // 2]
            return found.end if side else found.begin
        shift = self.entities[after // 2 - 1].end - self.places[after - 1] if after else 0
        return place + shift + side


def redact(text: str, mode: str = "replace", mask: str = "*", key: bytes = b"") -> Redacted:
    """Text with what find() finds written over; redacting what comes out changes nothing.

    replace  [EMAIL]
    mask     a character for each of the find's own, so that offsets stay
    hash     [EMAIL:1a2b3c4d], 32 bits of HMAC-SHA256 (RFC 2104) over type and value, however it was spaced: equal values
             have equal digests, which tell nothing to whoever lacks the key
    off      the text as it is, and nothing looked for

    Raises ValueError for another mode, a mask that is not one symbol, or hash without a key.
    """
    if mode not in MODES:
        raise ValueError(f"mode is one of {', '.join(MODES)}")
    if mode == "mask" and not _symbol(mask):
        raise ValueError("mask is one symbol that no pattern reads, such as * or █")
    if mode == "hash" and not key:
        raise ValueError("hash needs a key")
    entities = [] if mode == "off" else find(text)
    if not entities:
        return Redacted(text, [], [])
    parts, places, read, written = [], [], 0, 0
    for entity in entities:
        new = _written(text, entity, mode, mask, key)
        parts += [text[read : entity.begin], new]
        written += entity.begin - read
        places += [written, written + len(new)]
        read, written = entity.end, written + len(new)
    return Redacted("".join(parts) + text[read:], entities, places)


def _symbol(mask: str) -> bool:
    """Whether a mask is one character that stays itself in normalised text and that no pattern reads."""
    return len(mask) == 1 and unicodedata.category(mask)[0] in "PS" and Normal(mask).text == mask and mask not in _READ


def _written(text: str, entity: Entity, mode: str, mask: str, key: bytes) -> str:
    if mode == "mask":
        return mask * (entity.end - entity.begin)
    if mode == "replace":
        return f"[{entity.type}]"
    value = _SEPARATORS.sub("", Normal(text[entity.begin : entity.end]).text).casefold()
    message = f"{entity.type}:{value}".encode("utf-8", "surrogatepass")
    return f"[{entity.type}:{hmac.new(key, message, hashlib.sha256).hexdigest()[:8]}]"
