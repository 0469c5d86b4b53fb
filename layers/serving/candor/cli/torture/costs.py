"""Search for the inputs that take most CPU, against plain English of the same size.

An input is a few pieces, repeated up to a size. The search starts from pieces that code may stumble over: characters of
every category of Unicode, runs, digits, separators, personal data, markup, and the structure of files. It keeps the
costliest inputs and changes them: a piece more, a piece less, another order, halves of two.
"""

import gzip
import json
import random
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import cache, partial
from io import BytesIO, StringIO
from typing import Any, NamedTuple

from candor.batch.formats import Format
from candor.batch.jobs import Options, ResultEncoder
from candor.batch.rows import Row, RowsError, plan, read
from candor.cli.gateway import event, prepare, template
from candor.limits import MAX_TEXT_BYTES
from candor.model.classifier import Classifier
from candor.model.explain import Explainer
from candor.redact import find
from candor.resources import default_bundle

BAR, DENSE_BAR = 4.0, 12.0
"""Times the CPU of plain English that an input may take; the second where every few bytes are personal data."""
DENSE = 64
"""Bytes a find from which a text counts as dense with personal data."""
ENGLISH = "The film was a wonderful surprise, and the acting of both leads carried it through a slow middle part. "
FILE_BYTES, BODY_BYTES = 1 << 18, 100_000
_PARENTS = 12
_ROWS = 16  # of a file that is scored

Pieces = tuple[str, ...]

FINDS = (
    "a@b.co ", "@abc ", "123-45-6789 ", "555-123-4567 ", "1.1.1.1 ", "1:2:3:4:5:6:7:8 ", "4111111111111111 ",
    "ssn 123456789 ", "DE89370400440532013000 ", "http://a.b/c ", "www.a.b ", "my name is Bob ", "password: x1 ",
    "12 Elm Street ", "我叫王明", "号", "sk-", "AKIA", "-----BEGIN ", "secret aws ", "[EMAIL]", "00:1a:2b:3c:4d:5e ",
    "born on 12/05/1985 ", "call ", "110105194912310021 ",
)  # fmt: skip
STRUCTURE = (
    "\n", "\r", "\r\n", '"', '""', ",", "\t", ";", "{", "}", "[", "]", '{"text":"a"}', '"text":', "\\u0041", "\\", "1,",
    "[],", "{},", '"",', " ", "\x0b", "\f", ",\n", '"\n', '"a"\n', "\n\n", "text\n",
)  # fmt: skip
MARKUP = ("<br />", "<", "<a ", "</", "<b>", "<u1>", "<a href=", "&", "&#39;", "&amp;", "%40", "%2540", "%", "<x>")
PLAIN = (
    "a", "a ", "not ", "x" * 16, "A", "1", "1 ", "1.", "-", "'", "!", "?!", ":", "/", "_", "(", "good ", "#", "+", "=",
)  # fmt: skip


@cache
def characters() -> list[str]:
    """Return characters of every category, size in UTF-8, way of being normalised, and case."""
    chosen: dict[tuple[object, ...], list[str]] = {}
    for code in range(sys.maxunicode + 1):
        each = chr(code)
        category = unicodedata.category(each)
        if category in ("Cn", "Cs", "Co"):
            continue
        composed = unicodedata.normalize("NFKC", each)
        moved = bool(unicodedata.combining(each)), composed == each
        kind = (category, len(each.encode()), len(composed), len(each.lower()), *moved)
        some = chosen.setdefault(kind, [])
        if len(some) < 2:
            some.append(each)
    return [each for some in chosen.values() for each in some]


class Way(NamedTuple):
    """A way to use Candor whose cost is compared."""

    name: str
    run: Callable[[Any], object]
    build: Callable[[Pieces], object]
    """Make the input that `run` takes."""
    pieces: Sequence[str]
    plain: Pieces = (ENGLISH,)
    """What makes the plain input of the same size."""


