"""Labelled texts in: the IMDB reviews as an archive or a folder, or a file of your own in CSV or JSONL.

IMDB is the Large Movie Review Dataset v1.0 (Maas et al. 2011). Archives are streamed, never unpacked to disk.
"""

import csv
import gzip
import hashlib
import io
import json
import re
import tarfile
import urllib.error
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

Ints = NDArray[np.int64]

ADDRESS = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
BYTES = 84_125_825
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
CITATION = (
    "Maas, A. L., Daly, R. E., Pham, P. T., Huang, D., Ng, A. Y. and Potts, C. (2011). "
    "Learning Word Vectors for Sentiment Analysis. ACL 2011, 142-150."
)
LICENCE = "research data; its authors state no licence and ask to be cited"
IMDB_LABELS = {"neg": "negative", "pos": "positive"}
_REVIEW = re.compile(r"(?:^|/)(train|test)/(neg|pos|unsup)/(\d+)_(\d+)\.txt$")
_ARCHIVES = (".tar.gz", ".tgz", ".tar")
_SECONDS = 30  # without a byte from the server


class DataError(Exception):
    """The data cannot be used. One line: what is wrong and what would do; never a text of the data."""


@dataclass(frozen=True)
class Dataset:
    """Texts, and for each the place of its label in `labels`."""

    name: str
    labels: tuple[str, ...]
    texts: list[str]
    targets: Ints
    digest: str
    """SHA-256 (hex) of every text and label in order: the same from an archive and from its unpacked folder."""
    source: str
    citation: str = ""
    licence: str = "the owner's own"
    test_texts: list[str] = field(default_factory=list)
    test_targets: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    unlabelled: list[str] = field(default_factory=list)


def load(data: Path | None, text: str = "text", label: str = "label", cache: Path = Path(".data")) -> Dataset:
    """What `data` holds; the official archive, downloaded to `cache`, where it is None. Raises DataError."""
    path = download(cache) if data is None else data
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.is_dir():
        return _imdb(_from_folder(path), path)
    if path.name.endswith(_ARCHIVES):
        return _imdb(_from_archive(path), path)
    return _own(path, text, label)


def split(texts: Sequence[str], targets: Ints, fraction: float = 0.1, seed: int = 0) -> tuple[Ints, Ints]:
    """Rows to train on and rows to validate on: `fraction` of each label, copies of a text always on one side."""
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        groups.setdefault(text, []).append(row)
    by_label: dict[int, list[list[int]]] = {}
    for rows in groups.values():
        by_label.setdefault(int(targets[rows[0]]), []).append(rows)
    random, held = np.random.default_rng(seed), np.zeros(len(texts), bool)
    for _, own in sorted(by_label.items()):
        wanted = round(fraction * sum(map(len, own)))
        for place in random.permutation(len(own))[1:]:  # one at least stays to be learnt from, one at least is held out
            held[own[place]] = True
            wanted -= len(own[place])
            if wanted <= 0:
                break
    return np.flatnonzero(~held), np.flatnonzero(held)


