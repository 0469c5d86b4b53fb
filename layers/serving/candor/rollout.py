"""Whether a new version of the API answers as its bundle says it must, before it gets traffic."""

import json
from collections.abc import Callable
from typing import Any

from candor.bundle import Bundle
from candor.limits import MAX_DOCUMENTS

Ask = Callable[[dict[str, Any]], dict[str, Any]]


def faults(ask: Ask, bundle: Bundle) -> list[str]:
    """What is wrong, each in a sentence without a text. `ask` takes an event of API Gateway's to the version's answer.

    Every golden case has to come out as recorded, a wrong request has to be refused, and the model be the bundle's.
    """
    golden = json.loads(bundle.read("golden.json"))
    found = []
    for start in range(0, len(golden["cases"]), MAX_DOCUMENTS):
        found += _wrong(ask, bundle, golden["cases"][start : start + MAX_DOCUMENTS], start, golden["tolerance"])
    status, _ = _answer(ask, "/v1/predict", {})
    return found if status == 422 else [*found, f"a request without a text is answered with status {status}"]


def _wrong(ask: Ask, bundle: Bundle, cases: list[dict[str, Any]], start: int, tolerance: float) -> list[str]:
    texts = [{"text": case["text"]} for case in cases]
    status, body = _answer(ask, "/v1/predict/batch", {"documents": texts})
    if status != 200:
        return [f"golden cases from {start + 1} on are answered with status {status}"]
    found = []
    if body["model"]["sha256"] != bundle.digest:
        found.append("the model is another than the one that was deployed")
    results = {result["index"]: result for result in body["results"]}
    for place, case in enumerate(cases):
        result = results.get(place)
        if result is None or result["label"] != case["label"] or _apart(result, case) > tolerance:
            found.append(f"golden case {start + place + 1} is not answered as recorded")
    return found


def _apart(result: dict[str, Any], case: dict[str, Any]) -> float:
    expected: dict[str, float] = case["probabilities"]
    given: dict[str, float] = result["probabilities"]
    return max(abs(given.get(label, 0.0) - share) for label, share in expected.items())


def _answer(ask: Ask, path: str, body: Any) -> tuple[int, Any]:
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
    answer = ask(event)
    try:
        return int(answer["statusCode"]), json.loads(answer["body"])
    except (KeyError, TypeError, ValueError):
        return 0, None  # Lambda's own: the function ended without an answer
