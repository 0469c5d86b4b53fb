"""Check of a new version of the API before it gets traffic: it must answer the bundle's golden cases as recorded."""

import json
from collections.abc import Callable
from typing import Any

from candor.limits import MAX_DOCUMENTS
from candor.model.bundle import Bundle

Invoke = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes an event of API Gateway and returns the version's answer."""


def find_faults(invoke: Invoke, bundle: Bundle) -> list[str]:
    """Ask a version of the API golden requests, and return what is wrong.

    Every golden case must be answered as recorded, an invalid request must be refused, and the model must be the
    bundle's.

    Args:
        invoke: Invokes the version.
        bundle: The bundle that the version was deployed with.

    Returns:
        The faults, each a sentence that contains no text; empty if the version may get traffic.
    """
    golden = json.loads(bundle.read("golden.json"))
    faults = []
    for start in range(0, len(golden["cases"]), MAX_DOCUMENTS):
        cases = golden["cases"][start : start + MAX_DOCUMENTS]
        faults += _wrong_answers(invoke, bundle, cases, start, golden["tolerance"])
    status, _ = _post(invoke, "/v1/predict", {})
    if status != 422:
        faults.append(f"a request without a text is answered with status {status} instead of 422")
    return faults


def _wrong_answers(
    invoke: Invoke, bundle: Bundle, cases: list[dict[str, Any]], start: int, tolerance: float
) -> list[str]:
    """Send golden cases, of which the first has index `start`, as one batch; return what is wrong with the answer."""
    status, body = _post(invoke, "/v1/predict/batch", {"documents": [{"text": case["text"]} for case in cases]})
    if status != 200:
        return [f"golden cases from {start + 1} on are answered with status {status} instead of 200"]
    faults = []
    if body["model"]["sha256"] != bundle.digest:
        faults.append("the model is not the one that was deployed")
    results = {result["index"]: result for result in body["results"]}
    for index, case in enumerate(cases):
        result = results.get(index)
        if result is None or result["label"] != case["label"] or _max_difference(result, case) > tolerance:
            faults.append(f"golden case {start + index + 1} is not answered as recorded")
    return faults


def _max_difference(result: dict[str, Any], case: dict[str, Any]) -> float:
    """Return the largest difference of a label's probability from the recorded one."""
    recorded: dict[str, float] = case["probabilities"]
    answered: dict[str, float] = result["probabilities"]
    return max(abs(answered.get(label, 0.0) - probability) for label, probability in recorded.items())


def _post(invoke: Invoke, path: str, body: Any) -> tuple[int, Any]:
    """Send a request; return the answer's status and body, or (0, None) if the function ended without an answer."""
    event = {
        "httpMethod": "POST",
        "path": path,
        "resource": path,
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "requestContext": {"requestId": "pre-traffic"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = invoke(event)
    try:
        return int(answer["statusCode"]), json.loads(answer["body"])
    except (KeyError, TypeError, ValueError):
        return 0, None