class Costly(NamedTuple):
    """An input, and the times that it takes the CPU of plain English."""

    ratio: float
    bar: float
    pieces: Pieces

    @property
    def share(self) -> float:
        """Share of the bar that the ratio is."""
        return self.ratio / self.bar


def text_of(pieces: Pieces, size: int = MAX_TEXT_BYTES) -> str:
    """Return the pieces, over and over, up to so many bytes.

    Example:
        >>> text_of(("a", "é"), 7)
        'aéaéa'
    """
    unit = "".join(pieces).encode("utf-8", "replace") or b"a"
    return (unit * (size // len(unit) + 1))[:size].decode("utf-8", "ignore")


def seconds(run: Callable[[Any], object], value: object, repeats: int = 3) -> float:
    """Return the least CPU time of a few runs."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run(value)
        times.append(time.process_time() - start)
        if times[0] > 1:  # the first is telling enough
            break
    return min(times)


def bar_of(pieces: Pieces) -> float:
    """Return the bar of a text."""
    text = text_of(pieces)
    return DENSE_BAR if len(find(text)) * DENSE >= len(text.encode()) else BAR


def text_ways() -> list[Way]:
    """Return the ways that take a text."""
    classifier = Classifier.load(default_bundle())
    explainer, encode = Explainer(classifier), ResultEncoder(classifier, Options())
    label = classifier.bundle.labels[0]

    def score(text: str) -> None:
        lines = [Row(number, None, text) for number in range(_ROWS)]
        for row, prediction in zip(lines, classifier.predict([row.text for row in lines]), strict=True):
            encode(row, prediction)

    pieces = (*characters(), *FINDS, *MARKUP, *PLAIN)
    ways: list[tuple[str, Callable[[Any], object], int]] = [
        ("predict", lambda text: classifier.predict([text]), MAX_TEXT_BYTES),
        ("explain", lambda text: json.dumps(explainer(text, label).to_dict()), MAX_TEXT_BYTES),
        ("score", score, MAX_TEXT_BYTES // _ROWS),
    ]
    return [Way(name, run, partial(text_of, size=size), pieces) for name, run, size in ways]


def plan_way(name: str) -> Way:
    """Return the way to plan a file of some name."""
    kind = name.split(".")[1]

    def build(pieces: Pieces) -> bytes:
        content = text_of(pieces, FILE_BYTES).encode()
        if kind == "json":
            content = b"[" + content.rpartition(b",")[0] + b"]"
        elif kind == "csv":
            content = b"text\n" + content
        return gzip.compress(content, 1) if name.endswith(".gz") else content

    def run(content: bytes) -> int:
        try:
            return sum(chunk.rows for chunk in plan(iter([content]), Format.of(name, "text"), 16 << 20, 20_000)[1])
        except RowsError:
            return 0

    return Way(f"plan {name[2:]}", run, build, (*STRUCTURE, *PLAIN), (_REVIEWS.get(kind, "%s\n") % (ENGLISH * 10),))


_REVIEWS = {"jsonl": '{"text": "%s"}\n', "json": '{"text": "%s"},\n', "csv": '"%s"\n'}


def request_ways() -> list[Way]:
    """Return the ways through the API's handler: personal data of a text in JSON, and any body of a batch."""
    with redirect_stdout(StringIO()):  # its log
        handlers = prepare(template())

    def way(name: str, path: str, body: Callable[[Pieces], bytes], pieces: Sequence[str], plain: str) -> Way:
        def build(pieces: Pieces) -> dict[str, Any]:
            return event("POST", path, [("Content-Type", "application/json")], body(pieces))

        def run(request: dict[str, Any]) -> object:
            with redirect_stdout(StringIO()):
                return handlers[path]["ANY"](request, None)["statusCode"]

        return Way(name, run, build, pieces, (plain,))

    def text(pieces: Pieces) -> bytes:
        return json.dumps({"text": text_of(pieces)}).encode()

    def documents(pieces: Pieces) -> bytes:
        content = text_of(pieces, BODY_BYTES).rpartition("},")
        return f'{{"documents":[{content[0] + "}" if content[1] else content[2]}]}}'.encode()

    return [
        way("redact", "/v1/redact", text, (*characters(), *FINDS, *MARKUP, *PLAIN), ENGLISH),
        way("request", "/v1/predict/batch", documents, (*STRUCTURE, *PLAIN), f'{{"text":"{ENGLISH * 10}"}},'),
    ]


def plain_seconds(way: Way, pieces: Pieces) -> float:
    """Return the CPU time of plain English: of as many bytes, and where files are planned of as many records, too.

    Planning a record is compared with reading one, as what scores a file does: 3 microseconds.
    """
    if way.name not in _known:
        _known[way.name] = seconds(way.run, way.build(way.plain), 15)
    if not way.name.startswith("plan"):
        return _known[way.name]
    content = text_of(pieces, FILE_BYTES)
    records = max(content.count("\n") + content.count("\r"), content.count(",") if "json" in way.name else 0)
    return _known[way.name] + records * _plain_record()


_known: dict[str, float] = {}


@cache
def _plain_record() -> float:
    content = b"text\n" + b'"a, b"\n' * 10_000
    return seconds(lambda content: sum(1 for _ in read(BytesIO(content), "a.csv")), content, 7) / 10_000


def costly(way: Way, pieces: Pieces, repeats: int = 3) -> Costly:
    """Measure one input."""
    bar = BAR if way.name.startswith(("plan", "request")) else bar_of(pieces)
    return Costly(seconds(way.run, way.build(pieces), repeats) / plain_seconds(way, pieces), bar, pieces)


def search(way: Way, budget: float, chance: random.Random) -> list[Costly]:
    """Return the costliest inputs that are found in so many seconds of CPU, the costliest first."""
    end, best = time.process_time() + budget, list[Costly]()
    for pieces in candidates(way, best, chance):
        if time.process_time() > end:
            break
        best.append(costly(way, pieces, 2))
        best.sort(key=lambda each: -each.share)
        del best[_PARENTS:]
    again = [costly(way, each.pieces, 9) for each in best[:5]]
    return sorted(again, key=lambda each: -each.share)


def candidates(way: Way, best: Sequence[Costly], chance: random.Random) -> Iterator[Pieces]:
    """Yield inputs without end: at first a piece each, in random order, then children of the best."""
    pieces = list(way.pieces)
    chance.shuffle(pieces)
    yield from ((piece,) for piece in pieces)
    while True:
        parent = list(chance.choice(best).pieces)
        change = chance.randrange(5)
        if change == 0 or len(parent) > 8:
            other = chance.choice(best).pieces
            parent = [*parent[: chance.randrange(len(parent) + 1)], *other[chance.randrange(len(other)) :]]
        elif change == 1:
            parent.insert(chance.randrange(len(parent) + 1), chance.choice(pieces))
        elif change == 2:
            parent[chance.randrange(len(parent))] = chance.choice(pieces)
        elif change == 3 and len(parent) > 1:
            del parent[chance.randrange(len(parent))]
        else:
            place = chance.randrange(len(parent))
            parent[place] = parent[place][:64] * chance.choice((2, 3, 40))
        if parent:
            yield tuple(parent)


def worst(budget: float, seed: int) -> Iterator[tuple[Way, list[Costly]]]:
    """Yield each way with its costliest inputs, after so many seconds of CPU in all."""
    ways = [
        *text_ways(),
        *request_ways(),
        *(plan_way(f"a.{kind}") for kind in ("txt", "jsonl", "csv", "json", "csv.gz")),
    ]
    for way in ways:
        yield way, search(way, budget / len(ways), random.Random(f"{seed} {way.name}"))
