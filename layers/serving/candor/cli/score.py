"""`candor score`: files of texts in, JSON lines and a manifest out, over as many processes as there are cores.

Plan, score and finish are those of the batch functions. Each file gets a folder of parts and, last, a manifest.json;
parts of an interrupted run are kept.
"""

import csv
import glob
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Self

import click
from tqdm import tqdm

from candor.batch import jobs, manifests
from candor.batch.columns import listed
from candor.batch.faults import export_hint
from candor.batch.jobs import Job, Options
from candor.batch.rows import READERS, Chunk, Reading, RowsError, likely_encoding, shown, table_of
from candor.cli import options
from candor.cli.errors import CommandError, report, silence_stdout
from candor.cli.histogram import bin_of, histogram
from candor.cli.width import columns, padded, shortened
from candor.errors import CandorError
from candor.limits import CHUNK_ROWS
from candor.model.bundle import Bundle
from candor.model.classifier import Classifier
from candor.storage import Folder

SUFFIXES = tuple(kind + compressed for kind in READERS for compressed in ("", ".gz"))
MAX_NAME = 40  # columns of a label on the terminal
MAX_NAMES = 5  # damaged files that a note names
_MANIFEST = b'"code_version"'  # stands first in the manifest of a job
SUPPORTED = f"supported: {', '.join(READERS)}, each also with .gz"


@dataclass(frozen=True)
class Extras:
    """Files that are written beside the results on request."""

    table: bool
    picture: bool
    mark: bool = False
    """The table begins with a byte order mark."""


@click.command(
    short_help="Score files of texts.",
    epilog="\b\nExamples:\n  candor score texts.csv results/\n"
    "  candor score inbox/ results/ --text-column body --csv\n"
    "  candor score old.csv results/ --delimiter ';' --encoding cp1252\n  zcat texts.gz | candor score - --stdin txt",
)
@click.argument("named", metavar="INPUT")
@click.argument("output", type=options.Named(file_okay=False), default="results")
@options.model
@options.text_column
@options.id_column
@options.reading
@options.min_confidence
@click.option("--explain", is_flag=True, help="Add what each token adds to the logit.")
@options.no_redact
@click.option(
    "--with-text",
    type=click.Choice(["replace", "mask"]),
    default=None,
    show_default="texts are left out",
    help="Repeat the text in the results, with personal data masked in this mode.",
)
@click.option("--csv", "table", is_flag=True, help="Write results.csv, too: a table for spreadsheets.")
@click.option(
    "--csv-bom", "mark", is_flag=True, help="Write results.csv with a byte order mark, which Excel needs to see UTF-8."
)
@click.option("--picture", is_flag=True, help="Write histogram.svg, too: texts by confidence.")
@click.option(
    "--rows",
    type=options.Whole(1),
    default=CHUNK_ROWS,
    show_default=True,
    metavar="N",
    help="Rows of an output part, at most.",
)
@click.option(
    "--stdin",
    type=click.Choice([kind[1:] for kind in READERS]),
    default="jsonl",
    show_default=True,
    help="Format of standard input, where INPUT is -.",
)
@click.option(
    "--processes",
    type=options.Whole(1),
    default=os.cpu_count() or 1,
    show_default="one a core",
    metavar="N",
    help="Worker processes.",
)
def score(
    named: str,
    output: Path,
    bundle: Path,
    text_column: str | None,
    id_column: str,
    reading: Reading,
    min_confidence: float | None,
    explain: bool,
    no_redact: bool,
    with_text: str | None,
    table: bool,
    mark: bool,
    picture: bool,
    rows: int,
    stdin: str,
    processes: int,
) -> int:
    """Score INPUT, a file, folder or pattern of texts (.csv, .tsv, .jsonl, .json, .txt …), into the folder OUTPUT.

    `-` reads standard input. Each file gets a folder with JSON lines in the order of its rows, and a manifest. Run the
    same command again after an interruption: it goes on from there.
    """
    settings = Options(
        text_column, id_column, min_confidence, explain, not no_redact, with_text or "", rows, reading=reading
    )
    status = 0
    for number in (signal.SIGTERM, signal.SIGHUP):  # end as Ctrl-C does: no worker and no text stays behind
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        unreadable: list[OSError] = []
        files = inputs(named, stack, stdin, unreadable)
        for error in unreadable:
            report(f"{printable(Path(error.filename))}: {error.strerror}")
            status = 2
        model = options.load(bundle).bundle
        try:
            for path in files:
                status = max(
                    status,
                    _score_or_say_why(path, output, model, settings, processes, Extras(table or mark, picture, mark)),
                )
        except KeyboardInterrupt:
            report("stopped; finished parts are kept", "run the same command again to go on from there")
            return 130
    return status


