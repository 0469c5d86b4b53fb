"""The API's contract, tested on the handler and a small model of two labels."""

import base64
import gzip
import hashlib
import importlib.util
import io
import json
import logging
import random
import re
import shutil
import sys
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api import app, problems, schemas
from candor import limits
from candor.model.bundle import canonical, write
from candor.model.classifier import Prediction
from candor.operate.observe import measure

CANARY = "zebra-4711-canary"
GOOD = {"text": "A wonderful film, superbly acted, from the first minute to the last."}
PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}


TERMS = {"religion": ["muslim", "catholic"], "gender": ["he", "she", "女"]}
AUDIT = {"way": "one-feature", "groups": {"religion": 2, "gender": 3}, "kept": [], "chosen": {}, "gate": {}}


@pytest.fixture
def audited(tmp_path, load):
    """The API with the same model, which does not tell TERMS apart and was audited."""
    files = app.classifier().bundle.files
    more = {"identity.json": canonical({"groups": TERMS}), "fairness.json": canonical(AUDIT)}
    write(tmp_path, files | more)
    load(tmp_path)


def event(body="", method="POST", path="/v1/predict", kind="application/json", base64_encoded=False, **headers):
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": ({"content-type": kind} if kind else {}) | headers or None,
        "multiValueHeaders": {"content-type": [kind]} if kind else None,
        "queryStringParameters": None,
        "requestContext": {"requestId": "request-1", "stage": "live"},
        "body": body,
        "isBase64Encoded": base64_encoded,
    }


def ask(body="", **settings):
    """Return the handler's whole answer."""
    if not isinstance(body, str | bytes):
        body = json.dumps(body)
    if isinstance(body, bytes):
        body, settings["base64_encoded"] = base64.b64encode(body).decode(), True
    return app.handler(event(body, **settings), SimpleNamespace(aws_request_id="lambda-1"))


def call(body="", **settings):
    """Return the status, the JSON body and the headers of the answer."""
    answer = ask(body, **settings)
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


def batch(documents, **more):
    return call({"documents": documents, **more}, path="/v1/predict/batch")


