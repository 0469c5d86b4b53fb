"""Read labelled texts: the IMDB reviews from an archive or a folder, or your own from a CSV or JSONL file.

IMDB is the Large Movie Review Dataset v1.0 (Maas et al. 2011). Archives are streamed and never unpacked to disk.
This module needs no TensorFlow, so that faults of the data are reported before TensorFlow has loaded.
"""

import gzip
import hashlib
import re
import tarfile
import urllib.request
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, cast
from urllib.error import HTTPError

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from candor.batch.faults import export_hint, named_labels
from candor.batch.labelled import LabelledRow, content_digest, copy_key, line_list, read_all, read_labelled, remarks
from candor.batch.labels import RESERVED, is_reserved
from candor.batch.rows import READERS, Reading, RowsError, read, shown
from candor.errors import HintedError
from candor.limits import MAX_SHOWN_LINES, MAX_SHOWN_NAMES
from candor.model.bundle import NOT_STATED

Ints = NDArray[np.int64]

IMDB_HOME = "https://ai.stanford.edu/~amaas/data/sentiment"
ARCHIVE_URL = f"{IMDB_HOME}/aclImdb_v1.tar.gz"
ARCHIVE_BYTES = 84_125_825
ARCHIVE_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
IMDB = "IMDB Large Movie Review Dataset"
CITATION = (
    "Maas, A. L., Daly, R. E., Pham, P. T., Huang, D., Ng, A. Y. and Potts, C. (2011). "
    "Learning Word Vectors for Sentiment Analysis. ACL 2011, 142-150."
)
LICENCE = "research data; no licence stated by its authors; cite Maas et al. 2011"
IMDB_LABELS = {"neg": "negative", "pos": "positive"}
"""Label by the name of its folder."""
IMDB_GOLDEN = Path(__file__).parent / "golden/imdb.jsonl"
"""Golden cases of models of IMDB."""

FEW_LABELLED, MANY_DIFFERENT = 10, 0.8
"""Rows, and different labels a row, from which on the labels are likely to be texts."""
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_LABELLED_FOLDERS = [(part, folder) for part in ("train", "test") for folder in IMDB_LABELS]
_FOLDERS = [*_LABELLED_FOLDERS, ("train", "unsup")]
_MEMBER = re.compile(r"(?:\./)?(?:aclImdb/)?(train|test)/(neg|pos|unsup)/([^/]+)")
_REVIEW = re.compile(r"([0-9]+)_([0-9]+)\.txt")  # its number and its rating of 1 to 10 stars, 0 for unlabelled ones
_TIMEOUT = 30  # seconds without a byte from the server
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
_SUPPORTED = (
    "pass a .csv, .tsv, .jsonl or .json file (also with .gz), a folder with a sub-folder of .txt files for each label, "
    "or IMDB as a folder, .tar.gz, .tgz or .tar"
)


class DataError(HintedError):
    """The data cannot be used."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Texts and the index of each one's label.

    Two data sets with the same `digest` hold the same texts with the same labels in the same order.
    """

    name: str
    labels: tuple[str, ...]
    """K ≥ 2 names."""
    texts: list[str]
    """n texts to train and validate on."""
    targets: Ints
    """[n] index in `labels` of each text's label."""
    test_texts: list[str] = field(default_factory=list)
    """m texts to test on, of an official test split or of a file of the user's, if there is either."""
    test_targets: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """[m] index in `labels` of each test text's label."""
    test_lines: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """[m] line of the file where each test text begins, as `lines`."""
    test_name: str = ""
    """What the test texts are, such as "official test split"."""
    test_digest: str = ""
    """SHA-256 (hex) of the content of a file of test texts; an official split is in `digest`."""
    unlabelled: list[str] = field(default_factory=list)
    lines: Ints
    """[n] line of the file where each text begins, from 1; of IMDB, its number among the texts"""
    files: tuple[str, ...] = ()
    """[n] file of each text, where there are several"""
    digest: str
    """SHA-256 (hex) of the content, whatever file or folder it came in."""
    source: str
    citation: str = ""
    licence: str = NOT_STATED
    remarks: tuple[str, ...] = ()
    """Sentences on what was found out, left out, or is worth a look; none shows a text."""


