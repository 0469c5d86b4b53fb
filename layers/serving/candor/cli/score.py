"""`candor score`: files of texts in, JSON lines and a manifest out, over as many processes as there are cores.

Plan, score and finish are those of the batch functions. Each file gets a folder of parts and, last, a manifest.json;
parts of an interrupted run are kept.
"""

import errno
import json
import os
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import get_context, parent_process, resource_tracker
from pathlib import Path
from typing import Any, Self

import click
from tqdm import tqdm

from candor.batch import jobs, manifests
from candor.batch.columns import listed
from candor.batch.faults import REMEDIES
from candor.batch.jobs import Job, Options
from candor.batch.rows import READERS, Chunk, Reading, RowsError, likely_encoding, shown, table_of
from candor.cli import options
from candor.cli.errors import CommandError, fault, note, printable, report, silence_stdout
from candor.cli.histogram import bin_of, histogram
from candor.cli.inputs import inputs
from candor.cli.spreadsheet import spreadsheet
from candor.cli.width import columns, padded, shortened
from candor.errors import CandorError
from candor.limits import CHUNK_ROWS
from candor.model.classifier import Classifier
from candor.storage import Folder

MAX_ROWS = 10**9  # of a part: far more than its bytes allow
MAX_PROCESSES = 1000  # as many as a large machine has cores
MAX_NAME = 40  # columns of a label on the terminal
MAX_NAMES = 5  # damaged files that a note names
MAX_FILE_NAME = 238  # bytes of a file's name: its results' folder has 17 more, and file systems allow 255


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
@click.option(
    "--with-columns",
    is_flag=True,
    help="Repeat the other columns or fields in the results, too, with personal data masked as --with-text does.",
)
@click.option("--csv", "table", is_flag=True, help="Write results.csv, too: a table for spreadsheets.")
@click.option(
    "--csv-bom", "mark", is_flag=True, help="Write results.csv with a byte order mark, which Excel needs to see UTF-8."
)
@click.option("--picture", is_flag=True, help="Write histogram.svg, too: texts by confidence.")
@click.option(
    "--rows",
    type=options.Whole(1, MAX_ROWS),
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
    type=options.Whole(1, MAX_PROCESSES),
    default=min(os.cpu_count() or 1, MAX_PROCESSES),
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
    with_columns: bool,
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
        text_column,
        id_column,
        min_confidence,
        explain,
        not no_redact,
        with_text or "",
        rows,
        reading=reading,
        columns=with_columns,
    )
    for number in (signal.SIGTERM, signal.SIGHUP):  # end as Ctrl-C does: no worker and no text stays behind
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        found = inputs(named, stack, stdin)
        scorer = stack.enter_context(Scorer(options.load(bundle), output, processes))
        extras, statuses = Extras(table or mark, picture, mark), [2] * len(found.odd)
        for odd, reason in found.odd:
            report(f"{printable(odd)}: {reason}")
        try:
            for path in found.files:
                name = "standard input" if named == "-" else printable(path)
                statuses.append(_score_or_say_why(path, name, scorer, settings, extras))
        except KeyboardInterrupt:
            report("stopped; finished parts are kept", "run the same command again to go on from there")
            return 130
    return overall(statuses)


def overall(statuses: Sequence[int]) -> int:
    """Return the exit status of a run: 1 if some of its files were scored and some were not.

    Example:
        >>> overall([0, 0]), overall([0, 2]), overall([2, 2]), overall([0, 70])
        (0, 1, 2, 70)
    """
    worst = max(statuses)
    return 1 if worst == 2 and 0 in statuses else worst


def _score_or_say_why(path: Path, name: str, scorer: "Scorer", settings: Options, extras: Extras) -> int:
    """Score one file, called `name` in messages, and return its exit status. It never stops the other files."""
    try:
        manifest = score_file(path, scorer, settings)
        folder = Path(manifest["folder"])
        files = dict[str, Iterable[str]]()
        if extras.table:
            mark = ["\ufeff"] if extras.mark else []
            labels = scorer.classifier.bundle.labels
            rows = spreadsheet(lambda: lines(folder, manifest), labels, manifest["settings"])
            files["results.csv"] = chain(mark, rows)
        if extras.picture:
            files["histogram.svg"] = [picture_of(lines(folder, manifest))]
        with manifests.listing(scorer.results, f"{folder.name}/", [*files]):
            for made, content in files.items():
                write(folder / made, content)
        return max(_summarised(manifest), judge(path, name, manifest, settings))
    except RowsError as error:
        report(f"{name}: {error.problem}", error.hint)
    except CommandError as error:
        error.show()
    except BrokenProcessPool:
        scorer.restart()
        hint = "run the same command again to go on, perhaps with fewer --processes"
        report(f"{name}: a worker process was killed, perhaps for want of memory", hint)
    except UnicodeError:
        report(f"{name}: its name is not UTF-8", "rename it, or the folder that it lies in")
    except (CandorError, OSError) as error:
        if getattr(error, "errno", 0) == errno.ENAMETOOLONG:
            report(f"{name}: its name has more than {MAX_FILE_NAME} bytes", "rename it")
        else:
            report(f"{name}: {getattr(error, 'strerror', '') or printable(str(error))}")
    except Exception as error:
        fault(error)
        return 70
    return 2