def test_predict_answer_has_documented_fields():
    status, body, headers = call(GOOD)
    assert status == 200
    assert body.keys() == {"label", "decision", "probabilities", "tokens", "warnings", "model", "request_id"}
    assert body["label"] == body["decision"] == "positive"
    assert body["tokens"] == 12
    assert body["warnings"] == []
    assert sum(round(p * 10**6) for p in body["probabilities"].values()) == 10**6
    assert body["model"].keys() == {"name", "version", "sha256"}
    assert body["request_id"] == headers["X-Request-Id"] == "request-1"
    assert headers["X-Model-Version"] == body["model"]["version"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "application/json"


def test_predict_below_min_confidence_is_uncertain():
    p = call(GOOD)[1]["probabilities"]["positive"]
    assert call(GOOD | {"min_confidence": p - 1e-6})[1]["decision"] == "positive"
    assert call(GOOD | {"min_confidence": p + 1e-6})[1]["decision"] == "uncertain"


def test_predict_default_min_confidence_is_the_models():
    min_confidence = call(method="GET", path="/v1/model", kind=None)[1]["min_confidence"]
    assert 0.5 < min_confidence < 1
    decisions = {}
    for text in (GOOD["text"], "The first half is fine, the second is not."):
        body = call({"text": text})[1]
        confident = body["probabilities"][body["label"]] >= min_confidence
        decisions[confident] = body["decision"]
        assert call({"text": text, "min_confidence": 0})[1]["decision"] == body["label"]
    assert decisions == {True: "positive", False: "uncertain"}


def test_predict_text_without_words_warns():
    status, body, _ = call({"text": "?!"})
    assert (status, body["tokens"], body["decision"]) == (200, 0, "uncertain")
    assert [warning["code"] for warning in body["warnings"]] == ["LOW_EVIDENCE"]


UNFAMILIAR = [
    ("这部电影非常好看，我很喜欢", ["LANGUAGE_UNSUPPORTED", "LOW_EVIDENCE"]),
    ("Замечательный фильм", ["LANGUAGE_UNSUPPORTED", "LOW_EVIDENCE"]),
    ("asdkj qwoieu zxmcn qpwoei lkjasd", ["LOW_EVIDENCE"]),
    ("Der Film ist wirklich schlecht und langweilig", ["LOW_EVIDENCE"]),
    ("An evening of pure joy: Amélie is wonderful, a delight from 好 to bad.", []),
    ("The film was dull, badly acted and far too long.", []),
]


@pytest.mark.parametrize(("text", "codes"), UNFAMILIAR)
def test_predict_unfamiliar_text_warns(text, codes):
    """A text unlike the training texts gets a warning and the decision "uncertain"."""
    _, body, _ = call({"text": text})
    assert [warning["code"] for warning in body["warnings"]] == codes
    assert (body["decision"] == "uncertain") == bool(codes)
    assert all(warning["detail"] for warning in body["warnings"])


def test_batch_partial_success_keeps_order_and_ids():
    documents = [
        {"id": "a", "text": GOOD["text"]},
        {"text": ""},
        {"id": "c", "text": 1},
        "no",
        {"text": "Dull.", "id": "é"},
    ]
    status, body, headers = batch(documents)
    assert status == 200
    assert body.keys() == {"results", "errors", "model", "request_id"}
    assert [(result["index"], result.get("id")) for result in body["results"]] == [(0, "a"), (4, "é")]
    assert [(error["index"], error.get("id"), error["code"]) for error in body["errors"]] == [
        (1, None, "invalid_request"),
        (2, "c", "invalid_request"),
        (3, None, "invalid_request"),
    ]
    assert [error["pointer"] for error in body["errors"]] == ["/documents/1/text", "/documents/2/text", "/documents/3"]
    single = call(GOOD)[1]
    assert body["results"][0] == {"index": 0, "id": "a"} | {
        name: single[name] for name in single if name not in ("model", "request_id")
    }
    assert headers["Cache-Control"] == "no-store"


def test_batch_all_documents_invalid_is_200():
    status, body, _ = batch([{"text": " "}, {}])
    assert (status, body["results"], len(body["errors"])) == (200, [], 2)


def test_batch_accepts_1_to_100_documents():
    assert len(batch([GOOD] * 100)[1]["results"]) == 100
    status, problem, _ = batch([GOOD] * 101)
    assert (status, problem["code"], problem["limit"], problem["actual"]) == (413, "too_many_documents", 100, 101)
    status, problem, _ = batch([])
    assert (status, problem["code"], problem["pointer"]) == (422, "invalid_request", "/documents")


@pytest.mark.parametrize(
    "document",
    [
        {"text": "a" * 20_001, "id": "big"},
        {"text": "good", "id": True},
        {"text": "good", "id": ["a"]},
        {"text": "good", "id": int("1" * 101)},
        {"text": "good", "id": "x" * 101},
        {"text": "good", "lang": "en"},
        [],
        None,
        {"text": "\ud800"},
        {"text": "good", "id": "\udfff"},
    ],
)
def test_batch_invalid_document_fails_alone(document):
    status, body, _ = batch([document, {"id": "fine", "text": "good"}])
    assert status == 200
    assert [error["index"] for error in body["errors"]] == [0]
    assert [result["id"] for result in body["results"]] == ["fine"]


@pytest.mark.parametrize("body", [{}, {"documents": {}}, {"documents": "x"}, {"documents": [GOOD], "text": "x"}, []])
def test_batch_invalid_body_is_refused(body):
    status, problem, _ = call(body, path="/v1/predict/batch")
    assert (status, problem["code"]) == (422, "invalid_request")
    assert batch([GOOD])[0] == 200


def test_batch_min_confidence_applies():
    p = batch([GOOD])[1]["results"][0]["probabilities"]["positive"]
    assert batch([GOOD], min_confidence=p - 1e-6)[1]["results"][0]["decision"] == "positive"
    assert batch([GOOD], min_confidence=p + 1e-6)[1]["results"][0]["decision"] == "uncertain"


def test_explain_adds_attributions_to_the_answer():
    """The values sum to the logit, and explaining changes nothing else in the answer."""
    text = "Wonderful acting, boring plot."
    plain, explained = call({"text": text})[1], call({"text": text, "explain": True})[1]
    explanation = explained.pop("explanation")
    assert explained == plain
    assert explanation["label"] == plain["label"]
    assert [text[each["begin"] : each["end"]] for each in explanation["attributions"]] == [
        "Wonderful",
        "acting",
        ",",
        "boring",
        "plot",
        ".",
    ]
    total = explanation["base_value"] + sum(each["value"] for each in explanation["attributions"])
    assert total + explanation["residual"] == pytest.approx(explanation["logit"], abs=1e-5)
    other = call({"text": text, "explain": True, "explain_label": "negative"})[1]["explanation"]
    assert other["label"] == "negative"
    assert other["attributions"][3]["value"] > 0 > other["attributions"][0]["value"]


def test_explain_accepts_up_to_10_documents():
    status, body, _ = batch([GOOD] * 10, explain=True)
    assert status == 200
    assert all(result["explanation"]["attributions"] for result in body["results"])
    status, problem, _ = batch([GOOD] * 11, explain=True)
    assert (status, problem["code"], problem["limit"], problem["actual"]) == (413, "too_many_documents", 10, 11)
    assert batch([GOOD] * 11)[0] == 200


LAMBDA_BYTES = 6_291_556


@pytest.mark.parametrize(
    ("text", "count", "options"),
    [
        ("a!" * 10_000, 10, {"explain": True}),
        ("@ab " * 2_400, 100, {"redact": True}),
        ("1.1.1.1 " * 2_500, 10, {"explain": True, "redact": True}),
    ],
)
def test_batch_large_answer_fits_lambda(text, count, options):
    """Documents whose results have no room are errors in their places; with the others the answer passes Lambda."""
    small = {"id": "small", "text": "A good film."}
    answer = ask({"documents": [{"text": text}] * (count - 1) + [small], **options}, path="/v1/predict/batch")
    body = json.loads(answer["body"])
    refused = [error["index"] for error in body["errors"]]
    assert {error["code"] for error in body["errors"]} <= {"answer_too_large"}
    assert refused == [*range(count - 1)][len(body["results"]) - 1 :]
    assert body["results"][-1]["id"] == "small"
    assert len(json.dumps(answer, ensure_ascii=False).encode()) <= LAMBDA_BYTES
    if options == {"explain": True}:
        assert refused
        assert "another request" in body["errors"][0]["detail"]


def test_batch_document_without_room_fits_alone():
    """The remedy works: a document that had no room is answered in a request of its own."""
    document = {"text": "a!" * 10_000}
    refused = batch([document] * 10, explain=True)[1]["errors"]
    assert refused
    _, alone, _ = batch([document], explain=True)
    assert (len(alone["results"]), alone["errors"]) == (1, [])


@pytest.mark.parametrize(
    "wrong", [{"explain": 1}, {"explain": "yes"}, {"explain": True, "explain_label": "neutral"}, {"explain_label": ""}]
)
def test_explain_invalid_option_names_the_labels(wrong):
    status, problem, _ = call(GOOD | wrong)
    assert (status, problem["code"]) == (422, "invalid_request")
    if "explain_label" in wrong:
        assert (problem["pointer"], "negative, positive" in problem["detail"]) == ("/explain_label", True)
    assert call(GOOD | {"explain": True, "explain_label": "positive"})[0] == 200


def test_explain_text_without_words_is_null():
    body = call({"text": "?!", "explain": True})[1]
    assert body["explanation"] is None
    assert body["warnings"][0]["code"] == "LOW_EVIDENCE"


def test_custom_domain_prefix_is_ignored():
    prefixed = event(json.dumps(GOOD)) | {"path": "/texts/v1/predict"}
    assert app.handler(prefixed, SimpleNamespace(aws_request_id="x"))["statusCode"] == 200


def test_id_cannot_inject_a_header():
    answer = ask({"documents": [{"id": "a\r\nSet-Cookie: x=1", "text": "good"}]}, path="/v1/predict/batch")
    assert "Set-Cookie" not in json.dumps(answer["headers"])
    assert json.loads(answer["body"])["results"][0]["id"] == "a\r\nSet-Cookie: x=1"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/model/card", "text/markdown"),
        ("/v1/model/fairness", "application/json"),
        ("/openapi.json", "application/json"),
        ("/", "text/html"),
    ],
)
def test_etag_match_is_304(path, kind, audited):
    first = ask(method="GET", path=path, kind=None)
    assert first["statusCode"] == 200
    assert first["headers"]["Content-Type"].startswith(kind)
    assert "max-age" in first["headers"]["Cache-Control"]
    again = ask(method="GET", path=path, kind=None, **{"If-None-Match": f'W/{first["headers"]["ETag"]}, "x"'})
    assert (again["statusCode"], again["body"]) == (304, "")
    assert again["headers"]["ETag"] == first["headers"]["ETag"]
    assert ask(method="GET", path=path, kind=None, **{"If-None-Match": '"other"'})["statusCode"] == 200


