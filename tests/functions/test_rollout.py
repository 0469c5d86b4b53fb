"""The hook before traffic: a good version passes; each way of being wrong is told to CodeDeploy as a failure."""

import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from api import app
from candor.rollout import faults
from pre_traffic import app as hook

CONTEXT = SimpleNamespace(aws_request_id="0", function_name="f")
BUNDLE = app.classifier().bundle


def version(event):
    """The API's handler as the new version."""
    return app.handler(event, CONTEXT)


def changed(change):
    """The same, with its batch answers changed."""

    def ask(event):
        answer = version(event)
        body = json.loads(answer["body"])
        if "results" in body:
            change(body)
        return {**answer, "body": json.dumps(body)}

    return ask


def another_label(body):
    body["results"][3]["label"] = "other"


def another_probability(body):
    share = body["results"][3]["probabilities"]
    share["positive"] += 1e-3


WRONG = {
    "another label": (changed(another_label), "golden case 4 is not answered"),
    "another probability": (changed(another_probability), "golden case 4 is not answered"),
    "a lost answer": (changed(lambda body: body["results"].pop(3)), "golden case 4 is not answered"),
    "another model": (changed(lambda body: body["model"].update(sha256="0" * 64)), "the model is another"),
    "an answer to anything": (lambda event: {**version(event), "statusCode": 200}, "is answered with status 200"),
    "a fault": (lambda event: {"statusCode": 503, "body": "{}"}, "status 503"),
    "an end without an answer": (lambda event: {"errorMessage": "timed out"}, "status 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_way_of_being_wrong_is_named(name):
    ask, said = WRONG[name]
    assert faults(version, BUNDLE) == []
    assert any(said in fault for fault in faults(ask, BUNDLE))


@pytest.fixture
def told(monkeypatch):
    """What CodeDeploy hears, of botocore's own client, so that the call is one that it would take."""
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
    ("ask", "status"), [(version, "Succeeded"), (WRONG["another label"][0], "Failed"), (None, "Failed")]
)
def test_codedeploy_is_told_whatever_happens(ask, status, told, monkeypatch, capsys):
    def broken(event):
        raise RuntimeError("a secret")

    monkeypatch.setattr(hook, "ask", ask or broken)
    told(status)
    assert hook.handler(EVENT, CONTEXT) == {"status": status}
    said = capsys.readouterr().out
    assert "secret" not in said
    assert (BUNDLE.digest in said) is False


def test_the_hook_asks_the_version_that_it_is_given(monkeypatch):
    asked = {}

    class Lambda:
        def invoke(self, **given):
            asked.update(given)
            return {"Payload": SimpleNamespace(read=lambda: b'{"statusCode": 200, "body": "{}"}')}

    monkeypatch.setattr(hook, "boto3", SimpleNamespace(client=lambda name: Lambda()))
    monkeypatch.setenv("NEW_VERSION", "arn:aws:lambda:eu-central-1:1:function:f:7")
    assert hook.ask({"path": "/"})["statusCode"] == 200
    assert asked == {"FunctionName": "arn:aws:lambda:eu-central-1:1:function:f:7", "Payload": '{"path": "/"}'}