def _summarised(manifest: dict[str, Any]) -> int:
    """Print the summary, and return the exit status of that. Whoever reads it may have gone: the work goes on."""
    try:
        summarise(manifest)
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:
        silence_stdout()
        report(f"the summary cannot be printed: {error.strerror}")
        return 2
    return 0


def judge(path: Path, name: str, manifest: dict[str, Any], settings: Options) -> int:
    """Return 0 if a text was scored; else say why none was, and return 2."""
    counts, likely = manifest["counts"], ""
    if counts["errors"].get("invalid_encoding"):
        with path.open("rb") as file:
            likely = likely_encoding(file, path.name, settings.reading)
        said = f"; the bytes suggest {likely}" if likely else ""
        count = counts["errors"]["invalid_encoding"]
        rows = f"{count:,} row{'s are' if count > 1 else ' is'} not valid in the file's encoding"
        report(f"{name}: {rows}{said}", f"pass --encoding {likely or 'NAME, such as cp1252'}")
    if counts["scored"]:
        return 0
    with path.open("rb") as file:
        table = table_of(file, path.name, settings.reading)
    errors = counts["errors"]
    often = max(errors, key=lambda code: errors[code], default="")
    if not errors:
        blank = manifest.get("blank_lines")
        rows = f"it has no rows but {blank:,} blank line{'s' * (blank > 1)}" if blank else "it has no rows"
    elif counts["read"] == 1:
        rows = f"its only row has the error {often}"
    elif len(errors) == 1:
        rows = f"all {counts['read']:,} rows have the error {often}"
    else:
        rows = f"all {counts['read']:,} rows have an error, most of them {often}"
    kind, hint = ("", "check that it is the file you mean")
    if table and table.names:
        kind = f"; its {'fields' if table.is_json else 'columns'} are {listed(table.names)}"
        hint = "name the one with texts: --text-column NAME" if errors else hint
    hint = f"pass --encoding {likely or 'NAME'}" if often == "invalid_encoding" else REMEDIES.get(often, hint)
    report(f"{name}: nothing was scored: {rows}{kind}", hint)
    return 2


def score_file(path: Path, scorer: "Scorer", settings: Options) -> dict[str, Any]:
    """Score one file into a folder of its own, named after it and after all that its results depend on.

    Returns:
        The manifest, and the results' folder as `folder`.

    Raises:
        RowsError: The file cannot be read as a whole. Then nothing is kept of it.
        UnicodeError: Its name, or the name of a folder above it, is not UTF-8.
        BrokenProcessPool: A worker process was killed.
        CandorError: The file changes or vanishes, or a store fails otherwise.
        OSError: Likewise.
    """
    full = str(path.resolve())
    full.encode()
    inbox, results, identity = Folder(path.parent), scorer.results, scorer.classifier.bundle.identity
    if path.stat().st_size > settings.bytes:
        scorer.warm()  # while the file is read for its digest
    source, started = inbox.source(path.name), manifests.now()
    folder = f"{path.name}-{jobs.new_job_id(source, identity, settings)[:16]}/"
    manifest, damaged = manifests.left(results, folder)
    if damaged:
        more = f" and {len(damaged) - MAX_NAMES} more" * (len(damaged) > MAX_NAMES)
        named = ", ".join(damaged[:MAX_NAMES]) + more
        note(f"{printable(results.root / folder)}: damaged, so made again: {named}")
    if manifest and manifest["status"] == "rejected":  # by what read it then: it is read again
        results.remove(folder + manifests.NAME)
        manifest = None
    if manifest is None:
        with Parts(scorer, inbox) as parts:
            job, chunks = jobs.plan(inbox, source, identity, settings, folder, parts.on_chunk)
            parts.finish()
            manifest = manifests.finish(job, chunks, results, started, parts.map, path=full)
    return {"folder": str(results.root / folder), **manifest}