def test_fairness_is_the_audit_and_the_terms(audited):
    answer = ask(method="GET", path="/v1/model/fairness", kind=None)
    assert json.loads(answer["body"]) == AUDIT | {"terms": TERMS}
    head = ask(method="HEAD", path="/v1/model/fairness", kind=None)
    assert (head["statusCode"], head["body"]) == (200, "")
    assert head["headers"]["Content-Length"] == str(len(answer["body"].encode()))
    body = call(method="GET", path="/v1/model", kind=None)[1]
    assert body["fairness"] == {"way": "one-feature", "groups": ["gender", "religion"]}


def test_fairness_of_a_model_without_audit_is_404(monkeypatch):
    files = {name: each for name, each in app.classifier().bundle.files.items() if name != "fairness.json"}
    monkeypatch.setattr(app.classifier().bundle, "files", files)
    status, body, _ = call(method="GET", path="/v1/model/fairness", kind=None)
    assert (status, body["code"]) == (404, "not_found")
    assert "no audit of fairness" in body["detail"]
    assert call(method="GET", path="/v1/model", kind=None)[1]["fairness"] is None


def test_fairness_allows_preflight(monkeypatch):
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://a.example")
    answer = ask(method="OPTIONS", path="/v1/model/fairness", kind=None, Origin="https://a.example")
    assert (answer["statusCode"], answer["headers"]["Access-Control-Allow-Methods"]) == (204, "GET, HEAD")


