"""Scores files on this machine: texts in, JSON lines and a receipt out, over as many processes as there are cores.

    python -m events.score reviews.csv results/      (or a folder, a pattern, or - for JSON lines on standard input)

Each file gets a folder of parts and, last, a manifest.json; what is there from a run that was interrupted is kept.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from candor import bundle
from candor.classifier import Classifier
from candor.errors import CandorError
from candor.explain import Explainer
from candor.rows import ERRORS, READERS, Row, RowsError, blocks, read
from events.server import LOCAL

PART = 5000  # rows


@dataclass(frozen=True)
class Settings:
    """What changes a result, but for input and model."""

    text_column: str = "text"
    id_column: str = "id"
    min_confidence: float | None = None
    explain: bool = False


class Worker:
    """One process's model, loaded once."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.classifier = settings, Classifier.load(Path(LOCAL["BUNDLE_PATH"]))
        asked = settings.min_confidence
        self.least = self.classifier.min_confidence if asked is None else asked
        self.explainer = Explainer(self.classifier) if settings.explain else None

    def __call__(self, rows: Sequence[Row]) -> bytes:
        """Results as JSON lines, one a row, in order."""
        predictions = iter(self.classifier.predict([row.text for row in rows if not row.error]))
        return "".join(self._line(row, None if row.error else next(predictions)) for row in rows).encode()

    def _line(self, row: Row, prediction: Any) -> str:
        said: dict[str, Any] = {"line": row.line} | ({} if row.id is None else {"id": row.id})
        if prediction is None:
            said["error"] = {"code": row.error, "detail": ERRORS[row.error]}
        else:
            said |= {
                "label": prediction.label,
                "decision": prediction.decision(self.least),
                "probabilities": prediction.probabilities,
                "tokens": prediction.tokens,
                "warnings": prediction.warnings,
            }
            if self.explainer:
                found = self.explainer(row.text, prediction.label)
                values = zip(found.spans, found.values.tolist(), strict=True)
                said["attributions"] = [{"begin": b, "end": e, "value": round(value, 6)} for (b, e), value in values]
        return json.dumps(said, ensure_ascii=False, separators=(",", ":")) + "\n"


_worker: Worker


def _start(settings: Settings) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the first one decides
    _worker = Worker(settings)


def _score(rows: Sequence[Row]) -> bytes:
    return _worker(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 for what cannot be read, which one line explains; 130 when interrupted."""
    options = parse(arguments)
    settings = Settings(options.text_column, options.id_column, options.min_confidence, options.explain)
    try:
        if options.verify:
            return verify(Path(options.input))
        for path in inputs(options.input):
            summarise(score(path, Path(options.output), settings, options.processes))
    except (CandorError, OSError) as error:
        print(f"score: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nscore: stopped; finished parts are kept, the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="score", description="Texts in, results and a receipt out.")
    parser.add_argument("input", help="file, folder, pattern, or - ; with --verify a manifest.json")
    parser.add_argument("output", nargs="?", default="results")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--id-column", default="id")
    parser.add_argument("--min-confidence", type=float)
    parser.add_argument("--explain", action="store_true", help="write what each token added, too")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verify", action="store_true", help="recompute a receipt and name what does not hold")
    return parser.parse_args(arguments)


def inputs(named: str) -> list[Path]:
    """The files that a name, a folder, a pattern or "-" stands for. Raises RowsError if there is none."""
    if named == "-":
        spooled = Path(tempfile.mkdtemp()) / "stdin.jsonl"
        with spooled.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return [spooled]
    pattern = Path(named)
    places = (
        [pattern] if pattern.exists() else sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    )
    files = [file for place in places for file in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    kinds = tuple(kind + packed for kind in READERS for packed in ("", ".gz"))
    readable = [file for file in files if file.is_file() and file.name.lower().endswith(kinds)]
    if not readable:
        raise RowsError(f"{named}: no file that ends in {', '.join(kinds)}")
    return readable


def score(path: Path, output: Path, settings: Settings, processes: int) -> dict[str, Any]:
    """Results of one file in a folder of their own, named after it and after all that they depend on; the receipt."""
    model = bundle.Bundle.open(Path(LOCAL["BUNDLE_PATH"]))
    source = {"name": path.name, "bytes": path.stat().st_size, "sha256": digest(path)}
    facts = {
        "input": source,
        "model": {"name": model.model["name"], "version": model.model["version"], "sha256": model.digest},
    }
    facts["settings"] = asdict(settings)
    key = hashlib.sha256(bundle.canonical(facts)).hexdigest()[:16]
    folder = output / f"{path.name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    receipt = folder / "manifest.json"
    if not receipt.exists():
        with path.open("rb") as file:
            rows = read(file, path.name, settings.text_column, settings.id_column)
            for number, content in parts(rows, folder, settings, processes):
                write(folder / f"part-{number:05}.jsonl", content)
        write(
            receipt,
            bundle.canonical({"work": key, "status": "done", **facts, **tally(folder), "path": str(path.resolve())}),
        )
    return {"folder": str(folder), **json.loads(receipt.read_bytes())}


def parts(rows: Iterator[Row], folder: Path, settings: Settings, processes: int) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the parts that are not there yet, in order, a few of them being made at a time."""
    waiting: deque[tuple[int, int, Future[bytes]]] = deque()
    start, done = time.monotonic(), 0
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (settings,)) as pool:
        for number, part in enumerate(blocks(rows, PART)):
            if (folder / f"part-{number:05}.jsonl").exists():
                continue
            waiting.append((number, len(part), pool.submit(_score, part)))
            if len(waiting) > 2 * processes:
                number, count, made = waiting.popleft()
                yield number, made.result()
                done += count
                progress(done, start)
        for number, count, made in waiting:
            yield number, made.result()
            done += count
            progress(done, start)


