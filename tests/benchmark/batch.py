"""Batch scoring as whole processes: compared with fastText's command line, by number of cores, by file size."""

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
    """Return the figures of batch scoring."""
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as folder:
        path = Path(folder)
        return against_fast_text(data, path) + by_cores(data, path) + memory(data, path)


def write(path: Path, texts: Sequence[str], size: int = 0) -> Path:
    """Write all texts as JSON lines; with a size, repeat them until the file has that many bytes."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(itertools.cycle(texts) if size else texts):
            file.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
            if size and file.tell() >= size:
                break
    return path


def score(path: Path, processes: int, redact: bool = False) -> list[str]:
    """Return the command that scores a file."""
    command = [sys.executable, "-m", "candor", "score", str(path), str(path.parent / "out")]
    return [*command, "--processes", str(processes), *(() if redact else ("--no-redact",))]


def run(command: list[str], output: Path, stdout: Path | None = None) -> tuple[float, int]:
    """Run a command from start to end; return its seconds and its peak memory in KiB."""
    shutil.rmtree(output, ignore_errors=True)
    with (stdout or Path(os.devnull)).open("wb") as file:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, env={**os.environ, "PYTHONPATH": "layers/serving"})
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - start, usage.ru_maxrss


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process and its children on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def against_fast_text(data: Dataset, folder: Path) -> list[str]:
    """Compare from file to file. fastText's texts are tokenised beforehand, which is not counted."""
    ours = write(folder / "reviews.jsonl", data.test_texts)
    theirs = folder / "reviews.txt"
    theirs.write_text("".join(" ".join(WORD.findall(text.lower())) + "\n" for text in data.test_texts))
    fast_text(data).save_model(str(folder / "model.bin"))
    command = [str(FAST_TEXT), "predict-prob", str(folder / "model.bin"), str(theirs), "1"]
    with one_core():
        rounds = [
            (
                run(score(ours, 1), folder / "out")[0],
                run(command, folder / "none", folder / "predictions")[0],
                run(score(ours, 1, redact=True), folder / "out")[0],
            )
            for _ in range(ROUNDS)
        ]
    plain, peer, redacted = (statistics.median(times) for times in zip(*rounds, strict=True))
    return [
        f"file to results, one core, start included: {len(data.test_texts) / plain:,.0f} reviews/s, "
        f"{peer / plain:.2f} times fastText's command line on tokenised text (bar 0.6)",
        f"file to results with redaction (the default): {len(data.test_texts) / redacted:,.0f} reviews/s, "
        f"{plain / redacted:.0%} of the speed without (bar 75 %)",
    ]


def by_cores(data: Dataset, folder: Path) -> list[str]:
    """Compare two processes with one."""
    path = write(folder / "many.jsonl", data.test_texts, 300_000_000)
    ratios = []
    for redact in (True, False):
        runs = [[run(score(path, cores, redact), folder / "out")[0] for cores in (1, 2)] for _ in range(3)]
        one, two = (statistics.median(times) for times in zip(*runs, strict=True))
        ratios.append(one / two)
    return [
        f"file to results, two processes vs one: {ratios[0]:.2f} times as fast (bar 1.7), "
        f"{ratios[1]:.2f} without redaction"
    ]


def memory(data: Dataset, folder: Path) -> list[str]:
    """Compare the peak memory for files of 1 GB and 10 MB. Files are read in chunks, so it should not grow."""
    peaks = []
    for size in (SMALL, BIG):
        path = write(folder / "sized.jsonl", data.test_texts, size)
        peaks.append(run(score(path, 1), folder / "out")[1])
        path.unlink()
    small, big = peaks
    return [f"peak memory for 1 GB vs 10 MB: {big / 1024:.0f} MB, {big / small:.2f} times (bar 1.3)"]
