"""Files of texts to files of labels, as whole processes: against fastText's command line, by cores, by file size."""

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmark.texts import WORD, fast_text
from training.data import Dataset

ROOT = Path(__file__).parents[2]
FAST_TEXT = ROOT / ".cache/fasttext"
ROUNDS = 5
BIG, SMALL = 1_000_000_000, 10_000_000  # bytes


def lines(data: Dataset) -> list[str]:
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as folder:
        place = Path(folder)
        return against_fast_text(data, place) + by_cores(data, place) + memory(data, place)


def write(path: Path, texts: Sequence[str], size: int = 0) -> Path:
    """JSON lines of all texts; if a size is given, over and over until the file has as many bytes."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(itertools.cycle(texts) if size else texts):
            file.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
            if size and file.tell() >= size:
                break
    return path


def score(path: Path, processes: int, redact: bool = False) -> list[str]:
    command = [sys.executable, "-m", "events.score", str(path), str(path.parent / "out")]
    return [*command, "--processes", str(processes), *(() if redact else ("--no-redact",))]


def taken(command: list[str], output: Path, stdout: Path | None = None) -> tuple[float, int]:
    """Seconds, and kibibytes at most, of a process from its start to its end."""
    shutil.rmtree(output, ignore_errors=True)
    with (stdout or Path(os.devnull)).open("wb") as file:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, env={**os.environ, "PYTHONPATH": "layers/serving"})
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - start, used.ru_maxrss


@contextmanager
def one_core() -> Iterator[None]:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def against_fast_text(data: Dataset, place: Path) -> list[str]:
    """Both from a file to a file; fastText's texts are tokenised beforehand, which is not counted."""
    ours = write(place / "reviews.jsonl", data.test_texts)
    theirs = place / "reviews.txt"
    theirs.write_text("".join(" ".join(WORD.findall(text.lower())) + "\n" for text in data.test_texts))
    fast_text(data).save_model(str(place / "model.bin"))
    command = [str(FAST_TEXT), "predict-prob", str(place / "model.bin"), str(theirs), "1"]
    with one_core():
        rounds = [
            (
                taken(score(ours, 1), place / "out")[0],
                taken(command, place / "none", place / "said")[0],
                taken(score(ours, 1, redact=True), place / "out")[0],
            )
            for _ in range(ROUNDS)
        ]
    mine, peer, redacted = (statistics.median(times) for times in zip(*rounds, strict=True))
    return [
        f"file to results, one core, start included: {len(data.test_texts) / mine:,.0f} reviews/s, "
        f"{peer / mine:.2f} times fastText's command line on tokenised text (bar 0.6)",
        f"the same with redaction, as is the default: {len(data.test_texts) / redacted:,.0f} reviews/s, "
        f"{mine / redacted:.0%} "
        "of it (bar 75 %)",
    ]


def by_cores(data: Dataset, place: Path) -> list[str]:
    path = write(place / "many.jsonl", data.test_texts, 300_000_000)
    ratios = []
    for redact in (True, False):
        runs = [[taken(score(path, cores, redact), place / "out")[0] for cores in (1, 2)] for _ in range(3)]
        one, two = (statistics.median(times) for times in zip(*runs, strict=True))
        ratios.append(one / two)
    return [
        f"file to results, two processes against one: {ratios[0]:.2f} times as fast (bar 1.7), "
        f"{ratios[1]:.2f} without redaction"
    ]


def memory(data: Dataset, place: Path) -> list[str]:
    """Of the largest process: a file is read in chunks, so its size should not matter."""
    peaks = []
    for size in (SMALL, BIG):
        path = write(place / "sized.jsonl", data.test_texts, size)
        peaks.append(taken(score(path, 1), place / "out")[1])
        path.unlink()
    small, big = peaks
    return [f"peak memory for 1 GB against 10 MB: {big / 1024:.0f} MB, {big / small:.2f} times (bar 1.3)"]
