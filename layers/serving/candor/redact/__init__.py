"""Find personal data in text by rules and checksums, and mask it, in linear time.

`find(text)` returns entities as code-point offsets of the caller's own text. `redact(text)` writes over them. Entity
types have Amazon Comprehend's names, except CN_RESIDENT_ID and API_KEY, for which it has none. There is no named-entity
model: a person's name is found only by the words around it.

Example:
    >>> find("write to jane@example.com")
    [Entity(type='EMAIL', begin=9, end=25)]
    >>> redact("write to jane@example.com").text
    'write to [EMAIL]'
"""

from candor.redact.entities import TYPES, Entity
from candor.redact.finder import find
from candor.redact.modes import MODES, Redacted, redact

__all__ = ["MODES", "TYPES", "Entity", "Redacted", "find", "redact"]
