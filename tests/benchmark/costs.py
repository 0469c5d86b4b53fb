"""Estimate what the stack costs a month at AWS's list prices, from times measured on this machine: `make costs`.

Prices are US dollars in us-east-1 for x86_64, without free tiers, from AWS's price lists of Lambda, API Gateway,
CloudWatch, KMS, Secrets Manager, S3, Step Functions and Comprehend as of 2025. A review has the length of IMDB's
median one.
"""

import json
import os
import statistics
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from candor.cli.dashboard import widgets
from candor.cli.gateway import LOCAL, event, prepare, template

GB_SECOND, INVOCATION = 0.0000166667, 0.20e-6  # Lambda
RESTORED_GB, CACHED_GB_SECOND = 0.0001397998, 0.0000015046  # Lambda SnapStart
REQUEST = 3.50e-6  # API Gateway, REST
LOGGED_GB, METRIC, ALARM, DASHBOARD = 0.50, 0.30, 0.10, 3.00  # CloudWatch
KEY, SECRET = 1.00, 0.40  # KMS, Secrets Manager
TRANSITION, WRITE, READ = 0.025e-3, 0.005e-3, 0.0004e-3  # Step Functions, S3
TIERS = ((10e6, 0.0001), (40e6, 0.00005), (float("inf"), 0.000025))  # Comprehend: units of 100 characters
MONTH = 30 * 24 * 3600
PROCESSOR = 1769  # MB of memory that come with one whole processor
AT = (10_000, 1_000_000, 100_000_000)
COLD = 0.01  # share of requests that restore a snapshot
REVIEW = 200  # words


def main() -> None:
    """Print the table."""
    stack = template()
    memory = int(stack["Parameters"]["MemorySize"]["Default"])
    milliseconds, logged, metrics = request(review())
    billed = max(1.0, milliseconds * PROCESSOR / memory)
    rate = 1000 / batch_milliseconds()
    alarms = sum(
        sum("MetricStat" in metric for metric in resource["Properties"].get("Metrics", [{"MetricStat": {}}]))
        for resource in stack["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    )
    fixed = metrics * METRIC + alarms * ALARM + DASHBOARD + KEY + SECRET + CACHED_GB_SECOND * memory / 1024 * MONTH
    print(f"a request: {milliseconds:.2f} ms here, {billed:.1f} ms on {memory} MB, {logged:,} bytes of log")
    print(f"in blocks, redacted: {rate:,.0f} reviews a second of one processor")
    print(f"fixed: {metrics} metrics, {alarms} under alarm, a dashboard, a key, a secret, a snapshot: ${fixed:.2f}\n")
    print("| predictions a month | one by one, over HTTPS | by file | Amazon Comprehend |\n|---|---|---|---|")
    each = REQUEST + INVOCATION + GB_SECOND * billed / 1000 * memory / 1024 + LOGGED_GB * logged / 1e9
    each += COLD * RESTORED_GB * memory / 1024
    for count in AT:
        asked, filed = fixed + each * count, fixed + by_file(count, rate)
        print(f"| {count:,} | ${asked:,.2f} | ${filed:,.2f} | ${comprehend(count):,.2f} |")


def review() -> str:
    """Return a review of REVIEW words, made of golden cases."""
    cases = json.loads((Path(LOCAL["BUNDLE_PATH"]) / "golden.json").read_text())["cases"]
    words = [word for case in cases if case["known"] for word in case["text"].split()]
    return " ".join((words * (REVIEW // len(words) + 1))[:REVIEW])


def request(text: str) -> tuple[float, int, int]:
    """Return the handler's median milliseconds, the bytes of log per request, and the number of metrics."""
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "false"
    log = StringIO()
    with redirect_stdout(log):
        handler = prepare(template())["/v1/predict"]["ANY"]
        request = event(
            "POST", "/v1/predict", [("Content-Type", "application/json")], json.dumps({"text": text}).encode()
        )
        times = [timed(handler, request) for _ in range(300)]
        log.seek(0)
        log.truncate()
        handler(request, None)
    lambdas_own = 900  # bytes: START, END and REPORT in JSON, and the gateway's access log
    shown = {metric[1] for widget in widgets("candor") for metric in widget["properties"]["metrics"]}
    return statistics.median(times) * 1000, len(log.getvalue()) + lambdas_own, len(shown)


def timed(handler: object, request: object) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    handler(request, None)  # type: ignore[operator]
    return time.perf_counter() - start


def batch_milliseconds() -> float:
    """Return the milliseconds per review in a batch of a thousand."""
    from candor.model.classifier import Classifier

    classifier, texts = Classifier.load(Path(LOCAL["BUNDLE_PATH"])), [f"{review()} {n}" for n in range(1000)]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        classifier.predict(texts)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def by_file(count: int, rate: float) -> float:
    """Return the cost of scoring files.

    Planning and counting take about a tenth of scoring. A part holds 12,000 reviews and has its own reads and writes,
    and two transitions: the start of its execution and its one state.
    """
    seconds, parts = 1.15 * count / rate, max(1, count // 12_000)
    moved = parts * (2 * TRANSITION + 2 * WRITE + 6 * READ + INVOCATION) + 5 * TRANSITION + 4 * WRITE
    return GB_SECOND * seconds * PROCESSOR / 1024 + moved


def comprehend(count: int) -> float:
    """Return the cost of Comprehend's sentiment for texts of 1,230 characters, IMDB's mean."""
    units, price = count * 13.0, 0.0
    for size, each in TIERS:
        price += min(units, size) * each
        units -= min(units, size)
    return price


if __name__ == "__main__":
    main()
