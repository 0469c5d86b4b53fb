"""Labelled texts in: the IMDB reviews as an archive or a folder, or a file of your own in CSV or JSONL.

IMDB is the Large Movie Review Dataset v1.0 (Maas et al. 2011). Archives are streamed, never unpacked to disk.
Standard library, NumPy and tqdm only, so that what is wrong with the data is said before TensorFlow has loaded.
"""

import csv
import gzip
import hashlib
import io
import json
import re
import tarfile
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any, cast
from urllib.error import HTTPError

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

Ints = NDArray[np.int64]
Row = tuple[str, str]
"""A text and its label."""

HOME = "https://ai.stanford.edu/~amaas/data/sentiment"
ADDRESS = f"{HOME}/aclImdb_v1.tar.gz"
BYTES = 84_125_825
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
IMDB = "IMDB Large Movie Review Dataset"
CITATION = (
    "Maas, A. L., Daly, R. E., Pham, P. T., Huang, D., Ng, A. Y. and Potts, C. (2011). "
    "Learning Word Vectors for Sentiment Analysis. ACL 2011, 142-150."
)
LICENCE = "research data; no licence stated by its authors; cite Maas et al. 2011"
IMDB_LABELS = {"neg": "negative", "pos": "positive"}
FIELD = 1 << 24
"""Characters in a CSV field. An open quote swallows what follows, and is better found early than after the last row."""

_LABELLED = [(part, folder) for part in ("train", "test") for folder in IMDB_LABELS]
_PLACES = [*_LABELLED, ("train", "unsup")]
_MEMBER = re.compile(r"(?:\./)?(?:aclImdb/)?(train|test)/(neg|pos|unsup)/([^/]+)")
_REVIEW = re.compile(r"([0-9]+)_([0-9]+)\.txt")  # its number and its rating of 1 to 10 stars, 0 for unlabelled ones
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_SECONDS = 30  # without a byte from the server
_SHOWN = 30  # characters of a column or label in a message: longer ones may be texts in the wrong place
_NAMES = "name yours with TEXT= and LABEL="


class DataError(Exception):
    """The data cannot be used. One line: what is wrong and what would do; never a text of the data."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Texts, and for each the place of its label in `labels` (K ≥ 2): targets (n,), int64, in 0 to K - 1.

    Two data sets with the same `digest` hold the same texts with the same labels in the same order.
    """

    name: str
    labels: tuple[str, ...]
    texts: list[str]
    targets: Ints
    test_texts: list[str] = field(default_factory=list)
    test_targets: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    unlabelled: list[str] = field(default_factory=list)
    digest: str
    """SHA-256 (hex) of the content, whatever file or folder it came in."""
    source: str
    citation: str = ""
    licence: str = "the owner's own"


