"""The deployment, as far as it can be rehearsed without an AWS account: the translated stack, created in moto."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation.parsing import resource_class_from_type

from tests.test_template import LAYERS, ROOT, Template, source, translate

REGION = "eu-central-1"
# What moto's CloudFormation does not make; these are held by the checks of test_template alone.
NOT_IN_MOTO = {
    "AWS::ApiGateway::Account", "AWS::ApiGateway::ApiKey", "AWS::ApiGateway::Stage", "AWS::ApiGateway::UsagePlan",
    "AWS::ApiGateway::UsagePlanKey", "AWS::CloudWatch::Alarm", "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup", "AWS::Lambda::Alias", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy",
}  # fmt: skip
# What it makes, but not as ours are: for an alias, and of methods that are all called ANY.
NOT_SO_IN_MOTO = {"AWS::Lambda::Permission", "AWS::ApiGateway::Deployment"}


def artifacts() -> dict[str, bytes]:
    """What `sam package` would upload, in name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("app.py", "")
    machine = (ROOT / "functions/batch.asl.json").read_bytes()
    return {"functions-1": packed.getvalue(), "batch-1": machine, **{f"{name}-1": packed.getvalue() for name in LAYERS}}


def possible(stack: Template) -> Template:
    left_out = NOT_IN_MOTO | NOT_SO_IN_MOTO
    kept = {name: made for name, made in stack["Resources"].items() if made["Type"] not in left_out}
    parameters = {**stack["Parameters"]}
    parameters["AlarmEmail"] = {**parameters["AlarmEmail"], "Default": "operator@example.com"}
    made = {**stack, "Resources": kept, "Parameters": parameters, "Outputs": {}}
    versions = {name for name, its in kept.items() if its["Type"] == "AWS::Lambda::Version"}  # moto's have no id
    named: Template = by_name(made, stack["Resources"].keys() - kept.keys() | versions)
    return named


def by_name(value: Any, gone: set[str]) -> Any:
    """What refers to a resource that is left out names it instead."""
    if isinstance(value, list):
        return [by_name(each, gone) for each in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: found[1] if found[1] in gone else found[0], value)
    if not isinstance(value, dict):
        return value
    target = value.get("Ref") or value.get("Fn::GetAtt")
    name = target[0] if isinstance(target, list) else target
    return name if name in gone else {key: by_name(each, gone) for key, each in value.items()}


@pytest.mark.filterwarnings("ignore:Tried to parse")
def test_all_that_moto_can_make_of_the_stack_is_made() -> None:
    stack = translate(source())
    wanted = possible(stack)
    with mock_aws():
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
        for name, content in artifacts().items():
            s3.put_object(Bucket="artifacts", Key=name, Body=content)
        client = boto3.client("cloudformation", region_name=REGION)
        client.create_stack(StackName="candor", TemplateBody=json.dumps(wanted), Capabilities=["CAPABILITY_IAM"])
        (made,) = client.describe_stacks(StackName="candor")["Stacks"]
        assert made["StackStatus"] == "CREATE_COMPLETE"
        pages = client.get_paginator("list_stack_resources").paginate(StackName="candor")
        found = {each["LogicalResourceId"] for page in pages for each in page["StackResourceSummaries"]}
        assert found == wanted["Resources"].keys()
        assert len(found) >= 32
        functions = boto3.client("lambda", region_name=REGION).list_functions()["Functions"]
        assert {function["Handler"].partition(".")[0] for function in functions} == {
            path.parent.name for path in (ROOT / "functions").glob("*/app.py")
        }
        assert len(s3.list_buckets()["Buckets"]) == 3
        client.delete_stack(StackName="candor")


def test_the_list_of_what_moto_lacks_is_short_and_true() -> None:
    kinds = {made["Type"] for made in translate(source())["Resources"].values()}
    lacking = {kind for kind in kinds if resource_class_from_type(kind) is None}
    assert lacking == NOT_IN_MOTO


def test_every_function_has_a_handler_and_a_sample_event() -> None:
    resources = source()["Resources"].values()
    functions = [made["Properties"] for made in resources if made["Type"] == "AWS::Serverless::Function"]
    for function in functions:
        module, _, name = function["Handler"].rpartition(".")
        path = ROOT / "functions" / Path(*module.split(".")).with_suffix(".py")
        assert name in path.read_text()
        step = module.partition(".")[0]
        assert list((ROOT / "events").glob("predict.json" if step == "api" else f"{step}*.json")), step
