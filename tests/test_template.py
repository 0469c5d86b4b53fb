"""Policy of the deployed stack, asserted on template.yaml as AWS SAM translates it; linters pass most such faults."""

import copy
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from api.app import ROUTES
from api.problems import CODES

ROOT = Path(__file__).parents[1]
LAYERS = ["RuntimeLayer", "ServingLayer", "ModelLayer"]
Template = dict[str, Any]


def source() -> Template:
    """template.yaml as `sam package` leaves it: each folder replaced by an address that names its content."""
    template: Template = yaml_parse((ROOT / "template.yaml").read_text())
    template["Globals"]["Function"]["CodeUri"] = "s3://artifacts/functions-1"
    for layer in LAYERS:
        template["Resources"][layer]["Properties"]["ContentUri"] = f"s3://artifacts/{layer}-1"
    return template


def translate(template: Template) -> Template:
    """The CloudFormation template that SAM makes of `template`, which stays as it is."""
    session = boto3.Session(region_name="eu-central-1")
    translator = Translator({}, Parser(), boto_session=session)
    result: Template = translator.translate(copy.deepcopy(template), {})
    return result


def of_type(template: Template, kind: str) -> dict[str, Any]:
    return {name: made for name, made in template["Resources"].items() if made["Type"] == kind}


def version(template: Template) -> str:
    """The logical id of the function version that the alias `live` points to."""
    (alias,) = of_type(translate(template), "AWS::Lambda::Alias").values()
    name: str = alias["Properties"]["FunctionVersion"]["Fn::GetAtt"][0]
    return name


def with_new_bundle(template: Template) -> Template:
    changed = copy.deepcopy(template)
    changed["Resources"]["ModelLayer"]["Properties"]["ContentUri"] = "s3://artifacts/ModelLayer-2"
    return changed


@pytest.fixture(scope="module")
def stack() -> Template:
    return translate(source())


def test_the_pinned_bundle_digest_is_that_of_the_committed_bundle() -> None:
    manifest = ROOT / "layers/model/bundle/manifest.json"
    pinned = source()["Globals"]["Function"]["Environment"]["Variables"]["BUNDLE_DIGEST"]
    assert pinned == hashlib.sha256(manifest.read_bytes()).hexdigest(), (
        "template.yaml's BUNDLE_DIGEST is not the sha256 of layers/model/bundle/manifest.json: `make train` writes both"
    )


def test_the_alias_is_live_and_points_to_a_version(stack: Template) -> None:
    (alias,) = of_type(stack, "AWS::Lambda::Alias").values()
    assert alias["Properties"]["Name"] == "live"
    assert alias["Properties"]["FunctionName"] == {"Ref": "ApiFunction"}
    assert version(source()) in of_type(stack, "AWS::Lambda::Version")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_change_of_one_layer_alone_reaches_the_alias(layer: str) -> None:
    before, after = source(), source()
    after["Resources"][layer]["Properties"]["ContentUri"] = f"s3://artifacts/{layer}-2"
    layers = [set(of_type(translate(each), "AWS::Lambda::LayerVersion")) for each in (before, after)]
    assert len(layers[1] - layers[0]) == 1, (
        "the layer keeps its logical id, so CloudFormation publishes no new version of it"
    )
    assert version(before) == version(source())
    assert version(before) != version(after)


def test_a_new_bundle_would_miss_the_alias_without_either_setting() -> None:
    without_all = source()
    del without_all["Resources"]["ApiFunction"]["Properties"]["AutoPublishAliasAllProperties"]
    assert version(without_all) == version(with_new_bundle(without_all))
    without_publish = source()
    del without_publish["Globals"]["LayerVersion"]["PublishLambdaVersion"]
    assert version(without_publish) == version(with_new_bundle(without_publish))


def test_a_new_bundle_digest_alone_makes_a_new_version() -> None:
    changed = source()
    changed["Globals"]["Function"]["Environment"]["Variables"]["BUNDLE_DIGEST"] = "f" * 64
    assert version(changed) != version(source())


def paths(stack: Template) -> dict[str, Any]:
    (api,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    found: dict[str, Any] = api["Properties"]["Body"]["paths"]
    return found


def test_the_api_has_the_handlers_routes_and_no_other(stack: Template) -> None:
    assert set(paths(stack)) == set(ROUTES)
    for path, methods in paths(stack).items():
        preflight = {"options"} if "OPTIONS" in ROUTES[path] else set()
        assert set(methods) == {"x-amazon-apigateway-any-method"} | preflight


def test_a_key_is_required_under_v1_but_for_preflight_and_nowhere_else(stack: Template) -> None:
    for path, methods in paths(stack).items():
        for method, made in methods.items():
            keyed = {"api_key": []} in made.get("security", [])
            assert keyed == (path.startswith("/v1/") and method != "options"), (path, method)


def test_each_plan_has_throttle_quota_a_key_and_this_stage(stack: Template) -> None:
    plans, links = of_type(stack, "AWS::ApiGateway::UsagePlan"), of_type(stack, "AWS::ApiGateway::UsagePlanKey")
    assert (
        {link["Properties"]["UsagePlanId"]["Ref"] for link in links.values()} == plans.keys() == {"FreePlan", "ProPlan"}
    )
    keys = of_type(stack, "AWS::ApiGateway::ApiKey")
    assert {link["Properties"]["KeyId"]["Ref"] for link in links.values()} == keys.keys()
    for name, plan in plans.items():
        limits = {
            value["Ref"]
            for part in ("Throttle", "Quota")
            for value in plan["Properties"][part].values()
            if isinstance(value, dict)
        }
        kind = name.removesuffix("Plan")
        assert limits == {f"{kind}RequestsPerSecond", f"{kind}RequestsPerMonth"}
        assert plan["Properties"]["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": "ApiStage"}}]


