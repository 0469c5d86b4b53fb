"""Odd and hostile events, made from valid ones by a seeded generator: each is answered as the contract says."""

import base64
import gzip
import io
import json
import random
from collections import Counter
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from api import app, openapi, schemas
from candor import limits
from candor.batch.steps import Batch
from candor.cli.torture.schedules import SETTINGS
from candor.errors import CandorError, EventError
from candor.operate.observe import observed
from tests.functions.test_canary import CANARY, CONTEXT

DOCUMENT = json.loads((Path(openapi.__file__).parent / "openapi.json").read_text())
EVENTS = 3_000
REQUEST = {"/v1/predict": schemas.PREDICT, "/v1/predict/batch": schemas.BATCH, "/v1/redact": schemas.REDACTION}
# Values as they stand in JSON, or in what resembles it.
ODD = [
    "null", "true", "false", "0", "-0", "-0.0", "1", "7.0", "0.5", "1e400", "-1e400", "1e-400", "NaN", "Infinity",
    "-Infinity", "9" * 400, "9" * 5000, "0." + "1" * 400, "[]", "{}", "[[]]", '{"text": "a"}', '""', '" "', '"\\ud800"',
    '"\\udfff\\ud800"', '"\\u0000"', '"a\\r\\nSet-Cookie: x=1"', f'"{CANARY}"', f'{{"{CANARY}": "{CANARY}"}}',
    f"[{CANARY}]",
    '"replace"', '"mask"', '"hash"', '"off"', '"*"', '"●"', '"positive"', '"negative"', '"' + "x" * 101 + '"',
    '"' + "e\u0301" * 3000 + '"', '"' + "a" * (limits.MAX_TEXT_BYTES + 1) + '"', "[" * 40 + "]" * 40, "[" * 5000,
    "//", "'a'", '"a', "\ufeff1",
]  # fmt: skip
CODINGS = [
    "gzip",
    "x-gzip",
    "GZIP",
    "identity",
    "identity, gzip",
    "gzip,",
    "gzip, gzip",
    "br",
    "deflate",
    CANARY,
    "",
    ",",
]
KINDS = ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=\"UTF8\"", "text/plain",
         "application/json; charset=utf-16", "", ";", CANARY]  # fmt: skip
BOMB, EMPTY = gzip.compress(bytes(3 * limits.MAX_BODY_BYTES)), gzip.compress(b"")
METHODS = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "get", "", CANARY, "POST\r\n"]
PATHS = ["", "/", "//", "/v1", "/v1/predict/", "/V1/predict", f"/{CANARY}", "/v1/predict\0", "*", "é", "\ud800"]
ANYTHING = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    "",
    "x",
    CANARY,
    [],
    [CANARY],
    {},
    {CANARY: CANARY},
    [[]],
    {"": None},
    "\ud800",
]


def fields_of(random, path):
    """Return the members of a body as pairs of names and JSON values, most of them valid."""
    text = random.choice(
        ["good", f"A wonderful film, {CANARY}.", "Write to jane@example.com.", "?!", "这部电影", "\x00"]
    )
    pairs = [("text", json.dumps(text))]
    if path == "/v1/predict/batch":
        documents = []
        for _ in range(random.choice([0, 1, 2, 5, 11, 101])):
            document = [("text", json.dumps(text)), ("id", random.choice(ODD))][: random.choice([1, 2, 2])]
            documents.append(joined(document) if random.random() < 0.9 else random.choice(ODD))
        pairs = [("documents", f"[{','.join(documents)}]")]
    for name in REQUEST[path]:
        if name not in ("text", "documents") and random.random() < 0.3:
            pairs.append((name, random.choice(["true", "null", "0.5", *ODD])))
    if random.random() < 0.15:
        pairs.append((random.choice(["text", "documents", "id", CANARY, "", "\\ud800"]), random.choice(ODD)))
    if random.random() < 0.1:
        pairs[0] = (pairs[0][0], random.choice(ODD))
    return pairs


def joined(pairs):
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"