def progress(done: int, start: float) -> None:
    if sys.stderr.isatty():
        rate = done / max(time.monotonic() - start, 1e-9)
        print(f"\r{done:,} rows, {rate:,.0f} rows/s", end="", file=sys.stderr, flush=True)


def write(path: Path, content: bytes) -> None:
    """All of it or nothing."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tally(folder: Path) -> dict[str, Any]:
    """What the parts hold: their digests, and how many rows ended how."""
    labels: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    described = []
    for part in sorted(folder.glob("part-*.jsonl")):
        lines = [json.loads(line) for line in part.read_bytes().split(b"\n") if line]
        labels.update(line["label"] for line in lines if "label" in line)
        decisions.update(line["decision"] for line in lines if "decision" in line)
        errors.update(line["error"]["code"] for line in lines if "error" in line)
        described.append({"name": part.name, "rows": len(lines), "sha256": digest(part)})
    scored, failed = labels.total(), errors.total()
    counts: dict[str, Any] = {"read": scored + failed, "scored": scored, "failed": failed}
    return {"parts": described, "counts": {**counts, "labels": labels, "decisions": decisions, "errors": errors}}


def summarise(receipt: dict[str, Any]) -> None:
    counts = receipt["counts"]
    print(f"{receipt['folder']}: {counts['scored']:,} of {counts['read']:,} rows scored, by {receipt['model']['name']}")
    for kind in ("labels", "decisions", "errors"):
        for name, count in sorted(counts[kind].items()):
            print(f"  {kind[:-1]:9} {name:16} {count:,}")


def verify(receipt: Path) -> int:
    """0 if all that a receipt says holds; 1 and the first thing that does not."""
    said, found = json.loads(receipt.read_bytes()), tally(receipt.parent)
    for part in said["parts"]:
        if part not in found["parts"]:
            return fault(f"{part['name']} is missing or is not the one of the receipt")
    for name in ("parts", "counts"):
        if found[name] != said[name]:
            return fault(f"the receipt's {name} are not those of the parts")
    source = Path(said["path"])
    if not source.exists():
        print(f"{receipt}: the results hold; {source.name} is no longer there to compare")
        return 0
    if digest(source) != said["input"]["sha256"]:
        return fault(f"{source.name} is not the file that was scored")
    print(f"{receipt}: all holds")
    return 0


def fault(sentence: str) -> int:
    print(f"verify: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
