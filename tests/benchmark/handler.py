"""Latency of the handler in process, from event to response."""

import contextlib
import io
import json
import os
import statistics
import time
from types import SimpleNamespace

from candor.cli.gateway import event, prepare, template
from tests.benchmark.texts import interleaved

CALLS = 3000


def single(review: str) -> list[str]:
    """Measure p50 and p99 of a prediction for one review."""
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "false"  # as in Lambda
    body = json.dumps({"text": review}).encode()
    request = event("POST", "/v1/predict", [("Content-Type", "application/json")], body)
    context = SimpleNamespace(function_name="bench", aws_request_id="bench")
    times = []
    with contextlib.redirect_stdout(io.StringIO()):
        handler = prepare(template())["/v1/predict"]["ANY"]
        for _ in range(CALLS):
            start = time.perf_counter()
            answer = handler(request, context)
            times.append(1000 * (time.perf_counter() - start))
    assert answer["statusCode"] == 200, answer
    centiles = statistics.quantiles(times, n=100)
    return [
        f"handler, one review of {len(review.split())} words: p50 {centiles[49]:.2f} ms (bar 1.5), "
        f"p99 {centiles[98]:.2f} ms (bar 4), median of {CALLS:,} calls"
    ]


def batch(reviews: list[str]) -> list[str]:
    """Compare a batch of 100 reviews with 100 single calls."""
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "false"
    headers, context = [("Content-Type", "application/json")], SimpleNamespace(function_name="b", aws_request_id="b")
    documents = [{"text": review} for review in reviews[:100]]
    many = event("POST", "/v1/predict/batch", headers, json.dumps({"documents": documents}).encode())
    single = [event("POST", "/v1/predict", headers, json.dumps(document).encode()) for document in documents]
    with contextlib.redirect_stdout(io.StringIO()):
        handler = prepare(template())["/v1/predict"]["ANY"]
        together, alone = interleaved(
            lambda: handler(many, context), lambda: [handler(each, context) for each in single]
        )
    return [
        f"handler, a batch of {len(documents)} reviews: {1000 * together:.1f} ms, "
        f"{alone / together:.1f} times cheaper than one by one (bar 5)"
    ]


def explained(review: str) -> list[str]:
    """Compare a prediction with its explanation with a plain one."""
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "false"
    headers, context = [("Content-Type", "application/json")], SimpleNamespace(function_name="b", aws_request_id="b")
    bodies = [json.dumps({"text": review, "explain": explain}).encode() for explain in (True, False)]
    with_it, plain = (event("POST", "/v1/predict", headers, body) for body in bodies)
    with contextlib.redirect_stdout(io.StringIO()):
        handler = prepare(template())["/v1/predict"]["ANY"]
        more, less = interleaved(
            lambda: [handler(with_it, context) for _ in range(200)],
            lambda: [handler(plain, context) for _ in range(200)],
        )
    return [f"handler, explained vs plain prediction: {5 * more:.2f} ms, {more / less:.1f} times (bar 4)"]
