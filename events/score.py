"""Scores files on this machine: texts in, JSON lines and a receipt out, over as many processes as there are cores.

    python -m events.score reviews.csv results/      (or a folder, a pattern, or - for standard input)

Plan, score and finish are those of the batch functions. Each file gets a folder of parts and, last, a manifest.json;
what is there from a run that was interrupted is kept.
"""

import argparse
import csv
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self

from candor import jobs
from candor.bundle import Bundle
from candor.classifier import Classifier
from candor.errors import CandorError, JobError, MissingError
from candor.jobs import Job, Options
from candor.rows import READERS, Chunk, RowsError
from candor.storage import Folder
from events.report import bin_of, histogram
from events.server import LOCAL

BUNDLE = Path(LOCAL["BUNDLE_PATH"])
KINDS = tuple(kind + packed for kind in READERS for packed in ("", ".gz"))


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 for what cannot be read, which one line a file explains; 130 when interrupted."""
    options = parse(arguments)
    settings = Options(
        options.text_column,
        options.id_column,
        options.min_confidence,
        options.explain,
        not options.no_redact,
        options.with_text,
        options.rows,
    )
    try:
        if options.verify:
            return verify(Path(options.input))
        with ExitStack() as stack:
            files = inputs(options.input, Path(options.output), stack, options.stdin)
            return max([one(path, options, settings) for path in files])
    except (CandorError, OSError) as error:
        return fault("score", str(error), 2)
    except BrokenProcessPool:
        return fault(
            "score", "a process was ended from outside, by want of memory perhaps; the same command goes on", 2
        )
    except KeyboardInterrupt:
        print("\nscore: stopped; finished parts are kept, the same command goes on from there", file=sys.stderr)
        return 130


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="score", description="Texts in, results and a receipt out.")
    parser.add_argument("input", help="file, folder, pattern, or - ; with --verify a manifest.json")
    parser.add_argument("output", nargs="?", default="results")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--id-column", default="id")
    parser.add_argument("--min-confidence", type=float)
    parser.add_argument("--explain", action="store_true", help="write what each token added, too")
    parser.add_argument("--rows", type=int, default=jobs.CHUNK_ROWS, help="of a part, at most")
    parser.add_argument("--no-redact", action="store_true", help="let the model see texts as they are")
    parser.add_argument("--with-text", choices=["replace", "mask"], default="", help="repeat the text, redacted so")
    parser.add_argument("--csv", action="store_true", help="write results.csv, too")
    parser.add_argument("--picture", action="store_true", help="write histogram.svg, too")
    parser.add_argument("--stdin", choices=[kind[1:] for kind in READERS], default="jsonl", help="what - reads")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verify", action="store_true", help="recompute a receipt and name what does not hold")
    return parser.parse_args(arguments)


def inputs(named: str, output: Path = Path(), stack: ExitStack | None = None, stdin: str = "jsonl") -> list[Path]:
    """The files that a name, a folder, a pattern or "-" stands for, none of them a result. Raises RowsError if none."""
    if named == "-":
        spooled = Path((stack or ExitStack()).enter_context(tempfile.TemporaryDirectory())) / f"stdin.{stdin}"
        with spooled.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return [spooled]
    pattern = Path(named)
    places = (
        [pattern] if pattern.exists() else sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    )
    files = [file for place in places for file in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    readable = [file for file in files if file.is_file() and file.name.lower().endswith(KINDS) and not own(file)]
    if not readable:
        raise RowsError("unknown_format", f"{named}: no file")
    return readable


def own(file: Path) -> bool:
    """Whether a file is one of our results."""
    return file.name.startswith("part-") and file.suffix == ".jsonl" and (file.parent / "manifest.json").exists()


def one(path: Path, options: argparse.Namespace, settings: Options) -> int:
    """One file; one that cannot be read costs the others nothing."""
    try:
        receipt = score(path, Path(options.output), settings, options.processes)
    except RowsError as error:
        return fault("score", str(error), 2)
    summarise(receipt)
    folder = Path(receipt["folder"])
    if options.csv:
        write(folder / "results.csv", table(lines(folder, receipt)))
    if options.picture:
        write(folder / "histogram.svg", [picture(lines(folder, receipt))])
    return 0


def score(path: Path, output: Path, settings: Options, processes: int) -> dict[str, Any]:
    """Results of one file in a folder of their own, named after it and after all that they depend on; the receipt."""
    inbox, results, model = Folder(path.parent), Folder(output), jobs.identity(Bundle.open(BUNDLE))
    with Scorer(inbox, results, model["sha256"], processes) as scorer:
        if path.stat().st_size > settings.bytes:
            scorer.warm()  # while the file is read for its digest
        source, started = inbox.source(path.name), jobs.now()
        folder = f"{path.name}-{jobs.work_key(source, model, settings)[:16]}/"
        receipt = jobs.manifest(results, folder)
        if receipt is None:
            try:
                job, chunks = jobs.plan(inbox, source, model, settings, folder, scorer.found)
            except RowsError as error:
                jobs.reject(results, folder, source, model, settings, error)
                raise
            scorer.finish()
            receipt = jobs.finish(job, chunks, results, started, scorer.mapped, path=str(path.resolve()))
    if receipt["status"] == "rejected":
        raise RowsError(receipt["error"]["code"], path.name)
    return {"folder": str(output / folder), **receipt}


class Scorer:
    """Makes the parts that are not there yet: while the rest of the file is still planned, if its middle can be read.

    What else can be rejected, can be so at its last byte, and is planned first.
    """

    def __init__(self, inbox: Folder, results: Folder, digest: str, processes: int) -> None:
        self.inbox, self.results, self.digest, self.processes = inbox, results, digest, processes
        self.pool = ProcessPoolExecutor(processes, get_context("spawn"), _start, (digest,))  # starts them as needed
        self.number, self.waiting, self.tasks = 0, list[tuple[Job, int, Chunk]](), list[Future[None]]()
        self.progress = Progress()

    def found(self, job: Job, chunk: Chunk) -> None:
        if not (self.results.root / job.part(self.number)).exists():
            self.waiting.append((job, self.number, chunk))
            self.progress.total += chunk.rows
        self.number += 1
        if self.processes > 1 and len(self.waiting) > 1 and job.format.direct:
            self.submit()

    def submit(self) -> None:
        for job, number, chunk in self.waiting:
            self.tasks.append(self.pool.submit(_score, job, number, chunk, self.inbox, self.results))
            self.tasks[-1].add_done_callback(partial(self.made, chunk.rows))
        self.waiting.clear()

    def made(self, rows: int, task: "Future[None]") -> None:
        if not task.cancelled():
            self.progress(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Interrupted, processes end what they are at and begin nothing else."""
        self.pool.shutdown(cancel_futures=True)

    def warm(self) -> None:
        for _ in range(self.processes if self.processes > 1 else 0):
            self.pool.submit(int)

    @property
    def mapped(self) -> jobs.Map:
        return self.pool.map if self.tasks else map

    def finish(self) -> None:
        """All that was found is made."""
        if self.tasks or (self.processes > 1 and len(self.waiting) > 1):
            self.submit()
            for task in as_completed(self.tasks):
                task.result()
            return
        if self.waiting:
            _load(self.digest)
        for job, number, chunk in self.waiting:
            _score(job, number, chunk, self.inbox, self.results)
            self.progress(chunk.rows)