class Scorer:
    """The model, and a pool of processes that all files of a run share. They start once a file has several parts."""

    def __init__(self, classifier: Classifier, output: Path, processes: int) -> None:
        self.classifier, self.results, self.processes = classifier, Folder(output), processes
        self.progress = tqdm(total=0, desc="scoring", unit=" rows", unit_scale=True, leave=False, disable=None)
        self._pool: ProcessPoolExecutor | None = None

    @property
    def pool(self) -> ProcessPoolExecutor:
        """The processes, of which each is started as it is needed."""
        if self._pool is None:
            bundle = self.classifier.bundle
            self._pool = ProcessPoolExecutor(self.processes, get_context("spawn"), _start, (bundle.path, bundle.digest))
        return self._pool

    def warm(self) -> None:
        """Start the processes before there is work for them."""
        if self.processes > 1 and self._pool is None:
            with _without_interrupt():
                for _ in range(self.processes):
                    self.pool.submit(int)

    def restart(self) -> None:
        """Shut the pool down: running tasks finish, queued ones are cancelled. The next file gets a new one."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def __enter__(self) -> Self:
        """Return the scorer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self.restart()
        self.progress.close()


class Parts:
    """Makes the parts of one file that are missing: several over the pool, one alone in this process.

    Parts of a file whose middle can be read are made while the rest is still planned. Gzip and UTF-16 are planned to
    the end first, since they can still be rejected at the last byte.
    """

    def __init__(self, scorer: Scorer, inbox: Folder) -> None:
        self.scorer, self.inbox = scorer, inbox
        self.number, self.waiting, self.tasks = 0, list[tuple[Job, int, Chunk]](), list[Future[None]]()

    def __enter__(self) -> Self:
        """Return the object itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Drop what is still queued, and wait for what is being made: nothing of this file is made after it."""
        for task in self.tasks:
            task.cancel()
        wait(self.tasks)

    def on_chunk(self, job: Job, chunk: Chunk) -> None:
        """Queue a planned chunk whose part is not there yet."""
        if not (self.scorer.results.root / job.part(self.number)).exists():
            self.waiting.append((job, self.number, chunk))
            self.scorer.progress.total += chunk.rows
        self.number += 1
        if self.scorer.processes > 1 and len(self.waiting) > 1 and job.format.seekable:
            self._submit()

    def _submit(self) -> None:
        with _without_interrupt():
            for job, number, chunk in self.waiting:
                task = self.scorer.pool.submit(_score, job, number, chunk, self.inbox, self.scorer.results)
                task.add_done_callback(partial(self._on_part, chunk.rows))
                self.tasks.append(task)
        self.waiting.clear()

    def _on_part(self, rows: int, task: "Future[None]") -> None:
        if not task.cancelled():
            self.scorer.progress.update(rows)

    @property
    def map(self) -> manifests.Map:
        """The pool's map if it is in use, else the built-in one."""
        return self.scorer.pool.map if self.tasks else map

    def finish(self) -> None:
        """Make every queued part, and return when all are there."""
        if self.tasks or (self.scorer.processes > 1 and len(self.waiting) > 1):
            self._submit()
            for task in as_completed(self.tasks):
                task.result()
            return
        for job, number, chunk in self.waiting:
            jobs.score(job, number, chunk, self.inbox, self.scorer.results, self.scorer.classifier)
            self.scorer.progress.update(chunk.rows)


_OF_A_TERMINAL = {signal.SIGINT, signal.SIGHUP}  # they reach every process of a terminal; the first one decides


@contextmanager
def _without_interrupt() -> Iterator[None]:
    """Hold back what a terminal sends while processes are started, which inherit that: it would end them noisily.

    Workers ignore it from then on. The resource tracker of multiprocessing ignores Ctrl-C, but not a hang-up.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _OF_A_TERMINAL)
    try:
        resource_tracker.ensure_running()  # else the first process starts it, and it lets Ctrl-C through afterwards
        signal.pthread_sigmask(signal.SIG_BLOCK, _OF_A_TERMINAL)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_A_TERMINAL)


_classifier: Classifier


def _start(bundle: Path, digest: str) -> None:
    global _classifier
    for number in _OF_A_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _classifier = Classifier.load(bundle, digest)


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone, whatever ended it."""
    if parent := parent_process():
        parent.join()
    os._exit(1)


def _score(job: Job, number: int, chunk: Chunk, inbox: Folder, results: Folder) -> None:
    jobs.score(job, number, chunk, inbox, results, _classifier)


def summarise(manifest: dict[str, Any]) -> None:
    """Print how many rows were scored, and how many of each label, decision and error."""
    counts = manifest["counts"]
    scored = f"{counts['scored']:,} of {counts['read']:,} rows scored, by {manifest['model']['name']}"
    click.echo(f"{printable(manifest['folder'])}: {scored}")
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


def picture_of(results: Iterable[dict[str, Any]]) -> str:
    """Return a histogram of the labels' probabilities (SVG)."""
    return histogram(Counter(bin_of(each["probabilities"][each["label"]]) for each in results if "label" in each))