def load(
    data: Path | Sequence[Path] | None,
    text_column: str | None = None,
    label_column: str | None = None,
    unlabelled: Path | None = None,
    test: Path | None = None,
    cache: Path = Path(".data"),
    *,
    reading: Reading | None = None,
    skip_bad_rows: bool = False,
) -> Dataset:
    """Read a data set. Rows whose label is empty are texts without a label.

    Args:
        data: An archive (.tar.gz, .tgz, .tar) or a folder with IMDB's layout; or one or more files with a text and a
            label in each row, or folders as candor.batch.labelled reads them. None: the official IMDB archive.
        text_column: The column of texts, or field of JSON. None: `text`, or else what is clearly the texts.
        label_column: The column of labels, likewise.
        unlabelled: A file of more texts without a label, in any format that candor.batch.rows reads.
        test: A file to test on, with the same columns. It takes the place of an official test split.
        cache: The folder to download IMDB to.
        reading: What the user says about the files.
        skip_bad_rows: Leave out rows that cannot be used, and labels with fewer than two different texts.

    Raises:
        DataError: The data cannot be read, or a classifier cannot be trained on it.
    """
    paths = [download(cache)] if data is None else [data] if isinstance(data, Path) else list(data)
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist")
    if len(paths) == 1 and _is_imdb(paths[0]):
        with readable(paths[0]):
            dataset = _imdb(_reviews(paths[0]), paths[0])
    else:
        dataset = _own(paths, text_column, label_column, reading, skip_bad_rows=skip_bad_rows)
    if unlabelled is not None:
        dataset = _with_unlabelled(dataset, unlabelled, text_column, reading)
    if test is not None:
        dataset = _with_test(dataset, test, text_column, label_column, reading)
    return dataset


