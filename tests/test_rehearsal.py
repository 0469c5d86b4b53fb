"""The deployment, rehearsed without an AWS account: the translated stack, created in moto."""

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
# Types that moto's CloudFormation does not support. Only the checks of test_template cover them.
NOT_IN_MOTO = {
    "AWS::ApiGateway::Account", "AWS::ApiGateway::ApiKey", "AWS::ApiGateway::Stage", "AWS::ApiGateway::UsagePlan",
    "AWS::ApiGateway::UsagePlanKey", "AWS::AppConfig::Application", "AWS::AppConfig::ConfigurationProfile",
    "AWS::AppConfig::HostedConfigurationVersion", "AWS::CloudWatch::Alarm", "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup", "AWS::Lambda::Alias", "AWS::S3::BucketPolicy", "AWS::SecretsManager::Secret",
    "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy",
}  # fmt: skip
# Types that it supports, but not as the stack uses them: for an alias, and for methods that are all ANY.
DIFFERENT_IN_MOTO = {"AWS::Lambda::Permission", "AWS::ApiGateway::Deployment"}


def artifacts() -> dict[str, bytes]:
    """Return placeholders, by key, of the objects that `sam package` would upload."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    machine = (ROOT / "functions/batch.asl.json").read_bytes()
    return {
        "functions-1": archive.getvalue(),
        "batch-1": machine,
        **{f"{name}-1": archive.getvalue() for name in LAYERS},
    }


def supported(stack: Template) -> Template:
    """Return the part of the stack that moto can create."""
    left_out = NOT_IN_MOTO | DIFFERENT_IN_MOTO
    kept = {name: resource for name, resource in stack["Resources"].items() if resource["Type"] not in left_out}
    del kept["ApiFunctionStayActive"]  # it calls an alias
    parameters = {**stack["Parameters"]}
    parameters["AlarmEmail"] = {**parameters["AlarmEmail"], "Default": "operator@example.com"}
    smaller = {**stack, "Resources": kept, "Parameters": parameters, "Outputs": {}}
    # moto's function versions have no id to refer to.
    versions = {name for name, resource in kept.items() if resource["Type"] == "AWS::Lambda::Version"}
    named: Template = by_name(smaller, stack["Resources"].keys() - kept.keys() | versions)
    return named


def by_name(value: Any, gone: set[str]) -> Any:
    """Replace each reference to a resource that is left out by the resource's name."""
    if isinstance(value, list):
        return [by_name(each, gone) for each in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda match: match[1] if match[1] in gone else match[0], value)
    if not isinstance(value, dict):
        return value
    target = value.get("Ref") or value.get("Fn::GetAtt")
    name = target[0] if isinstance(target, list) else target
    return name if name in gone else {key: by_name(each, gone) for key, each in value.items()}


@pytest.mark.filterwarnings("ignore:Tried to parse")
def test_stack_is_created_in_moto() -> None:
    stack = translate(source())
    wanted = supported(stack)
    with mock_aws():
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
        for name, content in artifacts().items():
            s3.put_object(Bucket="artifacts", Key=name, Body=content)
        client = boto3.client("cloudformation", region_name=REGION)
        client.create_stack(StackName="candor", TemplateBody=json.dumps(wanted), Capabilities=["CAPABILITY_IAM"])
        (created,) = client.describe_stacks(StackName="candor")["Stacks"]
        assert created["StackStatus"] == "CREATE_COMPLETE"
        pages = client.get_paginator("list_stack_resources").paginate(StackName="candor")
        resources = {summary["LogicalResourceId"] for page in pages for summary in page["StackResourceSummaries"]}
        assert resources == wanted["Resources"].keys()
        assert len(resources) >= 32
        functions = boto3.client("lambda", region_name=REGION).list_functions()["Functions"]
        assert {function["Handler"].partition(".")[0] for function in functions} == {
            path.parent.name for path in (ROOT / "functions").glob("*/app.py")
        }
        assert len(s3.list_buckets()["Buckets"]) == 3
        client.delete_stack(StackName="candor")


def test_list_of_unsupported_types_is_current() -> None:
    types = {resource["Type"] for resource in translate(source())["Resources"].values()}
    assert {name for name in types if resource_class_from_type(name) is None} == NOT_IN_MOTO


def test_functions_have_handler_and_sample_event() -> None:
    resources = source()["Resources"].values()
    functions = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::Serverless::Function"]
    for function in functions:
        module, _, name = function["Handler"].rpartition(".")
        path = ROOT / "functions" / Path(*module.split(".")).with_suffix(".py")
        assert name in path.read_text()
        step = module.partition(".")[0]
        assert list((ROOT / "events").glob("predict.json" if step == "api" else f"{step}*.json")), step