def gateway_answers(stack: Template) -> dict[str, Any]:
    (api,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    found: dict[str, Any] = api["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]
    return found


def test_the_gateways_own_answers_are_problems_of_our_list(stack: Template) -> None:
    for name, made in gateway_answers(stack).items():
        body = json.loads(made["responseTemplates"]["application/json"])
        status, title = CODES[body["code"]]
        assert int(made["statusCode"]) == body["status"] == status, name
        assert body.keys() >= {"type", "title", "status", "detail", "code", "request_id"}
        assert body["title"] == title
        assert made["responseParameters"]["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert ("gatewayresponse.header.Retry-After" in made["responseParameters"]) == (status == 429)
    wanted = {"INVALID_API_KEY", "MISSING_AUTHENTICATION_TOKEN", "THROTTLED", "QUOTA_EXCEEDED", "REQUEST_TOO_LARGE"}
    assert set(gateway_answers(stack)) >= wanted


def test_the_access_log_holds_no_body_query_or_address(stack: Template) -> None:
    (stage,) = of_type(stack, "AWS::ApiGateway::Stage").values()
    logged = set(re.findall(r"\$context\.([\w.]+)", stage["Properties"]["AccessLogSetting"]["Format"]))
    assert logged == {
        "requestId", "requestTimeEpoch", "httpMethod", "resourcePath", "status", "responseLatency", "responseLength",
        "identity.apiKeyId",
    }  # fmt: skip


def test_each_route_calls_the_alias_and_nothing_else(stack: Template) -> None:
    (api,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    (alias,) = of_type(stack, "AWS::Lambda::Alias")
    for methods in api["Properties"]["Body"]["paths"].values():
        for method in methods.values():
            integration = method["x-amazon-apigateway-integration"]
            assert integration["type"] == "aws_proxy"
            assert f"/functions/${{{alias}}}/invocations" in integration["uri"]["Fn::Sub"]


def test_only_this_api_may_call_the_function(stack: Template) -> None:
    permissions = of_type(stack, "AWS::Lambda::Permission")
    assert len(permissions) == sum(len(methods) for methods in paths(stack).values())
    for permission in permissions.values():
        assert permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
        arn, parts = permission["Properties"]["SourceArn"]["Fn::Sub"]
        assert "${__ApiId__}" in arn
        assert parts["__ApiId__"] == {"Ref": "Api"}


def test_the_api_answers_no_foreign_page_and_records_no_body(stack: Template) -> None:
    (api,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    assert "access-control-allow-origin" not in str(api).lower()
    (stage,) = of_type(stack, "AWS::ApiGateway::Stage").values()
    (settings,) = stage["Properties"]["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["DataTraceEnabled"] is False
    assert {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(settings)


def test_roles_allow_only_writing_own_logs_and_traces(stack: Template) -> None:
    role = of_type(stack, "AWS::IAM::Role")["ApiRole"]
    assert "ManagedPolicyArns" not in role["Properties"]
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
    (policy,) = role["Properties"]["Policies"]
    logs, traces = policy["PolicyDocument"]["Statement"]
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert logs["Resource"] == {"Fn::GetAtt": ["ApiLogs", "Arn"]}
    assert traces["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]


def test_each_function_is_as_the_layers_were_built_for(stack: Template) -> None:
    layers = of_type(stack, "AWS::Lambda::LayerVersion")
    for function in of_type(stack, "AWS::Lambda::Function").values():
        made = function["Properties"]
        assert made["Runtime"] == "python3.13"
        assert [layer["Ref"] for layer in made["Layers"]] == list(layers)
        for layer in layers.values():
            assert layer["Properties"]["CompatibleRuntimes"] == [made["Runtime"]]
            assert layer["Properties"]["CompatibleArchitectures"] == made["Architectures"]


def test_functions_log_where_lines_expire_and_record_no_answers(stack: Template) -> None:
    groups = of_type(stack, "AWS::Logs::LogGroup")
    assert all("RetentionInDays" in group["Properties"] for group in groups.values())
    for function in of_type(stack, "AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups
        assert function["Properties"]["TracingConfig"] == {"Mode": "Active"}
        variables = function["Properties"]["Environment"]["Variables"]
        for name in ("LOGGER_LOG_EVENT", "TRACER_CAPTURE_RESPONSE", "TRACER_CAPTURE_ERROR"):
            assert variables[f"POWERTOOLS_{name}"] == "false"
        assert variables["BUNDLE_PATH"] == "/opt/bundle"


def test_every_parameter_explains_itself_and_has_a_default() -> None:
    for name, parameter in source()["Parameters"].items():
        assert {"Default", "Description"} <= set(parameter), name
        assert {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter), name
