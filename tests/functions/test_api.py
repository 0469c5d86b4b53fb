"""The API's contract, on the handler and the bundle that ship."""

import base64
import io
import json
import logging
import shutil
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import app, problems
from candor import limits

CANARY = "zebra-4711-canary"
GOOD = {"text": "A wonderful film, from the first minute to the last."}
PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}


def event(body="", method="POST", path="/v1/predict", kind="application/json", base64_encoded=False):
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"content-type": kind} if kind else None,
        "multiValueHeaders": {"content-type": [kind]} if kind else None,
        "queryStringParameters": None,
        "requestContext": {"requestId": "request-1", "stage": "live"},
        "body": body,
        "isBase64Encoded": base64_encoded,
    }


def call(body="", **settings):
    if not isinstance(body, str | bytes):
        body = json.dumps(body)
    if isinstance(body, bytes):
        body, settings["base64_encoded"] = base64.b64encode(body).decode(), True
    answer = app.handler(event(body, **settings), SimpleNamespace(aws_request_id="lambda-1"))
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


def test_a_prediction_has_what_the_contract_says():
    status, body, headers = call(GOOD)
    assert status == 200
    assert body.keys() == {"label", "decision", "probabilities", "tokens", "warnings", "model", "request_id"}
    assert body["label"] == body["decision"] == "positive"
    assert body["tokens"] == 10
    assert body["warnings"] == []
    assert sum(round(p * 10**6) for p in body["probabilities"].values()) == 10**6
    assert body["model"].keys() == {"name", "version", "sha256"}
    assert body["request_id"] == headers["X-Request-Id"] == "request-1"
    assert headers["X-Model-Version"] == body["model"]["version"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "application/json"


def test_a_decision_below_the_callers_confidence_is_uncertain():
    sure = call(GOOD)[1]["probabilities"]["positive"]
    assert call(GOOD | {"min_confidence": sure - 0.01})[1]["decision"] == "positive"
    assert call(GOOD | {"min_confidence": sure + 0.01})[1]["decision"] == "uncertain"


def test_a_text_without_words_is_answered_with_a_warning_and_no_decision():
    status, body, _ = call({"text": "?!"})
    assert (status, body["tokens"], body["decision"]) == (200, 0, "uncertain")
    assert [warning["code"] for warning in body["warnings"]] == ["LOW_EVIDENCE"]


def test_health_and_model_answer():
    assert call(method="GET", path="/health", kind=None)[1]["status"] == "ok"
    body = call(method="GET", path="/v1/model", kind=None)[1]
    assert body["labels"] == ["negative", "positive"]
    assert body["limits"] == {"text_bytes": 20_000, "documents": 100, "body_bytes": 1_000_000}
    assert body["data"]["citation"].startswith("Maas")


def deep(levels):
    return '{"text": ' + "[" * levels + "]" * levels + "}"


def sized(size):
    """A valid request of so many bytes but for its unknown field."""
    empty = json.dumps({"text": "good", "x": ""})
    return json.dumps({"text": "good", "x": "a" * (size - len(empty))})


REFUSED = {
    "no body": ("", {}, 400, "invalid_json"),
    "not JSON": ("{text: 'good'}", {}, 400, "invalid_json"),
    "cut off": ('{"text": "good"', {}, 400, "invalid_json"),
    "two values": ('{"text": "good"} {}', {}, 400, "invalid_json"),
    "a control character in a string": ('{"text": "a\nb"}', {}, 400, "invalid_json"),
    "NaN": ('{"text": "good", "min_confidence": NaN}', {}, 400, "invalid_json"),
    "Infinity": ('{"text": "good", "min_confidence": -Infinity}', {}, 400, "invalid_json"),
    "a number of 5,000 digits": ('{"text": "good", "min_confidence": ' + "1" * 5_000 + "}", {}, 400, "invalid_json"),
    "the same key twice": ('{"text": "good", "text": "bad"}', {}, 400, "duplicate_key"),
    "the same key twice below": ('{"text": {"a": 1, "a": 2}}', {}, 400, "duplicate_key"),
    "33 levels": (deep(32), {}, 400, "too_deep"),
    "100,000 levels": (deep(100_000), {}, 400, "too_deep"),
    "invalid UTF-8": (b'{"text": "\xff"}', {}, 400, "invalid_encoding"),
    "UTF-16": ('{"text": "good"}'.encode("utf-16"), {}, 400, "invalid_encoding"),
    "false base64": ("%%%", {"base64_encoded": True}, 400, "invalid_encoding"),
    "an unknown address": (GOOD, {"path": "/v1/nothing"}, 404, "not_found"),
    "a slash at the end": (GOOD, {"path": "/v1/predict/"}, 404, "not_found"),
    "another method": ("", {"method": "GET"}, 405, "method_not_allowed"),
    "an unknown method": (GOOD, {"method": "BREW"}, 405, "method_not_allowed"),
    "HEAD": ("", {"method": "HEAD", "path": "/health"}, 405, "method_not_allowed"),
    "a form": ("text=good", {"kind": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    "another character set": (GOOD, {"kind": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
    "a body one byte too long": (sized(1_000_001), {}, 413, "body_too_large"),
    "a text one byte too long": ({"text": "é" * 10_000 + "a"}, {}, 413, "text_too_large"),
    "no text": ({}, {}, 422, "invalid_request"),
    "an empty text": ({"text": ""}, {}, 422, "invalid_request"),
    "a blank text": ({"text": " \n\u3000"}, {}, 422, "invalid_request"),
    "a text that is a number": ({"text": 1}, {}, 422, "invalid_request"),
    "a text that is null": ({"text": None}, {}, 422, "invalid_request"),
    "half a surrogate pair": ('{"text": "\\ud800"}', {}, 422, "invalid_request"),
    "an unknown field": (GOOD | {"txet": "x"}, {}, 422, "invalid_request"),
    "an array": ([GOOD], {}, 422, "invalid_request"),
    "a string": ('"good"', {}, 422, "invalid_request"),
    "a confidence over 1": (GOOD | {"min_confidence": 1.5}, {}, 422, "invalid_request"),
    "a confidence of true": (GOOD | {"min_confidence": True}, {}, 422, "invalid_request"),
    "1e999": ('{"text": "good", "min_confidence": 1e999}', {}, 422, "invalid_request"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_request_is_refused_as_the_table_says_and_a_good_one_after_it_is_not(case):
    body, settings, status, code = REFUSED[case]
    found, problem, headers = call(body, **settings)
    assert (found, problem["status"], problem["code"]) == (status, status, code)
    assert problem.keys() >= PROBLEM
    assert problem["title"] == problems.CODES[code][1]
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Request-Id"] == problem["request_id"] == "request-1"
    assert call(GOOD)[0] == 200


def test_what_is_just_within_the_limits_is_taken():
    assert call({"text": "é" * 10_000})[0] == 200
    assert call(sized(1_000_000))[1]["code"] == "invalid_request"  # only its unknown field is wrong
    assert call(deep(31))[1]["code"] == "invalid_request"
    assert call(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())[0] == 200
    assert call(GOOD, kind="Application/JSON; charset=UTF-8")[0] == 200
    assert call(GOOD, kind=None)[0] == 200
    assert call({"text": "\0 <script> ' OR 1=1 -- \u202e 好 🙂"})[0] == 200


def test_an_error_of_size_names_limit_and_actual_size():
    problem = call({"text": "a" * 20_001})[1]
    assert (problem["limit"], problem["actual"], problem["pointer"]) == (limits.MAX_TEXT_BYTES, 20_001, "/text")
    assert "20,001" in problem["detail"]
    assert "20,000" in problem["detail"]


def test_a_wrong_method_is_told_the_right_ones():
    assert call(method="GET")[2]["Allow"] == "POST"
    assert "Allow" not in call(GOOD)[2]


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_whatever_makes_an_internal_error(body):
    status, problem, _ = call(body)
    assert status in {400, 413, 422}
    assert problem.keys() >= PROBLEM


@given(st.text(min_size=1))
@settings(deadline=None)
def test_any_text_is_answered_or_refused_by_the_rules(text):
    status, body, _ = call({"text": text})
    blank = not text.strip() or any("\ud800" <= character <= "\udfff" for character in text)
    assert status == (422 if blank else 200)
    assert (body.keys() >= PROBLEM) == blank


@pytest.mark.parametrize("bad", [None, {}, {"headers": None}, {"requestContext": None, "body": None}])
def test_an_event_with_parts_missing_is_answered_all_the_same(bad):
    answer = app.handler(bad or {}, SimpleNamespace(aws_request_id="lambda-1"))
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["request_id"] == "lambda-1"


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A copy of the bundle that the handler will load, and does forget at the end."""
    shutil.copytree(app.Settings.from_environ().bundle, tmp_path / "bundle")
    monkeypatch.setenv("BUNDLE_PATH", str(tmp_path / "bundle"))
    app.classifier.cache_clear()
    yield tmp_path / "bundle"
    app.classifier.cache_clear()


@pytest.fixture
def logged(monkeypatch):
    """Everything that the handler writes, to the log and to standard output."""
    stream = io.StringIO()
    monkeypatch.setattr(app.logger.registered_handler, "stream", stream)
    return stream


@pytest.mark.parametrize("fault", ["changed", "missing", "another"])
def test_a_bundle_that_is_not_whole_is_a_503_that_the_log_explains_without_text(fault, bundle, logged, monkeypatch):
    model = bundle / "model.tflite"
    whole = model.read_bytes()
    if fault == "changed":
        model.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    elif fault == "missing":
        model.unlink()
    else:
        monkeypatch.setenv("BUNDLE_DIGEST", "0" * 64)
    status, problem, _ = call({"text": CANARY})
    assert (status, problem["code"]) == (503, "model_unavailable")
    assert call(method="GET", path="/health", kind=None)[0] == 503
    assert "manifest.json" in logged.getvalue() if fault == "another" else "model.tflite" in logged.getvalue()
    assert CANARY not in logged.getvalue()
    model.write_bytes(whole)
    monkeypatch.setenv("BUNDLE_DIGEST", "")
    assert call(GOOD)[0] == 200


CARRIERS = {
    "a text": ({"text": CANARY}, {}),
    "a field's name": ({CANARY: 1}, {}),
    "a wrong type": ({"text": [CANARY]}, {}),
    "no JSON": (CANARY, {}),
    "a path": (GOOD, {"path": f"/v1/{CANARY}"}),
    "a method": (GOOD, {"method": CANARY}),
    "a content type": (GOOD, {"kind": f"text/{CANARY}"}),
    "a text too long": ({"text": CANARY * 2000}, {}),
    "a duplicate key": (f'{{"{CANARY}": 1, "{CANARY}": 2}}', {}),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_nothing_of_what_is_sent_reaches_log_metrics_or_answer(carrier, logged, capfd):
    body, settings = CARRIERS[carrier]
    answer = call(body, **settings)
    written = logged.getvalue() + "".join(capfd.readouterr())
    assert '"message":"request"' in written
    assert "CloudWatchMetrics" in written
    assert CANARY not in written
    assert CANARY not in json.dumps(answer)


def test_an_unforeseen_fault_is_an_opaque_500_and_its_place_is_logged_without_its_message(logged, monkeypatch):
    def fails(texts):
        raise ValueError(f"cannot read {texts[0]}")

    monkeypatch.setattr(app.classifier(), "predict", fails)
    status, problem, _ = call({"text": CANARY})
    assert (status, problem["code"]) == (500, "internal_error")
    assert CANARY not in json.dumps(problem)
    assert "ValueError" in logged.getvalue()
    assert "test_api.py" in logged.getvalue()
    assert CANARY not in logged.getvalue()
    monkeypatch.undo()
    assert call(GOOD)[0] == 200


def test_every_code_is_of_use():
    used = {code for *_, code in REFUSED.values()} | {"internal_error", "model_unavailable"}
    assert used == set(problems.CODES)


def test_powertools_log_level_is_not_debug():
    assert app.logger.level >= logging.INFO