def copies(texts: Sequence[str], others: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the others are exact copies of one of the texts."""
    known = set(texts)
    return np.array([text in known for text in others], bool)


def download(cache: Path, address: str = ADDRESS, size: int = BYTES, sha256: str = SHA256) -> Path:
    """The official archive, whole and checked; a download that broke off goes on where it stopped. Raises DataError."""
    target = cache / address.rsplit("/", 1)[-1]
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        _fetch(address, part, size)
    except OSError as error:
        raise DataError(
            f"{address} cannot be fetched ({getattr(error, 'reason', error)}); run the same command again to go on, "
            "or fetch it elsewhere and pass DATA=path"
        ) from error
    with part.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if part.stat().st_size != size or actual != sha256:
        found = part.stat().st_size
        part.unlink()
        raise DataError(f"{address} gave {found} bytes with SHA-256 {actual}; expected {size} with {sha256}; try again")
    return part.rename(target)


def _fetch(address: str, part: Path, size: int) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have >= size:
        return
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_SECONDS) as response:
        resumed = response.status == 206
        bar = tqdm(total=size, initial=have if resumed else 0, desc=part.stem, unit="B", unit_scale=True, disable=None)
        with part.open("ab" if resumed else "wb") as file, bar:
            while chunk := response.read(1 << 16):
                bar.update(file.write(chunk))
    if part.stat().st_size < size:
        raise OSError(f"the connection ended after {part.stat().st_size} of {size} bytes")


Review = tuple[str, str, int, str]  # split, folder, number, text


def _from_folder(path: Path) -> Iterator[Review]:
    root = path / "aclImdb" if (path / "aclImdb").is_dir() else path
    for file in tqdm(sorted(root.glob("t*/*/*.txt")), desc="reading", unit="file", leave=False, disable=None):
        if found := _REVIEW.search(file.as_posix()):
            yield found[1], found[2], int(found[3]), _decoded(file.read_bytes(), file.name)


def _from_archive(path: Path) -> Iterator[Review]:
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in tqdm(archive, desc="reading", unit=" files", leave=False, disable=None):
                found = _REVIEW.search(member.name)
                file = archive.extractfile(member) if found and member.isfile() else None
                if found and file:
                    yield found[1], found[2], int(found[3]), _decoded(file.read(), member.name)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is truncated or damaged ({error}); fetch it again") from error


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start + 1} is not UTF-8; save it as UTF-8") from error


def _imdb(reviews: Iterator[Review], path: Path) -> Dataset:
    groups: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for part, folder, number, text in reviews:
        groups.setdefault((part, folder), []).append((number, text))
    missing = [
        f"{part}/{folder}" for part in ("train", "test") for folder in IMDB_LABELS if (part, folder) not in groups
    ]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}: expected the layout of aclImdb_v1.tar.gz")
    texts = {place: [text for _, text in sorted(rows)] for place, rows in groups.items()}
    content = hashlib.sha256()
    for place in sorted(texts):
        for text in texts[place]:
            _digest(content, text, "/".join(place))
    (train, train_targets), (test, test_targets) = (
        (
            [text for folder in IMDB_LABELS for text in texts[part, folder]],
            np.repeat(np.arange(len(IMDB_LABELS)), [len(texts[part, folder]) for folder in IMDB_LABELS]),
        )
        for part in ("train", "test")
    )
    labels = tuple(IMDB_LABELS.values())
    _check_labels(labels, train, train_targets, path)
    unlabelled = texts.get(("train", "unsup"), [])
    name = "Large Movie Review Dataset v1.0 (IMDB)"
    known = (content.hexdigest(), ADDRESS, CITATION, LICENCE)
    return Dataset(name, labels, train, train_targets, *known, test, test_targets, unlabelled)


def _own(path: Path, text: str, label: str) -> Dataset:
    name = path.name.removesuffix(".gz")
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows}
    suffix = Path(name).suffix.lower()
    if suffix not in readers:
        raise DataError(f"{path}: expected .tar.gz, a folder, .csv or .jsonl (or .csv.gz, .jsonl.gz)")
    rows = list(readers[suffix](_decoded(_content(path), path.name).removeprefix("\ufeff"), path.name, (text, label)))
    if not rows:
        raise DataError(f"{path} has no rows")
    labels = tuple(sorted({label for _, label in rows}))
    targets = np.array([labels.index(label) for _, label in rows], np.int64)
    _check_labels(labels, [text for text, _ in rows], targets, path)
    content = hashlib.sha256()
    for row in rows:
        _digest(content, *row)
    return Dataset(Path(name).stem, labels, [text for text, _ in rows], targets, content.hexdigest(), path.name)


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is truncated or damaged ({error})") from error


def _csv_rows(content: str, name: str, columns: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """RFC 4180: a header, quotes doubled within quotes, line ends within quotes kept."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    try:
        header = next(reader, [])
        places = [_place(name, header, column) for column in columns]
        for number, cells in enumerate(reader, 2):
            if cells and len(cells) != len(header):
                raise DataError(f"{name}: row {number} has {len(cells)} cells, the header has {len(header)}")
            if cells:
                yield _row(name, number, *(cells[place] for place in places))
    except csv.Error as error:
        raise DataError(f"{name}: not CSV in line {reader.line_num}: {error}") from error


def _place(name: str, header: Sequence[str], column: str) -> int:
    if header.count(column) != 1:
        found = "no" if column not in header else "more than one"
        names = ", ".join(header) or "none"
        raise DataError(f"{name} has {found} column {column!r}; its columns: {names}; name yours with TEXT= and LABEL=")
    return header.index(column)


def _jsonl_rows(content: str, name: str, columns: tuple[str, str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(content.split("\n"), 1):  # not splitlines, which cuts at U+0085 and others too
        if line.strip():
            yield _row(name, number, *_fields(name, number, line, columns))


def _fields(name: str, number: int, line: str, columns: tuple[str, str]) -> list[object]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: line {number} is not JSON") from error
    if not isinstance(row, dict):
        raise DataError(f"{name}: line {number} is not a JSON object")
    for column in columns:
        if column not in row:
            raise DataError(f"{name}: line {number} has no {column!r}; name yours with TEXT= and LABEL=")
    return [row[column] for column in columns]


def _row(name: str, number: int, text: object, label: object) -> tuple[str, str]:
    if isinstance(label, bool | int):
        label = str(label).lower()
    if not isinstance(text, str) or not isinstance(label, str):
        raise DataError(f"{name}: row {number}: the text must be a string, the label a string or a whole number")
    if not label.strip():
        raise DataError(f"{name}: row {number} has an empty label")
    return text, label.strip()


def _check_labels(labels: Sequence[str], texts: Sequence[str], targets: Ints, path: Path) -> None:
    if len(labels) < 2:
        raise DataError(f"{path} has one label only; a classifier needs at least two")
    distinct = Counter(target for target, _ in set(zip(targets.tolist(), texts, strict=True)))
    for place, count in sorted(distinct.items()):
        if count < 2:
            raise DataError(
                f"{path}: label {labels[place]!r} has one text; each label needs at least two different ones"
            )


def _digest(content: "hashlib._Hash", *parts: str) -> None:
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        content.update(len(encoded).to_bytes(8, "big") + encoded)
