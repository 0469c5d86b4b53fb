"""Measure every figure of docs/figures.md that training does not measure, each with its bar. Takes a few minutes.

make bench [DATA=aclImdb_v1.tar.gz]
"""

import argparse
import os
from pathlib import Path

from candor.cli.gateway import LOCAL
from tests.benchmark import batch, cold_start, drift, gateway, handler, redact, texts
from training.data import load


def main() -> None:
    """Print the figures, one per line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--data", type=Path)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # one core for every figure of a single process
    data = load(parser.parse_args().data)
    reviews = data.test_texts[:: len(data.test_texts) // texts.REVIEWS][: texts.REVIEWS]
    bundle = Path(LOCAL["BUNDLE_PATH"])
    for line in (
        texts.featuriser(bundle, reviews)
        + texts.prediction(data, bundle, reviews)
        + texts.explanation(bundle, data.test_texts)
    ):
        print(line, flush=True)
    for line in redact.planted_lines() + redact.review_lines(data.test_texts) + drift.lines(bundle, data.test_texts):
        print(line, flush=True)
    one = texts.typical(reviews)
    for line in handler.single(one) + handler.explained(one) + handler.batch(reviews):
        print(line, flush=True)
    os.sched_setaffinity(0, cores)
    for part in (
        lambda: batch.lines(data),
        lambda: cold_start.lines(runs=11),
        lambda: gateway.through_sam(one),
        lambda: gateway.under_load(one),
    ):
        for line in part():
            print(line, flush=True)


if __name__ == "__main__":
    main()
