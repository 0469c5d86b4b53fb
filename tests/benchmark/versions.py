"""Compare featuriser and prediction with another checkout of this repository, each with its own bundle.

python -m tests.benchmark.versions CHECKOUT TEXTS [--bundle FOLDER]

Both run as processes of one core, and take turns on the same texts. Times are of the processor, so that what else runs
here counts less; a busy machine still slows whoever reads more memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS = 60
TEXTS, ALONE = 1280, 200
WORKER = """
import gc, json, sys, time
from pathlib import Path
from candor.model.classifier import BLOCK, Classifier

classifier = Classifier.load(Path(sys.argv[1]))
texts, alone = json.loads(sys.stdin.readline())
table = [classifier.table] if hasattr(classifier, "table") else []
featurise = lambda block: classifier.featuriser(block, *table)
ways = {
    "blocks, text to probabilities": lambda: classifier.probabilities(texts),
    "blocks, featuriser": lambda: [featurise(texts[i : i + BLOCK]) for i in range(0, len(texts), BLOCK)],
    "one review, text to probabilities": lambda: [classifier.probabilities([text]) for text in alone],
    "one review, featuriser": lambda: [featurise([text]) for text in alone],
}
gc.disable()
for line in sys.stdin:
    start = time.process_time()
    ways[line.strip()]()
    print(time.process_time() - start, flush=True)
"""
WAYS = {
    "blocks, text to probabilities": TEXTS,
    "blocks, featuriser": TEXTS,
    "one review, text to probabilities": ALONE,
    "one review, featuriser": ALONE,
}


def worker(checkout: Path, bundle: Path, texts: list[str]) -> "subprocess.Popen[str]":
    """Start a process that measures a checkout's package when it is asked."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(bundle)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(checkout / "layers/serving"), "OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps([texts, texts[:ALONE]]) + "\n")
    return process


def seconds(process: "subprocess.Popen[str]", way: str) -> float:
    """Return the seconds of one turn."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(way + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    """Print one line for each way: microseconds a text, here and there, and the median of the turns' ratios."""
    parser = argparse.ArgumentParser(prog="versions", description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("texts", type=Path, help="folder of text files, such as aclImdb/test")
    parser.add_argument("--bundle", type=Path, default=ROOT / "layers/model/bundle", help="of this checkout")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    files = sorted(options.texts.rglob("*.txt"))
    texts = [path.read_text(encoding="utf-8") for path in files[:: max(1, len(files) // TEXTS)][:TEXTS]]
    processes = [
        worker(ROOT, options.bundle, texts),
        worker(options.checkout, options.checkout / "layers/model/bundle", texts),
    ]
    for way, count in WAYS.items():
        for process in processes:
            seconds(process, way)
        turns = [[seconds(process, way) * 1e6 / count for process in processes] for _ in range(ROUNDS)]
        here, there = (statistics.median(times) for times in zip(*turns, strict=True))
        ratio = statistics.median(one / other for one, other in turns)
        print(f"{way}: {here:.1f} µs, there {there:.1f} µs, {ratio:.2f} times", flush=True)


if __name__ == "__main__":
    main()