def _score_or_say_why(
    path: Path, output: Path, model: Bundle, settings: Options, processes: int, extras: Extras
) -> int:
    """Score one file and return its exit status. A file that cannot be scored does not stop the others."""
    try:
        manifest = score_file(path, output, model, settings, processes)
        folder = Path(manifest["folder"])
        files = dict[str, Iterable[str]]()
        if extras.table:
            mark = ["\ufeff"] if extras.mark else []
            files["results.csv"] = chain(mark, spreadsheet(lines(folder, manifest), model.labels))
        if extras.picture:
            files["histogram.svg"] = [picture_of(lines(folder, manifest))]
        with manifests.listing(Folder(output), f"{folder.name}/", [*files]):
            for name, content in files.items():
                write(folder / name, content)
    except RowsError as error:
        report(str(error), error.hint)
        return 2
    except CommandError as error:
        error.show()
        return 2
    except (CandorError, OSError, UnicodeError) as error:
        named = "its name is not UTF-8" if isinstance(error, UnicodeError) else getattr(error, "strerror", "")
        report(f"{printable(path)}: {named or error}")
        return 2
    try:
        summarise(manifest)
    except BrokenPipeError:  # the other files are scored all the same
        silence_stdout()
    return judge(path, manifest, settings)


def judge(path: Path, manifest: dict[str, Any], settings: Options) -> int:
    """Return 0 if a text was scored; else say why none was, and return 2."""
    counts = manifest["counts"]
    if counts["errors"].get("invalid_encoding"):
        with path.open("rb") as file:
            likely = likely_encoding(file, path.name, settings.reading)
        said = f"; the bytes suggest {likely}" if likely else ""
        rows = f"{counts['errors']['invalid_encoding']:,} rows are not valid in the file's encoding"
        report(f"{printable(path)}: {rows}{said}", f"pass --encoding {likely or 'NAME, such as cp1252'}")
    if counts["scored"]:
        return 0
    with path.open("rb") as file:
        table = table_of(file, path.name, settings.reading)
    rows = f"all {counts['read']:,} rows have an error" if counts["read"] else "it has no rows"
    kind, hint = ("", "check that it is the file you mean")
    if table and table.names:
        kind = f"; its {'fields' if table.is_json else 'columns'} are {listed(table.names)}"
        hint = "name the one with texts: --text-column NAME"
    report(f"{printable(path)}: nothing was scored: {rows}{kind}", hint)
    return 2


