"""The hook before traffic: a good version passes, and each fault is reported to CodeDeploy as a failure."""

import io
import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from api import app
from candor.operate.rollout import find_faults
from pre_traffic import app as hook

CONTEXT = SimpleNamespace(aws_request_id="0", function_name="f")
BUNDLE = app.classifier().bundle


def version(event):
    """Answer as the new version: with the API's handler."""
    return app.handler(event, CONTEXT)


def changed(change):
    """Return a version whose batch answers are changed."""

    def invoke(event):
        answer = version(event)
        body = json.loads(answer["body"])
        if "results" in body:
            change(body)
        return {**answer, "body": json.dumps(body)}

    return invoke


def another_label(body):
    body["results"][3]["label"] = "other"


def another_probability(body):
    probabilities = body["results"][3]["probabilities"]
    probabilities["positive"] += 1e-3


FAULTY = {
    "another label": (changed(another_label), "golden case 4 is not answered as recorded"),
    "another probability": (changed(another_probability), "golden case 4 is not answered as recorded"),
    "a lost answer": (changed(lambda body: body["results"].pop(3)), "golden case 4 is not answered as recorded"),
    "another model": (
        changed(lambda body: body["model"].update(sha256="0" * 64)),
        "the model is not the one that was deployed",
    ),
    "an answer to anything": (
        lambda event: {**version(event), "statusCode": 200},
        "is answered with status 200 instead of 422",
    ),
    "a server error": (lambda event: {"statusCode": 503, "body": "{}"}, "status 503"),
    "an end without an answer": (lambda event: {"errorMessage": "timed out"}, "status 0"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_find_faults_names_each_fault(name):
    invoke, sentence = FAULTY[name]
    assert find_faults(version, BUNDLE) == []
    assert any(sentence in fault for fault in find_faults(invoke, BUNDLE))


@pytest.fixture
def expect_report(monkeypatch):
    """Expect a report to CodeDeploy, checked by botocore's own client for whether CodeDeploy would accept it."""
    client = boto3.client("codedeploy", region_name="eu-central-1")
    with Stubber(client) as stub:
        monkeypatch.setattr(hook, "boto3", SimpleNamespace(client=lambda name: client))
        yield lambda status: stub.add_response(
            "put_lifecycle_event_hook_execution_status",
            {},
            {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "e-1", "status": status},
        )


EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}


@pytest.mark.parametrize(
    ("invoke", "status"), [(version, "Succeeded"), (FAULTY["another label"][0], "Failed"), (None, "Failed")]
)
def test_hook_always_reports_to_codedeploy(invoke, status, expect_report, monkeypatch, capsys):
    def broken(event):
        raise RuntimeError("a secret")

    monkeypatch.setattr(hook, "invoke", invoke or broken)
    expect_report(status)
    assert hook.handler(EVENT, CONTEXT) == {"status": status}
    output = capsys.readouterr().out
    assert "secret" not in output
    assert (BUNDLE.digest in output) is False


def test_hook_invokes_the_version_it_is_given(monkeypatch):
    invoked = {}

    class Lambda:
        def invoke(self, **arguments):
            invoked.update(arguments)
            return {"Payload": SimpleNamespace(read=lambda: b'{"statusCode": 200, "body": "{}"}')}

    monkeypatch.setattr(hook, "boto3", SimpleNamespace(client=lambda name: Lambda()))
    monkeypatch.setenv("NEW_VERSION", "arn:aws:lambda:eu-central-1:1:function:f:7")
    assert hook.invoke({"path": "/"})["statusCode"] == 200
    assert invoked == {"FunctionName": "arn:aws:lambda:eu-central-1:1:function:f:7", "Payload": '{"path": "/"}'}


@pytest.mark.parametrize(
    "event",
    [None, [], "x", {}, {"DeploymentId": "d-1"}, {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": [7]}],
)
def test_hook_event_of_nobody_is_answered_failed(event, monkeypatch):
    """There is nobody to report to, and a new version is not asked in vain."""
    used, log = [], io.StringIO()
    monkeypatch.setattr(hook.logger.registered_handler, "stream", log)
    monkeypatch.setattr(hook, "invoke", used.append)
    monkeypatch.setattr(hook, "boto3", SimpleNamespace(client=used.append))
    assert hook.handler(event, CONTEXT) == {"status": "Failed"}
    assert used == []
    assert "the event lacks DeploymentId or LifecycleEventHookExecutionId" in log.getvalue()