def _is_imdb(path: Path) -> bool:
    if path.is_dir():
        return any((path / name).is_dir() for name in ("aclImdb", "train", "test"))
    return path.name.lower().endswith(_ARCHIVES)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise DataError, with a remedy, where a file cannot be read."""
    try:
        yield
    except RowsError as error:
        raise DataError(str(error), error.hint) from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is truncated or damaged", "fetch or copy it again") from error
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _with_unlabelled(dataset: Dataset, path: Path, text_column: str | None, reading: Reading | None) -> Dataset:
    """Add the texts of a file without labels. Rows that cannot be read or are blank are left out."""
    with readable(path), path.open("rb") as file:
        texts = [row.text for row in read(file, path.name, text_column, reading=reading) if not row.error]
    if not texts:
        raise DataError(f"{path} has no text that can be read", "pass a .csv, .jsonl or .txt file of texts")
    digest = content_digest([("", dataset.digest), *(("", text) for text in texts)])
    return replace(dataset, unlabelled=[*dataset.unlabelled, *texts], digest=digest)


def _with_test(
    dataset: Dataset, path: Path, text_column: str | None, label_column: str | None, reading: Reading | None
) -> Dataset:
    """Test on the texts of a file. At least one must not be among the texts to train on."""
    said: list[str] = []
    with readable(path):
        rows = list(read_all([path], text_column, label_column, reading, say=said.append))
    if not rows:
        raise DataError(f"{path} has no row to test on", "it needs a text and a label in each row")
    index = {label: number for number, label in enumerate(dataset.labels)}
    if unknown := Counter(row.label for row in rows if row.label not in index):
        raise DataError(
            f"{path}: {unknown.total():,} of {len(rows):,} rows have labels that the data to train on lacks: "
            f"{named_labels(unknown)}",
            "train on rows of these labels, too, or leave them out of the test",
        )
    texts = [row.text for row in rows]
    if find_copies(dataset.texts, texts).all():
        raise DataError(f"every text of {path} is also in the data to train on", "test on texts that are not")
    return replace(
        dataset,
        test_texts=texts,
        test_targets=np.array([index[row.label] for row in rows], np.int64),
        test_lines=np.array([row.line for row in rows], np.int64),
        test_name=f"test file {path.name}",
        remarks=(*dataset.remarks, *(f"{path.name}: {sentence}" for sentence in said)),
        test_digest=content_digest((row.text, row.label) for row in rows),
    )


def load_golden(path: Path, labels: Sequence[str]) -> list[LabelledRow]:
    """Read golden cases: texts whose label a person knows.

    Args:
        path: A .jsonl or .csv file with the columns `text` and `label`.
        labels: The labels that a case may have.

    Returns:
        Texts with their labels, file and lines.

    Raises:
        DataError: The file cannot be read, or has another label.
    """
    with readable(path), path.open("rb") as file:
        rows = list(read_labelled(file, path.name))
    for row in rows:
        if row.label not in labels:
            known = ", ".join(map(shown, labels[:MAX_SHOWN_NAMES]))
            known += f" or {len(labels) - MAX_SHOWN_NAMES} others" * (len(labels) > MAX_SHOWN_NAMES)
            problem = f"{path.name}: the data has no label {shown(row.label)}, as line {row.line} has"
            raise DataError(problem, f"use {known}")
    return [row._replace(file=path.name) for row in rows]


def folds(texts: Sequence[str], targets: Ints, n_folds: int, seed: int = 0) -> list[tuple[Ints, Ints]]:
    """Split texts at random into folds, to learn from all but one of them and score that one.

    Copies of a text share a fold. The texts of each label are spread evenly, and each label keeps some to learn from.

    Args:
        texts: n texts.
        targets: [n] label indices.
        n_folds: Number of folds.
        seed: Seed of the draw.

    Returns:
        For each fold the indices of the texts to learn from and of those to score, each ascending. Folds that would be
        empty are left out.

    Example:
        >>> [held_out.tolist() for _, held_out in folds(["a", "b", "c", "d"], np.array([0, 0, 1, 1]), 2)]
        [[0, 2], [1, 3]]
    """
    random, fold = np.random.default_rng(seed), np.zeros(len(texts), np.int64)
    by_label: dict[int, list[list[int]]] = {}
    for rows in _groups(texts):
        by_label.setdefault(int(targets[rows[0]]), []).append(rows)
    sizes = np.zeros(n_folds, np.int64)
    for _, groups in sorted(by_label.items()):
        own = np.zeros(n_folds, np.int64)
        for index in sorted(random.permutation(len(groups)).tolist(), key=lambda index: -len(groups[index])):
            chosen = min(range(n_folds), key=lambda each: (own[each], sizes[each]))
            fold[groups[index]] = chosen
            own[chosen] += len(groups[index])
            sizes[chosen] += len(groups[index])
    every = [(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in range(n_folds)]
    return [each for each in every if len(each[1])]


def find_copies(train_texts: Sequence[str], test_texts: Sequence[str]) -> NDArray[np.bool_]:
    """Return [m] which of m test texts equal a training text, white space and HTML line breaks (`<br />`) aside.

    Example:
        >>> find_copies(["a<br />b"], ["ab", "a b"]).tolist()
        [True, False]
    """
    known = {copy_key(text) for text in train_texts}
    return np.array([copy_key(text) in known for text in test_texts], bool)


def without_breaks(text: str) -> str:
    """Return a text without HTML line breaks (`<br />`), which some copies of IMDB lack."""
    return _BREAK.sub("", text)


def _groups(texts: Sequence[str]) -> list[list[int]]:
    """Return the indices of each different text; copies share a group."""
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        groups.setdefault(copy_key(text), []).append(row)
    return list(groups.values())


def download(cache: Path, url: str = ARCHIVE_URL, size: int = ARCHIVE_BYTES, sha256: str = ARCHIVE_SHA256) -> Path:
    """Download the official archive, unless it is in the cache. A download that broke off is resumed.

    Args:
        cache: The folder that keeps the archive.
        url: The archive's address.
        size: Its size in bytes.
        sha256: Its SHA-256 (hex).

    Returns:
        The path of the archive, whose size and checksum are right.

    Raises:
        DataError: The archive cannot be fetched, or is not the official one.
    """
    target = cache / url.rsplit("/", 1)[-1]
    part = target.with_name(target.name + ".part")
    if target.exists():
        return _check_archive(target, size, sha256, f"move it away, or pass its path to use it as it is: {target}")
    try:
        with _folder(cache):
            _fetch(url, part, size)
            try:
                return _check_archive(part, size, sha256, "it has been deleted; run the same command again").rename(
                    target
                )
            except DataError:
                part.unlink()
                raise
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{url} cannot be fetched ({getattr(error, 'reason', error)})",
            "run the same command again to go on where it stopped, or fetch it by hand and pass its path",
        ) from error


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Make a folder if there is none, and remove it again if it stays empty."""
    made = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if made and not any(path.iterdir()):
            path.rmdir()


def _check_archive(path: Path, size: int, sha256: str, hint: str) -> Path:
    with path.open("rb") as file:
        actual_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    actual_size = path.stat().st_size
    if (actual_size, actual_sha256) != (size, sha256):
        raise DataError(
            f"{path} is not the official archive: {actual_size} bytes with checksum {actual_sha256[:12]}…, "
            f"not {size} with {sha256[:12]}…",
            hint,
        )
    return path


def _fetch(url: str, part: Path, size: int) -> None:
    """Fetch all bytes into `part`, over several connections as long as each of them gets further."""
    before = -1
    while before < (have := _size(part)) < size:
        before = have
        _fetch_rest(url, part, size)
    if have < size:
        raise OSError(f"the connection ended after {have} of {size} bytes")