def printable(path: Path) -> str:
    """Return a path as a terminal can show it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def inputs(named: str, stack: ExitStack, stdin: str = "jsonl", unreadable: list[OSError] | None = None) -> list[Path]:
    """Return the files that a name, a folder, a pattern or `-` stands for; results and hidden folders are left out.

    Raises:
        CommandError: There is no such file, or none of a supported format.
    """
    if named == "-":
        spooled = Path(stack.enter_context(tempfile.TemporaryDirectory())) / f"stdin.{stdin}"
        with spooled.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return [spooled]
    if not named:
        raise CommandError("INPUT is empty", "name a file, folder or pattern, or - for standard input")
    path, unreadable = Path(named), [] if unreadable is None else unreadable
    matches = [path] if path.exists() else [Path(match) for match in sorted(glob.glob(named, recursive=True))]  # noqa: PTH207
    if not matches:
        raise CommandError(f"{named} does not exist", None if not glob.has_magic(named) else "no file fits the pattern")
    files = [file for match in matches for file in (_walked(match, unreadable) if match.is_dir() else [match])]
    readable = [
        file for file in files if file.is_file() and file.name.lower().endswith(SUFFIXES) and not is_result(file)
    ]
    if not readable:
        if path.is_file():
            raise CommandError(f"{named}: unsupported format ({path.suffix or 'no suffix'})", export_hint(path.name))
        raise CommandError(f"{named}: no file of a supported format", SUPPORTED)
    return readable


def _walked(folder: Path, unreadable: list[OSError]) -> list[Path]:
    """Return all files below a folder, sorted, but for hidden ones and those in hidden folders, such as .venv."""
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent) / name for name in files if not name.startswith(".")]
    return sorted(found)


def is_result(file: Path) -> bool:
    """Return whether a file is one of our results: a manifest, or beside a manifest and parts."""
    folder = file.parent
    if file.name == "manifest.json":
        with file.open("rb") as content:
            return _MANIFEST in content.read(100)
    return (folder / "manifest.json").exists() and (folder / "part-00000.jsonl").exists()


def score_file(path: Path, output: Path, model: Bundle, settings: Options, processes: int) -> dict[str, Any]:
    """Score one file into a folder of its own, named after it and after all that its results depend on.

    Returns:
        The manifest, and the results' folder as `folder`.

    Raises:
        RowsError: The file cannot be read as a whole. Then nothing is kept of it.
    """
    inbox, results, identity = Folder(path.parent), Folder(output), model.identity
    with Scorer(inbox, results, model.path, model.digest, processes) as scorer:
        if path.stat().st_size > settings.bytes:
            scorer.warm()  # while the file is read for its digest
        source, started = inbox.source(path.name), manifests.now()
        folder = f"{path.name}-{jobs.new_job_id(source, identity, settings)[:16]}/"
        manifest, damaged = manifests.left(results, folder)
        if damaged:
            named = ", ".join(damaged[:MAX_NAMES]) + f" and {len(damaged) - MAX_NAMES} more" * (
                len(damaged) > MAX_NAMES
            )
            click.echo(f"note: {printable(output / folder)}: damaged, so made again: {named}", err=True)
        if manifest is None:
            job, chunks = jobs.plan(inbox, source, identity, settings, folder, scorer.on_chunk)
            scorer.finish()
            manifest = manifests.finish(job, chunks, results, started, scorer.map, path=str(path.resolve()))
    return {"folder": str(output / folder), **manifest}


class Scorer:
    """Makes the parts that are missing, over a pool of processes.

    Parts of a file whose middle can be read are made while the rest is still planned. Gzip and UTF-16 are planned to
    the end first, since they can still be rejected at the last byte.
    """

    def __init__(self, inbox: Folder, results: Folder, bundle: Path, digest: str, processes: int) -> None:
        self.inbox, self.results, self.model, self.processes = inbox, results, (bundle, digest), processes
        # Processes are started as they are needed.
        self.pool = ProcessPoolExecutor(processes, get_context("spawn"), _start, self.model)
        self.number, self.waiting, self.tasks = 0, list[tuple[Job, int, Chunk]](), list[Future[None]]()
        self.progress = tqdm(total=0, desc="scoring", unit=" rows", unit_scale=True, leave=False, disable=None)

    def on_chunk(self, job: Job, chunk: Chunk) -> None:
        """Queue a planned chunk whose part is not there yet."""
        if not (self.results.root / job.part(self.number)).exists():
            self.waiting.append((job, self.number, chunk))
            self.progress.total += chunk.rows
        self.number += 1
        if self.processes > 1 and len(self.waiting) > 1 and job.format.seekable:
            self._submit()

    def _submit(self) -> None:
        with _without_interrupt():
            for job, number, chunk in self.waiting:
                task = self.pool.submit(_score, job, number, chunk, self.inbox, self.results)
                task.add_done_callback(partial(self._on_part, chunk.rows))
                self.tasks.append(task)
        self.waiting.clear()

    def _on_part(self, rows: int, task: "Future[None]") -> None:
        if not task.cancelled():
            self.progress.update(rows)

    def __enter__(self) -> Self:
        """Return the scorer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Shut the pool down: running tasks finish, queued ones are cancelled."""
        self.pool.shutdown(cancel_futures=True)
        self.progress.close()

    def warm(self) -> None:
        """Start the processes before there is work for them."""
        with _without_interrupt():
            for _ in range(self.processes if self.processes > 1 else 0):
                self.pool.submit(int)

    @property
    def map(self) -> manifests.Map:
        """The pool's map if it is in use, else the built-in one."""
        return self.pool.map if self.tasks else map

    def finish(self) -> None:
        """Make every queued part, and return when all are there."""
        if self.tasks or (self.processes > 1 and len(self.waiting) > 1):
            self._submit()
            for task in as_completed(self.tasks):
                task.result()
            return
        if self.waiting:
            _load(*self.model)
        for job, number, chunk in self.waiting:
            _score(job, number, chunk, self.inbox, self.results)
            self.progress.update(chunk.rows)


