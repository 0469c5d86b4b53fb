"""No text anywhere: a canary in every input that a caller controls, and a search of everything that is stored."""

import base64
import io
import json
import tempfile
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest

from api import app
from candor.batch.steps import Batch
from candor.cli.torture.bucket import RESULTS, before, buckets, contents, refused
from candor.cli.torture.schedules import SETTINGS, World
from candor.errors import CandorError
from candor.operate.observe import observed
from candor.storage import S3

CANARY = "zebra-4711"
CONTEXT = SimpleNamespace(
    aws_request_id="00000000-0000-0000-0000-000000000000", get_remaining_time_in_millis=lambda: 900_000
)


def event(method="POST", path="/v1/predict", body="", headers=None, **more):
    return {
        "httpMethod": method, "path": path, "resource": path, "body": body, "isBase64Encoded": False,
        "multiValueHeaders": {"Content-Type": ["application/json"], **(headers or {})},
        "headers": {"Content-Type": "application/json", **{name: value[0] for name, value in (headers or {}).items()}},
        "requestContext": {"requestId": "r"}, **more,
    }  # fmt: skip


def body(**fields):
    return json.dumps({"text": "A wonderful film.", **fields})


TEXT = f"A wonderful film, {CANARY}, {CANARY}@example.com."
REQUESTS = {
    "text": event(body=body(text=TEXT)),
    "text, all asked": event(body=body(text=TEXT, explain=True, redact=True)),
    "unknown field": event(body=body(**{CANARY: 1})),
    "value of a wrong type": event(body=body(min_confidence=CANARY)),
    "label": event(body=body(explain_label=CANARY)),
    "blank with an option": event(body=json.dumps({"text": " ", "explain_label": CANARY})),
    "malformed": event(body=f'{{"text": "{CANARY}'),
    "no JSON": event(body=CANARY),
    "base64": event(body=base64.b64encode(CANARY.encode()).decode(), isBase64Encoded=True),
    "bad base64": event(body=f"{CANARY}!", isBase64Encoded=True),
    "too large": event(body=body(text=CANARY * 3000)),
    "batch": event(path="/v1/predict/batch", body=json.dumps({"documents": [{"text": TEXT}, {CANARY: CANARY}]})),
    "redact": event(path="/v1/redact", body=json.dumps({"text": TEXT})),
    "redact, mode": event(path="/v1/redact", body=json.dumps({"text": TEXT, "mode": CANARY})),
    "redact, mask": event(path="/v1/redact", body=json.dumps({"text": TEXT, "mask": CANARY})),
    "path": event(path=f"/v1/{CANARY}", body=body()),
    "query": event(body=body(), multiValueQueryStringParameters={CANARY: [CANARY]}),
    "method": event(method=CANARY, body=body()),
    "header": event(body=body(), headers={CANARY: [CANARY], "User-Agent": [CANARY], "X-Api-Key": [CANARY]}),
    "content type": event(body=body(), headers={"Content-Type": [CANARY]}),
    "etag": event("GET", "/v1/model/card", None, {"If-None-Match": [CANARY]}),
    "origin": event(body=body(), headers={"Origin": [f"https://{CANARY}.example"]}),
}  # fmt: skip


@pytest.fixture
def output(capfd, monkeypatch):
    """Return everything that was logged, measured and printed so far."""
    log = io.StringIO()
    monkeypatch.setattr(app.logger.registered_handler, "stream", log)
    return lambda: log.getvalue() + "".join(capfd.readouterr())


@pytest.mark.parametrize("name", REQUESTS)
def test_request_canary_is_not_logged_or_repeated(name, output, monkeypatch):
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    assert CANARY in json.dumps(REQUESTS[name]) or name == "base64", "the canary is not in what is sent"
    answer = app.handler(REQUESTS[name], CONTEXT)
    written = output()
    assert '"request"' in written, "nothing was logged, so the search shows nothing"
    assert CANARY not in written
    answered = json.dumps(answer)
    if answer["statusCode"] >= 400:
        assert CANARY not in answered
    elif name == "redact":
        assert answered.count(CANARY) == 1, "only the text that is no personal data stays"
        assert "[EMAIL]" in answered
    else:
        assert CANARY not in answered


def test_unexpected_error_hides_the_request(output, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError(CANARY)

    monkeypatch.setattr("candor.model.classifier.Classifier.predict", fail)
    answer = app.handler(REQUESTS["text"], CONTEXT)
    written = output()
    assert answer["statusCode"] == 500
    assert "RuntimeError" in written
    assert CANARY not in written + json.dumps(answer)


def test_job_leaves_no_text_anywhere(output, monkeypatch, tmp_path):
    """Neither results, notes, plans and logs nor temporary files contain a text, with and without failures."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("candor.batch.jobs._IN_MEMORY", 1)  # so that parts go to temporary files
    rows = [{"id": "r1", "text": TEXT}, {CANARY: TEXT}, {"text": [CANARY]}]
    content = ("\n".join(map(json.dumps, rows)) + f"\n{{{CANARY}\n").encode()
    with buckets() as real:
        world = World(real)
        for fault in (None, 403, 503):
            if fault:
                world.client.always = (world.client.count + 3, before(refused(fault, "AccessDenied")))
            event = world.put(f"in/{fault}.jsonl", content)
            step = observed(lambda given, context: world.batch.plan(given))
            with suppress(CandorError):
                step(event, CONTEXT)
            world.start(event, f"execution-{fault}")
            world.heal()
        with_canary = {name: body for name, body in contents(real).items() if CANARY.encode() in body}
        assert contents(real), "nothing was stored, so the search shows nothing"
        assert with_canary == {}
    written = output()
    assert '"batch"' in written
    assert CANARY not in written
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_results_with_text_are_redacted():
    """Results repeat a text only on request, and then redacted."""
    row = json.dumps({"text": TEXT}).encode() + b"\n"
    for mode, words in (("", 0), ("replace", 1), ("mask", 1)):
        with buckets() as real:
            world = World(real)
            world.batch = Batch(replace(SETTINGS, with_text=mode), lambda name, client=world.client: S3(name, client))
            assert world.start(world.put("in/a.jsonl", row)).status == "SUCCEEDED"
            (part,) = [body for name, body in contents(real, bucket=RESULTS).items() if "part-" in name]
            assert part.decode().count(CANARY) == words
            if mode:
                entity = json.loads(part)["pii"][0]
                assert TEXT[entity["begin"] : entity["end"]] == f"{CANARY}@example.com"


def test_predict_reads_the_redacted_text():
    from candor.model.classifier import Classifier

    classifier = Classifier.load(SETTINGS.bundle)
    raw = "A film. Mail jane.great.wonderful.perfect@example.com or call 13800138000."
    redacted = classifier.prepare(raw).text
    assert "wonderful" in raw
    assert "wonderful" not in redacted
    assert classifier.predict([raw]) == classifier.predict([redacted], redact=False)
    assert classifier.predict([raw]) != classifier.predict([raw], redact=False)