def test_answer_says_nothing_of_mentions(audited):
    """Whom a text mentions is counted, and neither answered nor logged."""
    body = call({"text": "A muslim film.", "explain": True})[1]
    (prediction,) = app.classifier().predict(["A muslim film."])
    assert prediction.mentions == ("religion",)
    assert "religion" not in json.dumps(body)


def test_page_csp_allows_own_script_and_style_only():
    answer = ask(method="GET", path="/", kind=None)
    policy = dict(part.strip().split(" ", 1) for part in answer["headers"]["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (inline,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer["body"], re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert not re.search(
        r"""\s(style|on\w+)\s*=\s*["']|<(script|link|img|iframe)\s[^>]*(src|href)=["']?https?:""", answer["body"]
    )


def test_page_limit_matches_the_code():
    (limit,) = re.findall(r"const MAX = (\d+);", ask(method="GET", path="/", kind=None)["body"])
    assert int(limit) == limits.MAX_TEXT_BYTES


def test_cors_only_allowed_origins(monkeypatch):
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://a.example,https://b.example")
    for origin, status in (("https://b.example", 204), ("https://evil.example", 405), ("", 405)):
        answer = ask(method="OPTIONS", kind=None, Origin=origin)
        assert answer["statusCode"] == status
        assert answer["headers"].get("Access-Control-Allow-Origin", "") == (origin if status == 204 else "")
        assert answer["headers"].get("Access-Control-Allow-Methods") == ("POST" if status == 204 else None)
    headers = ask(method="OPTIONS", path="/v1/model", kind=None, Origin="https://a.example")["headers"]
    assert headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert headers["Access-Control-Allow-Headers"] == "content-encoding, content-type, x-api-key"
    assert ask(GOOD, Origin="https://a.example")["headers"]["Access-Control-Allow-Origin"] == "https://a.example"
    assert "Access-Control-Allow-Origin" not in ask(GOOD, Origin="https://evil.example")["headers"]
    monkeypatch.setenv("ALLOWED_ORIGINS", "")
    assert "Access-Control-Allow-Origin" not in ask(GOOD, Origin="https://a.example")["headers"]


def test_health_and_model_answer_200():
    assert call(method="GET", path="/health", kind=None)[1]["status"] == "ok"
    body = call(method="GET", path="/v1/model", kind=None)[1]
    assert body["labels"] == ["negative", "positive"]
    assert body["limits"] == {
        "text_bytes": 20_000,
        "documents": 100,
        "body_bytes": 1_000_000,
        "answer_bytes": 6_000_000,
    }
    assert body["data"]["texts"] == 600


def test_model_shows_noun_and_samples(monkeypatch):
    described = app.classifier().bundle.model
    monkeypatch.setitem(described, "text_noun", "ticket")
    monkeypatch.setitem(described, "samples", ["Where is it?"])
    body = call(method="GET", path="/v1/model", kind=None)[1]
    assert (body["text_noun"], body["samples"]) == ("ticket", ["Where is it?"])
    monkeypatch.delitem(described, "text_noun")
    monkeypatch.delitem(described, "samples")
    body = call(method="GET", path="/v1/model", kind=None)[1]
    assert (body["text_noun"], body["samples"]) == ("text", [])
    monkeypatch.setitem(described, "owner", "Ours Ltd")
    monkeypatch.delitem(described, "intended_use", raising=False)
    body = call(method="GET", path="/v1/model", kind=None)[1]
    assert (body["owner"], body["intended_use"]) == ("Ours Ltd", "not stated")


def deep(levels):
    return '{"text": ' + "[" * levels + "]" * levels + "}"


def sized(size):
    """Return a request of `size` bytes that is valid apart from its unknown field."""
    empty = json.dumps({"text": "good", "x": ""})
    return json.dumps({"text": "good", "x": "a" * (size - len(empty))})


PACKED, GZIP = gzip.compress(json.dumps(GOOD).encode()), {"Content-Encoding": "gzip"}
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
    "a gzip cut off": (PACKED[:-1], GZIP, 400, "invalid_encoding"),
    "a gzip cut off in its header": (PACKED[:5], GZIP, 400, "invalid_encoding"),
    "a gzip with a wrong checksum": (PACKED[:-8] + bytes(8), GZIP, 400, "invalid_encoding"),
    "a gzip followed by something else": (PACKED + b"x", GZIP, 400, "invalid_encoding"),
    "a gzip of no JSON": (gzip.compress(b"{"), GZIP, 400, "invalid_json"),
    "a gzip that is not said to be one": (PACKED, {}, 400, "invalid_encoding"),
    "a bomb": (gzip.compress(bytes(10**8)), GZIP, 413, "body_too_large"),
    "a gzip one byte too long unpacked": (gzip.compress(sized(1_000_001).encode()), GZIP, 413, "body_too_large"),
    "a brotli": (PACKED, {"Content-Encoding": "br"}, 415, "unsupported_media_type"),
    "a gzip in a gzip": (gzip.compress(PACKED), {"Content-Encoding": "gzip, gzip"}, 415, "unsupported_media_type"),
    "no event of the API": ("", {"method": None}, 400, "bad_request"),
    "an unknown address": (GOOD, {"path": "/v1/nothing"}, 404, "not_found"),
    "a slash at the end": (GOOD, {"path": "/v1/predict/"}, 404, "not_found"),
    "another method": ("", {"method": "GET"}, 405, "method_not_allowed"),
    "an unknown method": (GOOD, {"method": "BREW"}, 405, "method_not_allowed"),
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
def test_invalid_request_is_refused_with_its_code(case):
    """Each invalid request has its status and code, and the next valid request is answered."""
    body, settings, status, code = REFUSED[case]
    answered, problem, headers = call(body, **settings)
    assert (answered, problem["status"], problem["code"]) == (status, status, code)
    assert problem.keys() >= PROBLEM
    assert problem["title"] == problems.CODES[code][1]
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Request-Id"] == problem["request_id"] == "request-1"
    assert call(GOOD)[0] == 200


def test_media_type_from_multi_value_headers():
    for kind, status in (("text/plain", 415), ("application/json", 200)):
        request = event(json.dumps(GOOD), kind=kind) | {"headers": None}
        assert app.handler(request, SimpleNamespace(aws_request_id="lambda-1"))["statusCode"] == status


def test_request_at_the_limits_is_accepted():
    assert call({"text": "é" * 10_000})[0] == 200
    assert call(sized(1_000_000))[1]["code"] == "invalid_request"  # only its unknown field is wrong
    assert call(deep(31))[1]["code"] == "invalid_request"
    assert call(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())[0] == 200
    assert call(GOOD, kind="Application/JSON; charset=UTF-8")[0] == 200
    assert call(GOOD, kind=None)[0] == 200
    assert call({"text": "\0 <script> ' OR 1=1 -- \u202e 好 🙂"})[0] == 200


def test_too_large_text_names_limit_and_actual():
    problem = call({"text": "a" * 20_001})[1]
    assert (problem["limit"], problem["actual"], problem["pointer"]) == (limits.MAX_TEXT_BYTES, 20_001, "/text")
    assert "20,001" in problem["detail"]
    assert "20,000" in problem["detail"]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZip", "identity, gzip", "gzip,"])
def test_gzip_body_is_unpacked(coding):
    _, plain, _ = call(GOOD)
    status, body, _ = call(PACKED, **{"Content-Encoding": coding})
    assert (status, body) == (200, plain)
    assert call(GOOD, **{"Content-Encoding": coding})[:2] == (200, plain), (
        "API Gateway unpacks it, and keeps the header"
    )


@pytest.mark.parametrize("coding", ["identity", "", "Identity , identity"])
def test_identity_body_is_read_as_it_is(coding):
    assert call(GOOD, **{"Content-Encoding": coding})[0] == 200
    assert call(PACKED, **{"Content-Encoding": coding})[0] == 400


class CountingDecompressor:
    """A decompressor that counts what it copies: all that follows a member in what it was given."""

    copied = 0

    def __init__(self, real):
        self.real = real
        self.decompress = real.decompress

    @property
    def eof(self):
        return self.real.eof

    @property
    def unused_data(self):
        type(self).copied += len(self.real.unused_data)
        return self.real.unused_data


def test_gzip_of_many_members_is_unpacked_linearly(monkeypatch):
    """50,000 empty members are no reason to copy the rest of the body 50,000 times."""
    content, empty = json.dumps(GOOD).encode(), gzip.compress(b"")
    count = (limits.MAX_BODY_BYTES - 200) // len(empty)
    real = zlib.decompressobj
    monkeypatch.setattr("zlib.decompressobj", lambda **settings: CountingDecompressor(real(**settings)))
    monkeypatch.setattr(CountingDecompressor, "copied", 0)
    status, body, _ = call(gzip.compress(content[:9]) + empty * count + gzip.compress(content[9:]), **GZIP)
    assert (status, body) == (200, call(GOOD)[1])
    assert 0 < CountingDecompressor.copied < 100 * limits.MAX_BODY_BYTES


def test_gzip_at_the_limit_is_read():
    """The body may have 1,000,000 bytes, unpacked; only its unknown field is wrong."""
    assert call(gzip.compress(sized(1_000_000).encode()), **GZIP)[1]["code"] == "invalid_request"


def test_unknown_coding_names_those_that_are_read():
    answer = ask(PACKED, **{"Content-Encoding": CANARY})
    assert answer["statusCode"] == 415
    assert answer["headers"]["Accept-Encoding"] == "gzip, identity"
    assert "Content-Encoding: gzip" in json.loads(answer["body"])["detail"]
    assert CANARY not in json.dumps(answer)
    assert "Accept-Encoding" not in ask(GOOD, kind="text/plain")["headers"], "the coding is not what is wrong"


def test_two_coding_headers_are_one_list():
    request = event(base64.b64encode(PACKED).decode(), base64_encoded=True)
    for values, status in ((["gzip"], 200), (["gzip", "br"], 415), (["br", "gzip"], 415)):
        request["multiValueHeaders"]["Content-Encoding"] = values
        assert app.handler(request, None)["statusCode"] == status


OPTIONAL = [("/v1/predict", schemas.PREDICT), ("/v1/predict/batch", schemas.BATCH), ("/v1/redact", schemas.REDACTION)]


@pytest.mark.parametrize(("path", "fields"), OPTIONAL)
def test_null_option_is_left_out(path, fields):
    """null for an optional field is the field left out, and null for a required one is not."""
    required = {name: [GOOD] if name == "documents" else GOOD["text"] for name in fields if fields[name].required}
    optional = dict.fromkeys(name for name in fields if not fields[name].required)
    assert optional
    assert call(required, path=path)[:2] == call(required | optional, path=path)[:2]
    for name in required:
        status, problem, _ = call(required | {name: None}, path=path)
        assert (status, problem["pointer"]) == (422, f"/{name}")


def test_document_id_of_any_kind_is_repeated_as_text():
    """As in files: a number is its text, and null is no id."""
    ids = "1", "-7", "7.0", "7.5", "0", '""', '"7"', "null", str(10**99)
    documents = ",".join(f'{{"id":{each},"text":"good"}}' for each in ids)
    _, body, _ = call(f'{{"documents":[{documents}]}}', path="/v1/predict/batch")
    assert [result.get("id") for result in body["results"]] == [
        "1", "-7", "7.0", "7.5", "0", "", "7", None, str(10**99)
    ]  # fmt: skip
    assert "id" not in body["results"][7]
    assert body["errors"] == []
    _, body, _ = batch([{"id": 1, "text": ""}, {"id": None, "text": ""}])
    assert [error.get("id") for error in body["errors"]] == ["1", None]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "true", "9" * 101])