def _fetch_rest(url: str, part: Path, size: int) -> None:
    have = _size(part)
    with _request(url, have) as response:
        resumed = response.status == 206  # a server that ignores Range answers 200 and starts from the first byte
        bar = tqdm(total=size, initial=have if resumed else 0, desc=part.stem, unit="B", unit_scale=True, disable=None)
        with part.open("ab" if resumed else "wb") as file, bar:
            while file.tell() <= size and (chunk := response.read(1 << 16)):
                bar.update(file.write(chunk))


def _request(url: str, start: int) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        return cast(HTTPResponse, urllib.request.urlopen(request, timeout=_TIMEOUT))
    except HTTPError as error:
        with error:  # it holds the connection
            raise OSError(f"{error.code} {error.reason}") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reviews(path: Path) -> "Iterator[Review]":
    return _reviews_of_folder(path) if path.is_dir() else _reviews_of_archive(path)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}: line {line} is not UTF-8", "save it as UTF-8") from None  # the cause holds the text


# IMDB

Review = tuple[tuple[str, str], str, str]
"""Its folder, such as ("train", "neg"), its file name and its text."""


def _reviews_of_folder(path: Path) -> Iterator[Review]:
    root = path / "aclImdb" if (path / "aclImdb").is_dir() else path
    files = [(folder, file) for folder in _FOLDERS for file in root.joinpath(*folder).glob("*.txt")]
    for folder, file in tqdm(files, desc="reading", unit=" files", leave=False, disable=None):
        if _REVIEW.fullmatch(file.name):
            yield folder, file.name, _decoded(file.read_bytes(), str(file))


def _reviews_of_archive(path: Path) -> Iterator[Review]:
    size = path.stat().st_size
    with path.open("rb") as file, tqdm.wrapattr(file, "read", size, desc="reading", leave=False, disable=None) as read:
        content = _Blocks(_unpacked(read))
        with tarfile.open(fileobj=cast(IO[bytes], content), mode="r|", bufsize=tarfile.BLOCKSIZE) as archive:
            for member in archive:
                match = _MEMBER.fullmatch(member.name)
                if match and member.isfile() and _REVIEW.fullmatch(match[3]):
                    text = archive.extractfile(member)
                    assert text is not None  # it is None for folders and links only
                    yield (match[1], match[2]), match[3], _decoded(text.read(), f"{path}: {member.name}")
        content.finish()


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return the content of a file that is gzip (RFC 1952), and another file as it is."""
    magic = file.read(2)
    file.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=file)) if magic == b"\x1f\x8b" else file


class _Blocks:
    """Read a tar file by the block, to see where tarfile stopped: it takes a damaged or missing header for the end.

    The true end is a block of zeros (POSIX.1-2017, pax, ustar); gzip's checksum comes after it.
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
    files: dict[tuple[str, str], dict[str, str]] = {folder: {} for folder in _FOLDERS}
    for folder, name, text in reviews:
        files.get(folder, {})[name] = text
    missing = ["/".join(folder) for folder in _LABELLED_FOLDERS if not files[folder]]
    if missing:
        raise DataError(f"{path} has no reviews in {', '.join(missing)}", "expected is the layout of aclImdb_v1.tar.gz")
    texts = {folder: [named[name] for name in sorted(named, key=_number)] for folder, named in files.items()}
    (train, targets), (test, test_targets) = _labelled(texts, "train"), _labelled(texts, "test")
    labels = tuple(IMDB_LABELS.values())
    rows = [LabelledRow(0, text, labels[target]) for text, target in zip(train, targets.tolist(), strict=True)]
    _check_labels(labels, rows, str(path))
    return Dataset(
        name=IMDB,
        labels=labels,
        texts=train,
        targets=targets,
        test_texts=test,
        test_targets=test_targets,
        test_lines=np.arange(1, len(test) + 1),
        test_name="official test split",
        unlabelled=texts["train", "unsup"],
        lines=np.arange(1, len(train) + 1),
        digest=content_digest((text, "/".join(folder)) for folder in _FOLDERS for text in texts[folder]),
        source=IMDB_HOME,
        citation=CITATION,
        licence=LICENCE,
    )


def _number(name: str) -> tuple[int, str]:
    return int(name.partition("_")[0]), name


def _labelled(texts: Mapping[tuple[str, str], list[str]], part: str) -> tuple[list[str], Ints]:
    groups = [texts[part, folder] for folder in IMDB_LABELS]
    targets = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return [text for group in groups for text in group], targets


# Files of one's own


