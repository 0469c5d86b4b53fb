"""Describe how a file of texts is to be read: what its name and its user say, and what its content shows."""

import codecs
from dataclasses import dataclass
from typing import Any

from candor.batch.faults import READERS, RowsError, export_hint

RULES = 3
"""Version of the rules by which bytes become rows. Results of earlier ones can still be verified by their own rules.

Version 2 fills up short rows, skips rows of empty cells, and ends a line also at a lone carriage return. Version 3
skips white space of any script, also in quoted cells, in every format alike, and reads any JSON value as an id.
"""
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
"""Delimiters that are looked for, by name."""
DEFAULT_TEXT, DEFAULT_LABEL, DEFAULT_ID = "text", "label", "id"
"""Columns that are read where none is named."""

_KINDS = {"tsv": "csv", "ndjson": "jsonl"}
_NOT_PLAIN = {"idna", "punycode", "unicode_escape", "raw_unicode_escape"}
_ASCII = bytes(range(0x20, 0x7F)) + b"\t\r\n"


@dataclass(frozen=True)
class Reading:
    """What a user says about a file; what is left empty is found out.

    Raises:
        RowsError: The encoding is unknown.
        ValueError: The delimiter is not one ASCII character that can be one.
    """

    delimiter: str = ""
    """Between the cells of a table."""
    encoding: str = ""
    """A codec of Python's; a byte order mark in the file counts more."""
    header: bool = True
    """The first record names the columns; otherwise they are numbered from 1."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "delimiter", delimiter_of(self.delimiter))
        object.__setattr__(self, "encoding", encoding_of(self.encoding))


def delimiter_of(name: str) -> str:
    r"""Return the character that a delimiter's name stands for, or the character itself.

    Example:
        >>> delimiter_of("tab"), delimiter_of(r"\t"), delimiter_of(";")
        ('\t', '\t', ';')
    """
    character = DELIMITERS.get(name.lower(), {r"\t": "\t"}.get(name, name))
    printable = character.isascii() and (character.isprintable() or character == "\t")
    if character and (len(character) != 1 or not printable or character.isalnum() or character in "\"' "):
        raise ValueError(f"no delimiter: expected one character such as ; or |, or {', '.join(DELIMITERS)}")
    return character


def encoding_of(name: str) -> str:
    """Return Python's name of an encoding of text that contains ASCII, or of UTF-16 or UTF-32.

    Raises:
        RowsError: There is none of that name.

    Example:
        >>> encoding_of("windows-1252"), encoding_of("UTF8")
        ('cp1252', 'utf-8')
    """
    if not name:
        return ""
    try:
        codec = codecs.lookup(name).name if name.isascii() else ""
        plain = codec.replace("-", "_") not in _NOT_PLAIN and b"".decode(codec) == ""
        if plain and (codec.startswith(("utf-16", "utf-32")) or _ASCII.decode(codec) == _ASCII.decode("ascii")):
            return {"utf-8-sig": "utf-8"}.get(codec, codec)
    except (LookupError, ValueError):
        pass
    hint = "name one of Python's, such as utf-8, utf-16, cp1252, latin-1, gb18030 or shift_jis"
    raise RowsError("unsupported_encoding", problem="no encoding of that name can be read", hint=hint)


@dataclass(frozen=True)
class Format:
    """How to read a file: everything that the reader of one chunk needs to know of the rest."""

    kind: str
    """"jsonl", "json" (an array), "csv" or "txt"."""
    compressed: bool = False
    """The file is a gzip."""
    encoding: str = ""
    """Empty until the file is opened: UTF-8, or UTF-16 with a byte order mark."""
    text_column: str | None = None
    """None until the file is opened: `text`, or else what is clearly the texts."""
    id_column: str = "id"
    columns: tuple[int, int, int] = (0, 0, -1)
    """CSV only: number of columns, index of the text column, index of the id column (-1: none)."""
    label_column: str | None = None
    """None until the file is opened: `label`, or else what is clearly the labels."""
    label_index: int = -1
    """CSV only."""
    labelled: bool = False
    """Labels are read, and ids are not."""
    delimiter: str = ""
    """CSV only; empty until the file is opened."""
    header: bool = True
    """CSV only: the first record names the columns."""
    rules: int = RULES
    kept: tuple[str, ...] | None = None
    """None: rows keep their text and id only. Else they keep their other columns, which have these names in CSV."""

    @property
    def seekable(self) -> bool:
        """A range of the text is the same range of the file's bytes."""
        return not self.compressed and self.encoding in ("", "utf-8")

    @classmethod
    def of(
        cls, name: str, text_column: str | None = None, id_column: str = "id", reading: Reading | None = None
    ) -> "Format":
        """Return the format that a file's name and its user tell.

        Raises:
            RowsError: The name ends in none of READERS.

        Examples:
            >>> Format.of("reviews.CSV.gz").kind, Format.of("reviews.CSV.gz").compressed
            ('csv', True)
        """
        bare, reading = name.lower().removesuffix(".gz"), reading or Reading()
        for suffix in READERS:
            if bare.endswith(suffix):
                return cls(
                    _KINDS.get(suffix[1:], suffix[1:]),
                    bare != name.lower(),
                    reading.encoding,
                    text_column,
                    id_column,
                    delimiter=reading.delimiter or ("\t" if suffix == ".tsv" else ""),
                    header=reading.header,
                )
        raise RowsError("unknown_format", name, hint=export_hint(name))

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Format":
        """Return the format that `to_dict` described, in this version or an earlier one."""
        names = value["kind"], value["packed"], value["encoding"], value["text"], value["id"]
        kept = tuple(value["kept"]) if "kept" in value else None
        later = {"delimiter": value.get("delimiter", ","), "rules": value.get("rules", 1), "kept": kept}
        return cls(*names, columns=tuple(value["columns"]), **later)

    def to_dict(self) -> dict[str, Any]:
        """Return an opened format as JSON for a job, which has no labels. Later versions only add keys."""
        return {
            "kind": self.kind,
            "packed": self.compressed,
            "encoding": self.encoding,
            "text": self.text_column,
            "id": self.id_column,
            "columns": list(self.columns),
            "delimiter": self.delimiter,
            "rules": self.rules,
            **({} if self.kept is None else {"kept": list(self.kept)}),
        }