def test_document_id_that_is_no_number_is_not_repeated(number):
    status, body, _ = call(f'{{"documents":[{{"id":{number},"text":"good"}}]}}', path="/v1/predict/batch")
    (error,) = body["errors"] if status == 200 else [body]
    assert error["code"] == ("invalid_json" if "N" in number.upper() else "invalid_request")
    repeated = json.dumps(body).replace("NaN and Infinity are not JSON", "").replace("finite", "")
    assert not [word for word in ("inf", "nan", "Infinity", "NaN", "True", number) if word in repeated]
    assert batch([{"id": 1, "text": "good"}])[1]["results"][0]["id"] == "1"


@pytest.mark.parametrize("path", [path for path in app.ROUTES if "GET" in app.ROUTES[path]])
def test_head_answers_as_get_without_content(path, audited):
    got, headed = (ask(method=method, path=path, kind=None) for method in ("GET", "HEAD"))
    assert got["statusCode"] == headed["statusCode"] == 200
    assert headed["body"] == ""
    assert headed["headers"] == got["headers"] | {"Content-Length": str(len(got["body"].encode()))}
    if tag := got["headers"].get("ETag"):
        again = ask(method="HEAD", path=path, kind=None, **{"If-None-Match": tag})
        assert (again["statusCode"], again["body"]) == (304, "")
        assert "Content-Length" not in again["headers"]