def _own(
    paths: Sequence[Path],
    text_column: str | None,
    label_column: str | None,
    reading: Reading | None,
    *,
    skip_bad_rows: bool,
) -> Dataset:
    said: list[str] = []
    for path in paths:
        if path.is_file() and not path.name.lower().removesuffix(".gz").endswith(READERS):
            raise DataError(f"{path} is of an unknown kind", export_hint(path.name, _SUPPORTED))
    with readable(paths[0]):
        rows = list(
            read_all(
                paths,
                text_column,
                label_column,
                reading,
                unlabelled=True,
                skip_bad_rows=skip_bad_rows,
                say=said.append,
            )
        )
    named = ", ".join(str(path) for path in paths)
    if skip_bad_rows:
        rows = _without_lone_labels(rows, said.append)
    labelled = [row for row in rows if row.label]
    if not labelled:
        problem = f"{named} has no row with a label" if rows else f"{named} is empty"
        raise DataError(problem, "it needs a text and a label in each row, and at least two labels")
    labels = tuple(sorted({row.label for row in labelled}))
    index = {label: number for number, label in enumerate(labels)}
    texts, targets = [row.text for row in labelled], np.array([index[row.label] for row in labelled], np.int64)
    _check_labels(labels, labelled, named)
    return Dataset(
        name=re.sub(
            r"\.(csv|tsv|jsonl|ndjson|json)(\.gz)?$",
            "",
            (paths[0].name or paths[0].resolve().name),
            flags=re.IGNORECASE,
        ),
        labels=labels,
        texts=texts,
        targets=targets,
        unlabelled=[row.text for row in rows if not row.label],
        lines=np.array([row.line for row in labelled], np.int64),
        files=tuple(row.file for row in labelled) if labelled[0].file else (),
        digest=content_digest((row.text, row.label) for row in rows),
        source=", ".join(path.name or path.resolve().name for path in paths),
        remarks=(*said, *remarks(rows)),
    )


def _without_lone_labels(rows: list[LabelledRow], say: Callable[[str], None]) -> list[LabelledRow]:
    """Leave out the rows of labels that have fewer than two texts of their own."""
    lone = _lone_labels([row for row in rows if row.label])
    if lone:
        say(f"{_listed_labels(lone)}: left out")
    return [row for row in rows if row.label not in lone]


def _lone_labels(rows: Sequence[LabelledRow]) -> dict[str, list[LabelledRow]]:
    """Return the rows of each label that has no two texts which `folds` could hold apart."""
    firsts: dict[str, LabelledRow] = {}
    for row in rows:
        firsts.setdefault(copy_key(row.text), row)
    n_texts = Counter(row.label for row in firsts.values())
    lone: dict[str, list[LabelledRow]] = {}
    for row in rows:
        if n_texts[row.label] < 2:
            lone.setdefault(row.label, []).append(row)
    return lone


def _listed_labels(lone: Mapping[str, Sequence[LabelledRow]]) -> str:
    listed = []
    for label, rows in list(lone.items())[:MAX_SHOWN_LINES]:
        has = "1 row" if len(rows) == 1 else f"{len(rows)} rows but no two texts of its own"
        where = line_list([row.line for row in rows])
        listed.append(f"label {shown(label)} has {has} ({rows[0].file + ' ' if rows[0].file else ''}{where})")
    more = [f"{len(lone) - MAX_SHOWN_LINES} more such labels"] if len(lone) > MAX_SHOWN_LINES else []
    return "; ".join([*listed, *more])


def _check_labels(labels: Sequence[str], rows: Sequence[LabelledRow], named: str) -> None:
    """Raise DataError unless each label has a text to train on and another to validate on, as `folds` draws them.

    No label may be called as the decision is where there is none.
    """
    if reserved := [label for label in labels if is_reserved(label)]:
        n_rows = sum(row.label in reserved for row in rows)
        named_label = f"label {shown(reserved[0])} of {n_rows:,} row{'s' * (n_rows > 1)}"
        raise DataError(
            f'{named}: the {named_label} is reserved: answers say "{RESERVED}" where they decide no label',
            "rename it, such as to unclear; or leave the cells empty, so that the rows are texts without a label",
        )
    if len(labels) < 2:
        raise DataError(f"{named} has one label only", "a classifier needs at least two")
    if lone := _lone_labels(rows):
        if len(rows) >= FEW_LABELLED and len(labels) >= MANY_DIFFERENT * len(rows):
            raise DataError(
                f"{named}: nearly every row has a label of its own: {len(labels):,} labels in {len(rows):,} rows",
                "are the columns swapped? pass --text-column and --label-column (make: TEXT and LABEL)",
            )
        raise DataError(
            f"{named}: {_listed_labels(lone)}",
            "each label needs two different texts, so that one can be held out; add some, or leave these labels out: "
            "--skip-bad-rows",
        )