_classifier: Classifier


def _start(digest: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the first one decides
    _load(digest)


def _load(digest: str) -> None:
    global _classifier
    _classifier = Classifier.load(BUNDLE, digest)


def _score(job: Job, number: int, chunk: Chunk, inbox: Folder, results: Folder) -> None:
    jobs.score(job, number, chunk, inbox, results, _classifier)


class Progress:
    """One line on a terminal: how much is done, how fast, and how long the rest will take."""

    def __init__(self) -> None:
        self.total, self.done, self.start = 0, 0, time.monotonic()

    def __call__(self, rows: int) -> None:
        self.done += rows
        if not sys.stderr.isatty():
            return
        rate = self.done / max(time.monotonic() - self.start, 1e-9)
        minutes, seconds = divmod(round((self.total - self.done) / rate), 60)
        bar = "█" * (20 * self.done // self.total)
        line = f"{bar:░<20} {self.done:,} of {self.total:,} rows, {rate:,.0f} a second, {minutes}:{seconds:02} left"
        print(f"\r{line}\x1b[K", end="\n" if self.done == self.total else "", file=sys.stderr, flush=True)


def summarise(receipt: dict[str, Any]) -> None:
    counts = receipt["counts"]
    print(f"{receipt['folder']}: {counts['scored']:,} of {counts['read']:,} rows scored, by {receipt['model']['name']}")
    for kind in ("labels", "decisions", "errors"):
        for name, count in sorted(counts[kind].items()):
            print(f"  {kind[:-1]:9} {name:16} {count:,}")


def lines(folder: Path, receipt: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All results, in order."""
    for part in receipt["parts"]:
        with (folder / part["name"]).open("rb") as file:
            yield from map(json.loads, file)


def write(path: Path, content: Iterable[str]) -> None:
    """All of it or nothing."""
    aside = path.with_name(f".{path.name}.new")
    with aside.open("w", encoding="utf-8", newline="") as file:
        file.writelines(content)
    aside.replace(path)


def table(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    """CSV (RFC 4180) for spreadsheets: no cell of it is a formula (OWASP, CSV injection)."""
    labels = Bundle.open(BUNDLE).labels
    row = io.StringIO(newline="")
    writer = csv.writer(row)
    for made in chain(
        [["line", "id", "label", "decision", *map(harmless, labels), "error"]], (cells(r, labels) for r in results)
    ):
        writer.writerow(made)
        yield row.getvalue()
        row.seek(0)
        row.truncate()


def picture(results: Iterable[dict[str, Any]]) -> str:
    """A histogram of how sure the labels are (SVG)."""
    sure = Counter(bin_of(each["probabilities"][each["label"]]) for each in results if "label" in each)
    return histogram(sure)


def cells(said: dict[str, Any], labels: Sequence[str]) -> list[Any]:
    names = [harmless(said.get(name, "")) for name in ("id", "label", "decision")]
    shares = [said.get("probabilities", {}).get(label, "") for label in labels]
    return [said["line"], *names, *shares, said.get("error", {}).get("code", "")]


def harmless(cell: str) -> str:
    """A cell that a spreadsheet shows and does not compute."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def verify(receipt: Path) -> int:
    """0 if all that a receipt says holds; 1 and the first thing that does not."""
    try:
        said = json.loads(receipt.read_bytes())
        if said["status"] != "done":
            return fault("verify", f"the file was {said['status']}: {said['error']['detail']}", 1)
        source = Path(said["path"])
        inbox = Folder(source.parent) if source.exists() else None
        folder, results = f"{receipt.resolve().parent.name}/", Folder(receipt.resolve().parent.parent)
        found = jobs.verify(said, folder, results, inbox, Classifier.load(BUNDLE))
    except (KeyError, TypeError, ValueError):
        return fault("verify", "the receipt is none of ours, or is damaged", 1)
    except (JobError, MissingError) as error:
        return fault("verify", str(error), 1)
    if found:
        return fault("verify", found, 1)
    print(f"{receipt}: " + ("all holds" if inbox else f"the results hold; {source.name} is no longer there to compare"))
    return 0


def fault(who: str, sentence: str, code: int) -> int:
    print(f"{who}: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
