"""Time `candor train` on many short texts, in a process of its own, by the sentences of IMDB and labels of our making.

python -m tests.benchmark.large_sets aclImdb --rows 100000 1000000 --labels 5

Each word has a random weight for each label. A sentence has the label with the largest sum, but
one label in ten is drawn at random instead: no model can be right about more than 90 % of texts, and some by chance.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from tests.benchmark.own_labels import measured

NOISE = 0.1
_END = re.compile(r"(?<=[.!?])\s+|<br />")
_WORD = re.compile(r"\w+")


def main() -> None:
    """Print a row a number of texts."""
    parser = argparse.ArgumentParser(prog="large_sets", description=__doc__)
    parser.add_argument("imdb", type=Path, help="the unpacked folder aclImdb")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--labels", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{'rows':>9}{'labels':>8}{'held out':>10}{'MB':>7}{'CPU s':>7}{'wall s':>8}{'MiB':>7}")
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            data, bundle = Path(folder) / "rows.jsonl", Path(folder) / "rows/1/bundle"
            write(data, list(islice(sentences(arguments.imdb), rows)), arguments.labels)
            cost = measured(data, Path(folder), "rows")
            accuracy = json.loads((bundle / "model.json").read_text())["metrics"]["accuracy"]["value"]
            size = sum(path.stat().st_size for path in bundle.iterdir()) / 1e6
            print(
                f"{rows:>9,}{arguments.labels:>8}{accuracy:>10.1%}{size:>7.2f}{cost.cpu:>7.0f}{cost.wall:>8.0f}"
                f"{cost.mebibytes:>7,.0f}",
                flush=True,
            )


def sentences(imdb: Path) -> Iterator[str]:
    """Yield the sentences of all reviews, in an order that mixes films and opinions."""
    paths = sorted(imdb.glob("*/*/*_*.txt"))
    for index in np.random.default_rng(1).permutation(len(paths)):
        yield from (each for each in map(str.strip, _END.split(paths[index].read_text())) if each)


def write(path: Path, texts: list[str], n_labels: int) -> None:
    """Write texts with their labels as JSON lines."""
    random = np.random.default_rng(1)
    words = dict.fromkeys(word for text in texts for word in _WORD.findall(text.lower()))
    index = {word: number for number, word in enumerate(words)}
    weights = random.normal(size=(len(index), n_labels))
    with path.open("w") as file:
        for text in texts:
            label = int(weights[[index[word] for word in _WORD.findall(text.lower())]].sum(axis=0).argmax())
            if random.random() < NOISE:
                label = int(random.integers(n_labels))
            file.write(json.dumps({"text": text, "label": f"label {label}"}) + "\n")


if __name__ == "__main__":
    main()
