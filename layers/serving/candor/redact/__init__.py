"""Personal data found in text by rules and checksums, and masked: standard library only, time linear in the text.

find(text) tells what is where, as code-point offsets of the caller's own text. redact(text) writes it over.
Names of entities are Amazon Comprehend's, but for CN_RESIDENT_ID and API_KEY, which it has no name for.
There is no named-entity model: a person's name is found only by the words around it.
"""

from candor.redact.entities import TYPES, Entity
from candor.redact.finder import find
from candor.redact.modes import MODES, Redacted, redact

__all__ = ["MODES", "TYPES", "Entity", "Redacted", "find", "redact"]