def packed(random, content):
    """Return the content as a gzip that is whole, or not."""
    whole = gzip.compress(content)
    return random.choice([
        whole, whole, whole, whole[:-1], whole[: len(whole) // 2], whole + b"\0", whole + CANARY.encode(),
        gzip.compress(content[:5]) + EMPTY * random.choice([1, 50, 5000]) + gzip.compress(content[5:]),
        BOMB, whole[:10], b"\x1f\x8b", content,
    ])  # fmt: skip


def event(random):
    """Return an event for the API's handler."""
    path = random.choice(list(app.ROUTES))
    post = path in REQUEST
    body = (joined(fields_of(random, path)) if post else random.choice(["", CANARY])).encode("utf-8", "surrogatepass")
    headers = {"Content-Type": "application/json"}
    if random.random() < 0.1:
        body = body[: random.randrange(len(body) + 1)]
    if random.random() < 0.1:
        body = bytes(random.randrange(256) if random.random() < 0.02 else byte for byte in body)
    if random.random() < 0.3:
        headers["Content-Encoding"] = random.choice(CODINGS[:2] * 5 + CODINGS)
        body = packed(random, body)
    if random.random() < 0.1:
        headers["content-type"] = random.choice(KINDS)
    if random.random() < 0.1:
        headers[random.choice(["Origin", "If-None-Match", "x-api-key", CANARY])] = random.choice(
            ["*", '""', CANARY, ","]
        )
    in_base64 = random.random() < 0.3 or not valid(body)
    made = {
        "resource": path, "path": path, "httpMethod": "POST" if post else random.choice(["GET", "HEAD"]),
        "headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": random.choice([None, {CANARY: CANARY}]), "requestContext": {"requestId": "request-1"},
        "body": base64.b64encode(body).decode() if in_base64 else body.decode(), "isBase64Encoded": in_base64,
    }  # fmt: skip
    if random.random() < 0.1:
        made["httpMethod"] = random.choice(METHODS)
    if random.random() < 0.1:
        made["resource"] = made["path"] = random.choice(PATHS)
    return mutated(random, made) if random.random() < 0.3 else made


def mutated(random, made):
    """Return an event in which some member is missing, or of another type; or something that is no event."""
    if random.random() < 0.1:
        return random.choice(ANYTHING)
    made = json.loads(json.dumps(made))
    for _ in range(random.choice([1, 1, 2, 4])):
        inner = random.choice([made, made, made, made["requestContext"], made["headers"], made["multiValueHeaders"]])
        if isinstance(inner, dict) and inner:
            name = random.choice(list(inner))
            if random.random() < 0.3:
                del inner[name]
            else:
                value = random.choice(ANYTHING)  # a string is a valid request id, which is repeated by design
                inner[name] = None if name == "requestId" and value == CANARY else value
        made = {"requestContext": None, "headers": None, "multiValueHeaders": None, **made}
    return made


def valid(content):
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def documented(event, status):
    """Return the JSON Schema of an answer's body by the contract; None: the answer is not JSON."""
    problem = {"$ref": "#/components/schemas/Problem"}
    sent = event if isinstance(event, dict) else {}
    path, method = sent.get("resource") or sent.get("path"), sent.get("httpMethod")
    methods = DOCUMENT["paths"].get(path, {}) if isinstance(path, str) else {}
    if status in (400, 404) or not isinstance(method, str) or method.lower() not in methods or method.islower():
        assert status in (400, 404, 405)
        return problem
    responses = methods[method.lower()]["responses"]
    assert str(status) in responses, "the contract does not have this status"
    content = responses[str(status)].get("content", {})
    return next((kind["schema"] for name, kind in content.items() if "json" in name), None)


@cache
def validator(schema):
    return jsonschema.Draft202012Validator({**json.loads(schema), "components": DOCUMENT["components"]})


def check(event, answer):
    """Assert that an answer is one that the contract documents, and repeats nothing that it should not."""
    status, body = answer["statusCode"], answer["body"]
    json.dumps(answer, ensure_ascii=False).encode()
    assert 200 <= status < 500
    assert all(isinstance(value, str) and value.isprintable() for value in answer["headers"].values())
    schema = documented(event, status)
    if isinstance(event, dict) and event.get("httpMethod") == "HEAD":
        assert body == ""
    elif schema:
        value = json.loads(body)
        validator(json.dumps(schema)).validate(value)
        for each in value.get("results", []) + value.get("errors", []):
            each.pop("id", None)
        if status >= 400 or "text" not in value:
            assert CANARY not in json.dumps(value)


def test_any_event_is_answered_as_documented(monkeypatch, capfd):
    """No event makes the handler raise, repeat what was sent, or answer what openapi.json does not have."""
    log = io.StringIO()
    monkeypatch.setattr(app.logger.registered_handler, "stream", log)
    generator, counts = random.Random(16), Counter()
    for number in range(EVENTS):
        sent = event(generator)
        answer = app.handler(sent, SimpleNamespace(aws_request_id="lambda-1"))
        try:
            check(sent, answer)
        except Exception as error:
            error.add_note(f"event {number}: {json.dumps(sent)[:2000]}\nanswer: {str(answer)[:2000]}")
            raise
        counts[answer["statusCode"]] += 1
    written = log.getvalue() + "".join(capfd.readouterr())
    assert written.count('"message":"request"') == EVENTS
    assert CANARY not in written
    assert set(counts) == {200, 304, 400, 404, 405, 413, 415, 422}, "the generator misses a kind of answer"
    assert counts[200] > EVENTS / 10


@pytest.mark.parametrize("name", ["plan", "score", "finish"])
def test_any_batch_event_raises_a_named_error(name):
    """A batch step refuses an event that is not its own by a name in errors.md, and repeats nothing of it."""
    batch = Batch(SETTINGS, lambda name: None)
    step = getattr(batch, name)
    handler = observed(lambda event, context: step(event))
    generator = random.Random(4)
    sample = json.loads((Path(__file__).parents[2] / f"events/batch_{name}.json").read_text())
    kinds = Counter()
    for _ in range(300):
        sent = json.loads(json.dumps(sample))
        inner = sent
        while generator.random() < 0.6 and (
            below := [value for value in inner.values() if isinstance(value, dict) and value]
        ):
            inner = generator.choice(below)
        inner[generator.choice(list(inner))] = generator.choice(ANYTHING)
        with pytest.raises(CandorError) as raised:
            handler(sent if generator.random() < 0.9 else generator.choice(ANYTHING), CONTEXT)
        assert CANARY not in str(raised.value)
        kinds[type(raised.value).__name__] += 1
    assert kinds["EventError"] > 30


@pytest.mark.parametrize("step", ["score", "finish"])
@pytest.mark.parametrize("event", [None, [], "x", {}, {"job": {}}, {"failure": None}, {"failure": {"event": "x"}}])
def test_batch_event_of_another_shape_is_an_event_error(step, event):
    with pytest.raises(EventError, match="the event "):
        getattr(Batch(SETTINGS, lambda name: None), step)(event)