def test_head_of_a_post_route_is_405_without_content():
    answer = ask(method="HEAD", kind=None)
    assert (answer["statusCode"], answer["headers"]["Allow"], answer["body"]) == (405, "POST", "")
    assert ask(method="PUT", path="/health")["headers"]["Allow"] == "GET, HEAD"


def test_wrong_method_has_allow_header():
    assert call(method="GET")[2]["Allow"] == "POST"
    assert "Allow" not in call(GOOD)[2]


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b'{"text":"!"}')
@example(b'{"text":1}')
def test_any_body_is_answered_without_a_500(body):
    """Hypothesis takes constants from our code, and so comes upon valid requests, too."""
    status, answer, _ = call(body)
    if status == 200:
        assert json.loads(body)["text"].strip()
    else:
        assert status in {400, 413, 422}
        assert answer.keys() >= PROBLEM


@given(st.text(min_size=1))
@settings(deadline=None)
def test_any_text_is_200_or_422(text):
    status, body, _ = call({"text": text})
    blank = not text.strip() or any("\ud800" <= character <= "\udfff" for character in text)
    assert status == (422 if blank else 200)
    assert (body.keys() >= PROBLEM) == blank


V2 = {"version": "2.0", "rawPath": "/health", "headers": {}, "requestContext": {"http": {"method": "GET"}}}
NO_EVENTS = {
    "null": (None, "The event must be an object"),
    "a list": ([], "The event must be an object"),
    "a string": (CANARY, "The event must be an object"),
    "an empty object": ({}, "httpMethod and path"),
    "an event of an HTTP API": (V2, "httpMethod and path"),
    "no address": ({"httpMethod": "GET"}, "httpMethod and path"),
    **{
        name: (event(method="GET", path="/health") | {name: value}, f"{name} of the event must be")
        for name, value in {
            "httpMethod": [CANARY], "path": 1, "resource": {}, "headers": [CANARY], "multiValueHeaders": CANARY,
            "requestContext": CANARY, "body": {"text": CANARY}, "isBase64Encoded": "false",
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NO_EVENTS)
def test_direct_invocation_without_request_is_400(name):
    bad, detail = NO_EVENTS[name]
    answer = app.handler(bad, SimpleNamespace(aws_request_id="lambda-1"))
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["code"]) == (400, "bad_request")
    assert detail in problem["detail"]
    assert "events/predict.json" in problem["detail"]
    assert problem["request_id"] in ("lambda-1", "request-1")
    assert CANARY not in json.dumps(answer)


@pytest.mark.parametrize("missing", ["headers", "multiValueHeaders", "requestContext", "body", "path", "resource"])
def test_direct_invocation_may_leave_members_out(missing):
    whole = event(method="GET", path="/health")
    without = {name: value for name, value in whole.items() if name != missing}
    for sent in (without, whole | {missing: None}):
        assert app.handler(sent, None)["statusCode"] == 200


@pytest.mark.parametrize("odd", ["a\r\nb", "\ud800", "x" * 129, "", 7, None])
def test_odd_request_id_is_lambdas_instead(odd):
    """It becomes a header and a part of the answer, which must be valid."""
    for request_id, expected in ((odd, "lambda-1"), ("request-1", "request-1")):
        sent = event(method="GET", path="/health") | {"requestContext": {"requestId": request_id}}
        answer = app.handler(sent, SimpleNamespace(aws_request_id="lambda-1"))
        assert answer["headers"]["X-Request-Id"] == json.loads(answer["body"])["request_id"] == expected


def test_answer_outlives_its_metrics(logged, monkeypatch):
    def fails(*_):
        raise ValueError(CANARY)

    monkeypatch.setattr(app, "measure", fails)
    assert call(GOOD)[0] == 200
    assert "ValueError" in logged.getvalue()
    assert CANARY not in logged.getvalue()


@pytest.fixture
def bundle(tmp_path, load):
    """Return a copy of the bundle, which the handler loads at its next request."""
    return load(shutil.copytree(app.Settings.from_environ().bundle, tmp_path / "bundle")).path


@pytest.fixture
def logged(monkeypatch):
    """Capture everything that the handler logs."""
    stream = io.StringIO()
    monkeypatch.setattr(app.logger.registered_handler, "stream", stream)
    return stream


@pytest.mark.parametrize("fault", ["changed", "missing", "another"])
def test_damaged_bundle_is_503_and_logged(fault, bundle, logged, monkeypatch):
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
    "a document of a batch": (
        {"documents": [{"text": CANARY, "x": 1}, {CANARY: CANARY}]},
        {"path": "/v1/predict/batch"},
    ),
    "an origin": (GOOD, {"Origin": f"https://{CANARY}"}),
    "a duplicate key": (f'{{"{CANARY}": 1, "{CANARY}": 2}}', {}),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_canary_reaches_no_log_metric_or_answer(carrier, logged, capfd):
    body, settings = CARRIERS[carrier]
    answer = call(body, **settings)
    written = logged.getvalue() + "".join(capfd.readouterr())
    assert '"message":"request"' in written
    assert "CloudWatchMetrics" in written
    assert CANARY not in written
    assert CANARY not in json.dumps(answer)


def test_log_line_has_request_id_and_trace_id(logged, monkeypatch):
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
    _, answer, _ = call(GOOD)
    line = json.loads(logged.getvalue().splitlines()[-1])
    assert line["request_id"] == answer["request_id"]
    assert line["xray_trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"


def metrics_of(capsys):
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
    for line in lines:
        assert line["service"] == "service_undefined" or line["service"] == "candor"
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["service"]], "alarms watch metrics of the whole service"
    return lines


def test_metrics_of_predictions(capsys, monkeypatch):
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    texts = [GOOD["text"], "A dull, boring mess.", "The first half is fine, the second is not.", ""]
    body = call({"documents": [{"text": text} for text in texts], "redact": True}, path="/v1/predict/batch")[1]
    (line,) = metrics_of(capsys)
    confidences = sorted(result["probabilities"][result["label"]] for result in body["results"])
    assert line["Confidence"] == pytest.approx(confidences)
    measured = {name: line[name] for name in line if name.startswith("Decided") or name in ("Predictions", "Tokens")}
    tokens = sum(result["tokens"] for result in body["results"])
    assert measured == {
        "Predictions": [3.0], "Tokens": [tokens], "Decided.positive": [1.0], "Decided.negative": [1.0],
        "Decided.uncertain": [1.0],
    }  # fmt: skip
    assert (line["ServerErrors"], line["ClientErrors"], line["IntegrityFailures"]) == ([0.0], [0.0], [0.0])
    assert line["Latency"][0] > 0


@pytest.mark.parametrize("label", ["billing", "退款", "x" * 300])
def test_metrics_take_a_label_of_any_length(label, capsys, monkeypatch):
    """CloudWatch takes 255 characters of a name; a longer one would be an error after the answer was made."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    measure(app.metrics, {}, 1.0, {}, [(Prediction(label, {label: 1.0}, 3), label)])
    (line,) = metrics_of(capsys)
    assert line[f"Decided.{label}"[:255]] == [1.0]


def test_metrics_of_redactions_and_cold_start(capsys, monkeypatch):
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setitem(app.cold, "start", True)
    body = {"text": "Write to jane@example.com or 13800138000.", "redact": True}
    call(body)
    call(body)
    first, second = metrics_of(capsys)
    assert first["Redactions"] == second["Redactions"] == [2.0]
    assert first["ColdStarts"] == [1.0]
    assert "ColdStarts" not in second


def test_metrics_of_damaged_bundle(bundle, capsys, monkeypatch):
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setenv("BUNDLE_DIGEST", "0" * 64)
    call(GOOD)
    call({"text": ""})
    failed, refused = metrics_of(capsys)
    assert (failed["IntegrityFailures"], failed["ServerErrors"]) == ([1.0], [1.0])
    assert refused["IntegrityFailures"] == [0.0]


def test_metrics_of_drift(capsys, monkeypatch):
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setattr(app, "report_drift", app.DriftReporter(lambda: app.classifier().drift_reference))
    for _ in range(5):
        call({"documents": [{"text": "Wonderful."}] * 100}, path="/v1/predict/batch")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"Drift"' in line]
    assert len(lines) == 1
    assert lines[0]["Drift"][0] > 0.25


def test_snapshot_is_warm_and_reseeds(monkeypatch):
    registered = {}
    runtime = SimpleNamespace(
        register_before_snapshot=lambda hook: registered.update(before=hook),
        register_after_restore=lambda hook: registered.update(after=hook),
    )
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    fresh = importlib.util.module_from_spec(importlib.util.find_spec("api.app"))
    fresh.__spec__.loader.exec_module(fresh)
    registered["before"]()
    assert fresh.classifier.cache_info().currsize == 1
    random.seed(1)
    first = random.random()
    random.seed(1)
    registered["after"]()
    assert random.random() != first


def test_unexpected_error_is_500_without_its_message(logged, monkeypatch):
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


def test_every_problem_code_is_used():
    elsewhere = {"internal_error", "model_unavailable", "too_many_documents", "answer_too_large"}
    gateway = {"forbidden", "too_many_requests", "quota_exceeded", "timeout"}
    used = {code for *_, code in REFUSED.values()} | elsewhere | gateway
    assert used == set(problems.CODES)


def test_log_level_is_not_debug():
    assert app.logger.level >= logging.INFO