@contextmanager
def _without_interrupt() -> Iterator[None]:
    """Hold back Ctrl-C while processes are started: until they ignore it themselves, it would end them noisily."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


_classifier: Classifier


def _start(bundle: Path, digest: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the first one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _load(bundle, digest)


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone, whatever ended it."""
    if parent := parent_process():
        parent.join()
    os._exit(1)


def _load(bundle: Path, digest: str) -> None:
    global _classifier
    _classifier = Classifier.load(bundle, digest)


def _score(job: Job, number: int, chunk: Chunk, inbox: Folder, results: Folder) -> None:
    jobs.score(job, number, chunk, inbox, results, _classifier)


def summarise(manifest: dict[str, Any]) -> None:
    """Print how many rows were scored, and how many of each label, decision and error."""
    counts = manifest["counts"]
    click.echo(
        f"{manifest['folder']}: {counts['scored']:,} of {counts['read']:,} rows scored, by {manifest['model']['name']}"
    )
    if "columns" in manifest:
        click.echo(f"  reading texts from {shown(manifest['columns']['text'])}")
    rows = [
        (kind[:-1], shortened(name, MAX_NAME), f"{count:,}")
        for kind in ("labels", "decisions", "errors")
        for name, count in sorted(counts[kind].items())
    ]
    width = max(16, *(columns(name) for _, name, _ in rows), 0)
    for kind, name, count in rows:
        click.echo(f"  {kind:9} {padded(name, width)} {count}")


def lines(folder: Path, manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all results, in order."""
    for part in manifest["parts"]:
        with (folder / part["name"]).open("rb") as file:
            yield from map(json.loads, file)


def write(path: Path, content: Iterable[str]) -> None:
    """Write a file whole or not at all."""
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.writelines(content)
                os.fchmod(file.fileno(), 0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None


def spreadsheet(results: Iterable[dict[str, Any]], labels: Sequence[str]) -> Iterator[str]:
    """Yield rows of CSV (RFC 4180) for spreadsheets; no cell of them is a formula (OWASP, CSV injection)."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    header = ["line", "id", "label", "decision", *map(escape_formula, labels), "error"]
    for cells in chain([header], (_cells(result, labels) for result in results)):
        writer.writerow(cells)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def picture_of(results: Iterable[dict[str, Any]]) -> str:
    """Return a histogram of the labels' probabilities (SVG)."""
    return histogram(Counter(bin_of(each["probabilities"][each["label"]]) for each in results if "label" in each))


def _cells(result: dict[str, Any], labels: Sequence[str]) -> list[Any]:
    names = [escape_formula(result.get(name, "")) for name in ("id", "label", "decision")]
    shares = [result.get("probabilities", {}).get(label, "") for label in labels]
    return [result["line"], *names, *shares, result.get("error", {}).get("code", "")]


def escape_formula(cell: str) -> str:
    """Return a cell that a spreadsheet shows instead of computing it."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
