"""Write over entities: by their type, by a mask of the same length, or by a keyed digest."""

import hashlib
import hmac
import re
import unicodedata
from typing import NamedTuple

from candor.redact.entities import TYPES, Entity
from candor.redact.finder import find
from candor.redact.normalise import NormalizedText

MODES = ("replace", "mask", "hash", "off")
"""What `redact` can write over an entity."""
_MASKS = {entity_type: f"[{entity_type}]" for entity_type in TYPES}
_SEPARATORS = re.compile(r"[\s._()/-]+")
_PATTERN_CHARACTERS = "@+%&#_.-:;,/()[]'\"=?!$<>\\{}"  # a pattern reads these: as a mask they could create a match


class Redacted(NamedTuple):
    """A redacted text and the entities that were written over."""

    text: str
    """The text after redaction."""
    entities: list[Entity]
    """The entities in order, with offsets of the text before redaction."""
    replacements: list[str]
    """What is written over each entity."""


def redact(text: str, mode: str = "replace", mask: str = "*", key: bytes = b"") -> Redacted:
    """Write over every entity that `find` finds. Redacting redacted text changes nothing.

    Args:
        text: The text as the caller wrote it.
        mode: One of MODES:
            replace: [EMAIL].
            mask: The mask, once for each character of the entity, so that offsets stay.
            hash: [EMAIL:1a2b3c4d], 32 bits of HMAC-SHA256 (RFC 2104) over type and value without separators. Equal
            values have equal digests, which reveal nothing without the key.
            off: The text unchanged. Nothing is searched.
        mask: One symbol that no pattern reads, such as * or █; used by mode "mask".
        key: Secret key; used by mode "hash".

    Returns:
        The redacted text with its entities.

    Raises:
        ValueError: The mode is unknown, the mask is not such a symbol, or mode "hash" has no key.

    Example:
        >>> redact("my SSN is 123-45-6789", "mask").text
        'my SSN is ***********'
    """
    if mode not in MODES:
        raise ValueError(f"mode is one of {', '.join(MODES)}")
    if mode == "mask" and not _is_valid_mask(mask):
        raise ValueError("mask is one symbol that no pattern reads, such as * or █")
    if mode == "hash" and not key:
        raise ValueError("hash needs a key")
    entities = [] if mode == "off" else find(text)
    if not entities:
        return Redacted(text, [], [])
    if mode == "replace":
        replacements = [_MASKS[entity_type] for entity_type, _, _ in entities]
    elif mode == "mask":
        replacements = [mask * (end - begin) for _, begin, end in entities]
    else:
        replacements = [_digest(text, entity, key) for entity in entities]
    parts, read = list[str](), 0
    for (_, begin, end), replacement in zip(entities, replacements, strict=True):
        parts += text[read:begin], replacement
        read = end
    return Redacted("".join(parts) + text[read:], entities, replacements)


def _is_valid_mask(mask: str) -> bool:
    """Return True if the mask is one symbol that normalisation keeps and no pattern reads."""
    return (
        len(mask) == 1
        and unicodedata.category(mask)[0] in "PS"
        and NormalizedText(mask).text == mask
        and mask not in _PATTERN_CHARACTERS
    )


def _digest(text: str, entity: Entity, key: bytes) -> str:
    """Return what mode "hash" writes over an entity."""
    value = _SEPARATORS.sub("", NormalizedText(text[entity.begin : entity.end]).text).casefold()
    message = f"{entity.type}:{value}".encode("utf-8", "surrogatepass")
    return f"[{entity.type}:{hmac.new(key, message, hashlib.sha256).hexdigest()[:8]}]"