def load(
    data: Path | None, text_column: str = "text", label_column: str = "label", cache: Path = Path(".data")
) -> Dataset:
    """What `data` holds; the official IMDB archive, downloaded to `cache`, where it is None. Raises DataError.

    An archive (.tar.gz, .tgz, .tar) or a folder has IMDB's layout. A .csv (RFC 4180, with a header) or .jsonl file, or
    either with .gz, has a text and a label a row; blanks around a label don't count.
    """
    path = download(cache) if data is None else data
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    try:
        return _read(path, (text_column, label_column))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is truncated or damaged; fetch or copy it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def split(texts: Sequence[str], targets: Ints, fraction: float = 0.1, seed: int = 0) -> tuple[Ints, Ints]:
    """Rows to train on and rows to validate on, sorted: about `fraction` of each label, copies always on one side.

    A label with two different texts or more has some on both sides.
    """
    random, held = np.random.default_rng(seed), np.zeros(len(texts), bool)
    by_label: dict[int, list[list[int]]] = {}
    for rows in _groups(texts):
        by_label.setdefault(int(targets[rows[0]]), []).append(rows)
    for _, groups in sorted(by_label.items()):
        held[_drawn(groups, fraction, random)] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def copies(train_texts: Sequence[str], test_texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which test texts (n,) are copies of training texts, to the character, HTML line breaks (`<br />`) aside."""
    known = {_unbroken(text) for text in train_texts}
    return np.array([_unbroken(text) in known for text in test_texts], bool)


def _unbroken(text: str) -> str:
    return _BREAK.sub("", text)


def _groups(texts: Sequence[str]) -> list[list[int]]:
    """Rows by text: copies share a group."""
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        groups.setdefault(_unbroken(text), []).append(row)
    return list(groups.values())


def _drawn(groups: Sequence[list[int]], fraction: float, random: np.random.Generator) -> list[int]:
    """Rows of whole groups that make up at most `fraction`, but of one group at least. The largest always stays."""
    wanted = fraction * sum(map(len, groups))
    largest = max(groups, key=len)
    others = [groups[place] for place in random.permutation(len(groups)) if groups[place] is not largest]
    drawn: list[int] = []
    for rows in others:
        if len(drawn) + len(rows) <= wanted:
            drawn += rows
    return drawn or min(others, key=len, default=[])


def download(cache: Path, address: str = ADDRESS, size: int = BYTES, sha256: str = SHA256) -> Path:
    """The official archive, whole and checked; a download that broke off goes on where it stopped. Raises DataError."""
    target = cache / address.rsplit("/", 1)[-1]
    part = target.with_name(target.name + ".part")
    if target.exists():
        return _checked(target, size, sha256, "move it away, or pass DATA=path to use it as it is")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _fetch(address, part, size)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{address} cannot be fetched ({getattr(error, 'reason', error)}): run the same command again to go on "
            "where it stopped, or fetch it by hand and pass DATA=path"
        ) from error
    try:
        return _checked(part, size, sha256, "it has been deleted; run the same command to try again").rename(target)
    except DataError:
        part.unlink()
        raise


def _checked(path: Path, size: int, sha256: str, remedy: str) -> Path:
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    found = path.stat().st_size
    if (found, actual) != (size, sha256):
        raise DataError(
            f"{path} is not the official archive: {found} bytes with checksum {actual[:12]}…, "
            f"not {size} with {sha256[:12]}…; {remedy}"
        )
    return path


def _fetch(address: str, part: Path, size: int) -> None:
    """All of it into `part`, over as many connections as it takes, as long as each gets further than the last."""
    before = -1
    while before < (have := _size(part)) < size:
        before = have
        _fetch_on(address, part, size)
    if have < size:
        raise OSError(f"the connection ended after {have} of {size} bytes")


def _fetch_on(address: str, part: Path, size: int) -> None:
    have = _size(part)
    with _answer(address, have) as response:
        resumed = response.status == 206  # a server that ignores Range answers 200 and starts from the first byte
        bar = tqdm(total=size, initial=have if resumed else 0, desc=part.stem, unit="B", unit_scale=True, disable=None)
        with part.open("ab" if resumed else "wb") as file, bar:
            while file.tell() <= size and (chunk := response.read(1 << 16)):
                bar.update(file.write(chunk))


def _answer(address: str, start: int) -> HTTPResponse:
    request = urllib.request.Request(address, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        return cast(HTTPResponse, urllib.request.urlopen(request, timeout=_SECONDS))
    except HTTPError as error:
        with error:  # it holds the connection
            raise OSError(f"{error.code} {error.reason}") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read(path: Path, columns: Row) -> Dataset:
    """By the end of its name; whether a file is packed shows in its content."""
    name = path.name.lower()
    if path.is_dir():
        return _imdb(_from_folder(path), path)
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        return _imdb(_from_archive(path), path)
    for suffix, rows in ((".csv", _csv_rows), (".jsonl", _jsonl_rows)):
        if name.endswith((suffix, f"{suffix}.gz")):
            return _own(rows(_content(path), path.name, columns), path)
    raise DataError(f"{path} is of an unknown kind: expected a folder, .tar.gz, .tgz, .tar, .csv or .jsonl (also .gz)")


def _opened(file: IO[bytes]) -> IO[bytes]:
    """Unpacked where it is gzip (RFC 1952), which no text in UTF-8 looks like."""
    magic = file.read(2)
    file.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=file)) if magic == b"\x1f\x8b" else file


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{where}: line {line} is not UTF-8; save it as UTF-8") from None  # the cause holds the text


Review = tuple[tuple[str, str], str, str]
"""Its place, such as ("train", "neg"), its file name and its text."""


def _from_folder(path: Path) -> Iterator[Review]:
    root = path / "aclImdb" if (path / "aclImdb").is_dir() else path
    files = [(place, file) for place in _PLACES for file in root.joinpath(*place).glob("*.txt")]
    for place, file in tqdm(files, desc="reading", unit=" files", leave=False, disable=None):
        if _REVIEW.fullmatch(file.name):
            yield place, file.name, _decoded(file.read_bytes(), str(file))


def _from_archive(path: Path) -> Iterator[Review]:
    size = path.stat().st_size
    with path.open("rb") as file, tqdm.wrapattr(file, "read", size, desc="reading", leave=False, disable=None) as seen:
        content = _Blocks(_opened(seen))
        with tarfile.open(fileobj=cast(IO[bytes], content), mode="r|", bufsize=tarfile.BLOCKSIZE) as archive:
            for member in archive:
                found = _MEMBER.fullmatch(member.name)
                if found and member.isfile() and _REVIEW.fullmatch(found[3]):
                    text = archive.extractfile(member)
                    assert text is not None  # which only what is no file has
                    yield (found[1], found[2]), found[3], _decoded(text.read(), f"{path}: {member.name}")
        content.finish()


class _Blocks:
    """A tar file read by the block, to see where tarfile stopped: it takes a damaged or missing header for the end.

    A true end is a block of zeros (POSIX.1-2017, pax, ustar); gzip's checksum comes after it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.last = file, b""

    def read(self, size: int) -> bytes:
        self.last = self.file.read(size)
        return self.last

    def finish(self) -> None:
        if self.last != bytes(tarfile.BLOCKSIZE):
            raise EOFError
        while self.file.read(1 << 16):
            pass


def _imdb(reviews: Iterator[Review], path: Path) -> Dataset:
    files: dict[tuple[str, str], dict[str, str]] = {place: {} for place in _PLACES}
    for place, name, text in reviews:
        files.get(place, {})[name] = text
    missing = ["/".join(place) for place in _LABELLED if not files[place]]
    if missing:
        raise DataError(f"{path} has no reviews in {', '.join(missing)}: expected the layout of aclImdb_v1.tar.gz")
    texts = {place: [named[name] for name in sorted(named, key=_number)] for place, named in files.items()}
    (train, targets), (test, test_targets) = _labelled(texts, "train"), _labelled(texts, "test")
    labels = tuple(IMDB_LABELS.values())
    _check_labels(labels, train, targets, path)
    return Dataset(
        name=IMDB,
        labels=labels,
        texts=train,
        targets=targets,
        test_texts=test,
        test_targets=test_targets,
        unlabelled=texts["train", "unsup"],
        digest=_digest((text, "/".join(place)) for place in _PLACES for text in texts[place]),
        source=HOME,
        citation=CITATION,
        licence=LICENCE,
    )


def _number(name: str) -> tuple[int, str]:
    return int(name.partition("_")[0]), name


def _labelled(texts: Mapping[tuple[str, str], list[str]], part: str) -> tuple[list[str], Ints]:
    groups = [texts[part, folder] for folder in IMDB_LABELS]
    targets = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return [text for group in groups for text in group], targets


def _own(content: Iterator[Row], path: Path) -> Dataset:
    rows = list(content)
    if not rows:
        raise DataError(f"{path} is empty: it needs a text and a label a row, and at least two labels")
    labels = tuple(sorted({label for _, label in rows}))
    places = {label: place for place, label in enumerate(labels)}
    texts, targets = [text for text, _ in rows], np.array([places[label] for _, label in rows], np.int64)
    _check_labels(labels, texts, targets, path)
    name = re.sub(r"\.(csv|jsonl)(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    return Dataset(name=name, labels=labels, texts=texts, targets=targets, digest=_digest(rows), source=path.name)


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return _decoded(_opened(file).read(), path.name).removeprefix("\ufeff")


def _csv_rows(content: str, name: str, columns: Row) -> Iterator[Row]:
    """RFC 4180: a header, quotes doubled within quotes, line ends within quotes kept. The header is row 1."""
    csv.field_size_limit(FIELD)
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    try:
        header = next(reader, None)
        places = [_place(name, header, column) for column in columns] if header is not None else []
        for number, cells in enumerate(reader, 2):
            if cells:  # a blank line has none
                yield _cells(name, number, cells, places, len(header or ()))
    except csv.Error as error:
        line, limit = reader.line_num, f"a field holds at most {FIELD:,} characters, in closed quotes"
        raise DataError(f"{name}: not CSV up to line {line} ({error}); {limit}, its quotes doubled") from None


def _cells(name: str, number: int, cells: Sequence[str], places: Sequence[int], width: int) -> Row:
    if len(cells) != width:
        raise DataError(f"{name}: row {number} has {len(cells)} cells, the header {width}; quote texts with commas")
    return _row(name, number, *(cells[place] for place in places))


def _place(name: str, header: Sequence[str], column: str) -> int:
    if header.count(column) != 1:
        fault = f"{header.count(column)} columns" if column in header else "no column"
        raise DataError(f"{name} has {fault} named {column!r}, but {_names(header)}; {_NAMES}")
    return header.index(column)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(map(_shown, columns)) or "none"


def _shown(name: str) -> str:
    return repr(name) if len(name) <= _SHOWN else f"one of {len(name)} characters"


def _jsonl_rows(content: str, name: str, columns: Row) -> Iterator[Row]:
    for number, line in enumerate(content.split("\n"), 1):  # splitlines would also cut at U+0085 and others
        if line.strip(" \t\r"):
            yield _row(name, number, *_values(name, number, line, columns))


def _values(name: str, number: int, line: str, columns: Row) -> list[object]:
    try:
        row = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        place = f" (character {error.pos + 1})" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{name}: row {number} is not JSON{place}: one object a line, its keys distinct") from None
    if not isinstance(row, dict):
        raise DataError(f"{name}: row {number} is not an object such as {{{columns[0]!r}: …, {columns[1]!r}: …}}")
    for column in columns:
        if column not in row:
            raise DataError(f"{name}: row {number} has no column named {column!r}, but {_names([*row])}; {_NAMES}")
    return [row[column] for column in columns]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(row := dict(pairs)) < len(pairs):
        raise ValueError("a key comes twice")
    return row


def _row(name: str, number: int, text: object, label: object) -> Row:
    if isinstance(label, bool | int | float):
        label = json.dumps(label)
    if not isinstance(text, str) or not isinstance(label, str):
        wrong = "label is neither a string nor a number" if isinstance(text, str) else "text is not a string"
        raise DataError(f"{name}: the {wrong} in row {number}")
    label = label.strip()
    if not label or not label.isprintable():
        raise DataError(f"{name}: the label in row {number} is empty or cannot be printed; give every row a label")
    return text, label


def _check_labels(labels: Sequence[str], texts: Sequence[str], targets: Ints, path: Path) -> None:
    """Each label needs a text to learn from and another to validate on, which `split` puts on different sides."""
    if len(labels) < 2:
        raise DataError(f"{path} has one label only; a classifier needs at least two")
    own = Counter(int(targets[group[0]]) for group in _groups(texts))
    lacking = [place for place in range(len(labels)) if own[place] < 2]
    if lacking:
        count = int((targets == lacking[0]).sum())
        found = "1 row" if count == 1 else f"{count} rows but no two texts of its own"
        others = f" ({len(lacking)} such of {len(labels)} labels)" if len(lacking) > 1 else ""
        which = f"label {_shown(labels[lacking[0]])} has {found}{others}"
        raise DataError(f"{path}: {which}; each label needs two different texts, so that one can be held out")


def _digest(rows: Iterator[Row] | Sequence[Row]) -> str:
    content = hashlib.sha256()
    for part in (part for row in rows for part in row):
        encoded = part.encode("utf-8", "surrogatepass")
        content.update(len(encoded).to_bytes(8, "big") + encoded)
    return content.hexdigest()
