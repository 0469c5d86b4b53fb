"""Policies of the deployed stack, asserted on template.yaml as AWS SAM translates it. Linters miss most such faults."""

import copy
import hashlib
import itertools
import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from api.app import ROUTES, handler
from api.problems import CODES
from candor.batch.steps import requested
from candor.cli.dashboard import SEARCH
from candor.cli.torture.bucket import INBOX as INBOX_NAME
from candor.cli.torture.bucket import PERSONAL, created, delivered
from candor.cli.torture.workflow import DEFINITION
from candor.limits import CHUNK_ROWS, JOB_CONCURRENCY, MAX_BODY_BYTES
from candor.operate.drift import ALARM

ROOT = Path(__file__).parents[1]
MEASURED = "".join(
    (ROOT / path).read_text() for path in ("layers/serving/candor/operate/observe.py", "functions/api/app.py")
)
LAYERS = ["RuntimeLayer", "ServingLayer", "ModelLayer"]
Template = dict[str, Any]


def source() -> Template:
    """Return template.yaml as `sam package` writes it, with each folder replaced by the address of its content."""
    template: Template = yaml_parse((ROOT / "template.yaml").read_text())
    template["Globals"]["Function"]["CodeUri"] = "s3://artifacts/functions-1"
    location = {"Bucket": "artifacts", "Key": "batch-1"}
    template["Resources"]["BatchStateMachine"]["Properties"]["DefinitionS3Location"] = location
    for layer in LAYERS:
        template["Resources"][layer]["Properties"]["ContentUri"] = f"s3://artifacts/{layer}-1"
    return template


def translate(template: Template) -> Template:
    """Return the CloudFormation template that SAM makes of a copy of `template`."""
    session = boto3.Session(region_name="eu-central-1")
    translator = Translator({}, Parser(), boto_session=session)
    result: Template = translator.translate(copy.deepcopy(template), {})
    return result


def of_type(template: Template, kind: str) -> dict[str, Any]:
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def version(template: Template, function: str = "ApiFunction") -> str:
    """Return the logical id of the function version that the alias `live` points to."""
    alias = of_type(translate(template), "AWS::Lambda::Alias")[f"{function}Aliaslive"]
    name: str = alias["Properties"]["FunctionVersion"]["Fn::GetAtt"][0]
    return name


def with_new_bundle(template: Template) -> Template:
    changed = copy.deepcopy(template)
    changed["Resources"]["ModelLayer"]["Properties"]["ContentUri"] = "s3://artifacts/ModelLayer-2"
    return changed


@pytest.fixture(scope="module")
def stack() -> Template:
    return translate(source())


def test_bundle_digest_is_that_of_the_bundle() -> None:
    manifest = ROOT / "layers/model/bundle/manifest.json"
    pinned = source()["Globals"]["Function"]["Environment"]["Variables"]["BUNDLE_DIGEST"]
    assert pinned == hashlib.sha256(manifest.read_bytes()).hexdigest(), (
        "template.yaml's BUNDLE_DIGEST is not the sha256 of layers/model/bundle/manifest.json: `candor use` writes it"
    )


FUNCTIONS = ["ApiFunction", "BatchPlanFunction", "BatchScoreFunction", "BatchFinishFunction"]  # that have an alias


@pytest.mark.parametrize("function", FUNCTIONS)
def test_alias_live_points_to_a_version(function: str, stack: Template) -> None:
    assert set(of_type(stack, "AWS::Lambda::Function")) == {*FUNCTIONS, "PreTrafficFunction"}
    alias = of_type(stack, "AWS::Lambda::Alias")[f"{function}Aliaslive"]
    assert alias["Properties"]["Name"] == "live"
    assert alias["Properties"]["FunctionName"] == {"Ref": function}
    assert version(source(), function) in of_type(stack, "AWS::Lambda::Version")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("layer", LAYERS)
def test_change_of_one_layer_reaches_the_alias(layer: str, function: str) -> None:
    before, after = source(), source()
    after["Resources"][layer]["Properties"]["ContentUri"] = f"s3://artifacts/{layer}-2"
    layers = [set(of_type(translate(each), "AWS::Lambda::LayerVersion")) for each in (before, after)]
    assert len(layers[1] - layers[0]) == 1, (
        "the layer keeps its logical id, so CloudFormation publishes no new version of it"
    )
    assert version(before, function) == version(source(), function)
    assert version(before, function) != version(after, function)


def test_new_bundle_needs_both_publish_settings() -> None:
    """Without either setting a new bundle would not reach the alias."""
    without_all = source()
    del without_all["Resources"]["ApiFunction"]["Properties"]["AutoPublishAliasAllProperties"]
    assert version(without_all) == version(with_new_bundle(without_all))
    without_publish = source()
    del without_publish["Globals"]["LayerVersion"]["PublishLambdaVersion"]
    assert version(without_publish) == version(with_new_bundle(without_publish))


def test_new_bundle_digest_makes_a_new_version() -> None:
    changed = source()
    changed["Globals"]["Function"]["Environment"]["Variables"]["BUNDLE_DIGEST"] = "f" * 64
    assert version(changed) != version(source())


def other(parameter: dict[str, Any]) -> Any:
    """Return a value of a parameter that is not its default."""
    least = parameter.get("MinValue", 0)
    values = parameter.get("AllowedValues") or ([least, least + 1] if parameter["Type"] == "Number" else ["other"])
    return next(value for value in values if value != parameter["Default"])


class Deployment:
    """What CloudFormation makes of a translated template with these parameters, as far as `live` depends on it.

    The id of a resource stands for the values of those properties whose change replaces it, by CloudFormation's own
    schemas.
    """

    def __init__(self, stack: Template, **parameters: Any) -> None:
        self.stack = stack
        self.values = {name: each["Default"] for name, each in stack["Parameters"].items()} | parameters

    def id_of(self, name: str) -> str:
        resource = self.stack["Resources"][name]
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", resource["Type"]).schema
        keys = [path.removeprefix("/properties/") for path in schema.get("createOnlyProperties", [])]
        fixed = {key: resource["Properties"][key] for key in keys if key in resource.get("Properties", {})}
        return f"{name}-{hashlib.sha256(repr(self.resolve(fixed)).encode()).hexdigest()[:8]}"

    def refer(self, name: str) -> Any:
        if name.startswith("AWS::"):
            return name
        return self.values[name] if name in self.values else self.id_of(name)

    def resolve(self, value: Any) -> Any:
        """Return a value with its intrinsic functions replaced by what they give."""
        if isinstance(value, list):
            return [self.resolve(each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) != 1 or not (set(value) == {"Ref"} or next(iter(value)).startswith("Fn::")):
            return {key: self.resolve(each) for key, each in value.items()}
        ((function, argument),) = value.items()
        if function == "Ref":
            return self.refer(argument)
        if function == "Fn::GetAtt":
            return f"{self.id_of(argument[0])}.{argument[1]}"
        if function == "Fn::Join":
            return argument[0].join(str(each) for each in several(self.resolve(argument[1])))
        if function == "Fn::Sub":
            text, names = argument if isinstance(argument, list) else (argument, {})
            names = self.resolve(names)
            return re.sub(
                r"\$\{([\w:]+)(\.\w+)?\}",
                lambda match: str(names[match[1]] if match[1] in names else self.refer(match[1])) + (match[2] or ""),
                text,
            )
        if function == "Fn::If":
            return self.resolve(argument[1] if self.resolve(self.stack["Conditions"][argument[0]]) else argument[2])
        if function == "Fn::Not":
            return not self.resolve(argument[0])
        if function == "Fn::Equals":
            return str(self.resolve(argument[0])) == str(self.resolve(argument[1]))
        raise ValueError(f"{function} is no intrinsic function that this test knows")

    def configuration(self, function: str) -> Any:
        """Return what a version of a function keeps: all but what Lambda applies to the function as a whole."""
        properties = self.stack["Resources"][function]["Properties"]
        whole = {"ReservedConcurrentExecutions", "Tags"}
        return self.resolve({key: value for key, value in properties.items() if key not in whole})

    def live(self, function: str) -> Any:
        """Return the version that the alias points to."""
        return self.resolve(self.stack["Resources"][f"{function}Aliaslive"]["Properties"]["FunctionVersion"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_changed_parameter_reaches_the_alias(function: str, stack: Template) -> None:
    """A function gets a new version for each parameter that changes what it is, and for no other.

    Lambda publishes none of a function that has not changed, and the deployment would fail.
    """
    before, reached = Deployment(stack), set()
    for name, parameter in stack["Parameters"].items():
        after = Deployment(stack, **{name: other(parameter)})
        changed = before.configuration(function) != after.configuration(function)
        assert (before.live(function) != after.live(function)) == changed, name
        reached |= {name} if changed else set()
    assert reached >= {"Architecture", "MemorySize" if function == "ApiFunction" else "BatchWithText"}
    assert "ApiConcurrency" not in reached


def test_old_versions_stay_to_roll_back_to(stack: Template) -> None:
    versions = of_type(stack, "AWS::Lambda::Version")
    assert len(versions) == len(FUNCTIONS)
    for each in versions.values():
        assert each["DeletionPolicy"] == each["UpdateReplacePolicy"] == "Retain"


def test_new_redaction_key_is_generated_and_read(stack: Template) -> None:
    """CloudFormation reads a secret again only where the reference to it changes."""
    secret = stack["Resources"]["RedactionSecret"]["Properties"]
    for number in (1, 2):
        deployed = Deployment(stack, RedactionKeyNumber=number)
        generated = deployed.resolve(secret["GenerateSecretString"])
        assert generated["GenerateStringKey"] == f"key{number}"
        assert generated["PasswordLength"] >= 32
        read = deployed.configuration("ApiFunction")["Environment"]["Variables"]["REDACTION_KEY"]
        assert read == f"{{{{resolve:secretsmanager:{deployed.id_of('RedactionSecret')}:SecretString:key{number}}}}}"
    assert secret["KmsKeyId"] == KEY


def paths(stack: Template) -> dict[str, Any]:
    (api,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    by_path: dict[str, Any] = api["Properties"]["Body"]["paths"]
    return by_path


def test_api_routes_are_the_handlers_routes(stack: Template) -> None:
    assert set(paths(stack)) == set(ROUTES)
    for path, methods in paths(stack).items():
        preflight = {"options"} if "OPTIONS" in ROUTES[path] else set()
        assert set(methods) == {"x-amazon-apigateway-any-method"} | preflight


def test_api_key_is_required_under_v1_only(stack: Template) -> None:
    """A key is required under /v1, except for preflight requests, and nowhere else."""
    for path, methods in paths(stack).items():
        for method, operation in methods.items():
            keyed = {"api_key": []} in operation.get("security", [])
            assert keyed == (path.startswith("/v1/") and method != "options"), (path, method)


def test_usage_plans_have_throttle_quota_and_key(stack: Template) -> None:
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


def gateway_responses(stack: Template) -> dict[str, Any]:
    (api,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    responses: dict[str, Any] = api["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]
    return responses


def test_gateway_responses_are_listed_problems(stack: Template) -> None:
    for name, response in gateway_responses(stack).items():
        body = json.loads(response["responseTemplates"]["application/json"])
        status, title = CODES[body["code"]]
        assert int(response["statusCode"]) == body["status"] == status, name
        assert body.keys() >= {"type", "title", "status", "detail", "code", "request_id"}
        assert body["title"] == title
        headers = {
            header.removeprefix("gatewayresponse.header."): value.strip("'")
            for header, value in response["responseParameters"].items()
        }
        assert headers["Content-Type"] == "application/problem+json"
        assert headers["Access-Control-Allow-Origin"] == "*", "a page could not tell a wrong key from a network failure"
        assert ("Retry-After" in headers) == (status == 429)
        assert headers.get("Access-Control-Expose-Headers") == ("Retry-After" if status == 429 else None)
    wanted = {"INVALID_API_KEY", "MISSING_AUTHENTICATION_TOKEN", "THROTTLED", "QUOTA_EXCEEDED", "REQUEST_TOO_LARGE"}
    wanted |= {"UNSUPPORTED_MEDIA_TYPE", "DEFAULT_4XX", "DEFAULT_5XX"}
    coding = gateway_responses(stack)["UNSUPPORTED_MEDIA_TYPE"]["responseParameters"]
    assert coding["gatewayresponse.header.Accept-Encoding"] == "'gzip, identity'"
    assert set(gateway_responses(stack)) >= wanted


def test_gateway_responses_repeat_nothing_sent(stack: Template) -> None:
    """A message of API Gateway's may hold a header or a path; the request's id does not."""
    for name, response in gateway_responses(stack).items():
        assert re.findall(r"\$[\w.]+", str(response)) == ["$context.requestId"], name
        assert all(value.startswith("'") for value in response["responseParameters"].values()), name


def test_gateway_role_outlives_the_stack(stack: Template) -> None:
    """API Gateway has one role for all APIs of a region: setting it is a choice, and deleting it would break theirs."""
    for name in ("GatewayAccount", "GatewayRole"):
        kept = stack["Resources"][name]
        assert kept["DeletionPolicy"] == kept["UpdateReplacePolicy"] == "Retain"
        assert kept["Condition"] == "SetGatewayRole"
    assert stack["Conditions"]["SetGatewayRole"] == {"Fn::Equals": [{"Ref": "GatewayLogsRole"}, "true"]}
    waits = {"Fn::If": ["SetGatewayRole", {"Fn::Sub": "Candor, with logs by ${GatewayAccount}"}, "Candor"]}
    assert stack["Resources"]["Api"]["Properties"]["Description"] == waits
    assert stack["Resources"]["ApiStage"]["Properties"]["RestApiId"] == {"Ref": "Api"}


def test_access_log_has_no_body_query_or_address(stack: Template) -> None:
    (stage,) = of_type(stack, "AWS::ApiGateway::Stage").values()
    logged = set(re.findall(r"\$context\.([\w.]+)", stage["Properties"]["AccessLogSetting"]["Format"]))
    assert logged == {
        "requestId", "requestTimeEpoch", "httpMethod", "resourcePath", "status", "responseLatency", "responseLength",
        "identity.apiKeyId",
    }  # fmt: skip


def test_api_get_routes_take_head(stack: Template) -> None:
    (api,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    paths = api["Properties"]["Body"]["paths"]
    assert sorted(paths) == sorted(ROUTES)
    for path, methods in ROUTES.items():
        assert "GET" not in methods or {"x-amazon-apigateway-any-method", "head"} & set(paths[path]), path


def test_api_routes_invoke_the_alias(stack: Template) -> None:
    (api,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    alias = "ApiFunctionAliaslive"
    assert alias in of_type(stack, "AWS::Lambda::Alias")
    for methods in api["Properties"]["Body"]["paths"].values():
        for method in methods.values():
            integration = method["x-amazon-apigateway-integration"]
            assert integration["type"] == "aws_proxy"
            assert f"/functions/${{{alias}}}/invocations" in integration["uri"]["Fn::Sub"]


def test_api_function_is_invoked_by_this_api_only(stack: Template) -> None:
    permissions = of_type(stack, "AWS::Lambda::Permission")
    daily = permissions.pop("ApiFunctionStayActivePermission")["Properties"]
    assert daily["Principal"] == "events.amazonaws.com"
    assert daily["SourceArn"] == {"Fn::GetAtt": ["ApiFunctionStayActive", "Arn"]}
    assert len(permissions) == sum(len(methods) for methods in paths(stack).values())
    for permission in permissions.values():
        assert permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
        arn, parts = permission["Properties"]["SourceArn"]["Fn::Sub"]
        assert "${__ApiId__}" in arn
        assert parts["__ApiId__"] == {"Ref": "Api"}


def test_api_has_no_cors_and_traces_no_body(stack: Template) -> None:
    (api,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    assert "access-control-allow-origin" not in str(api["Properties"]["Body"]["paths"]).lower()
    (stage,) = of_type(stack, "AWS::ApiGateway::Stage").values()
    (settings,) = stage["Properties"]["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["DataTraceEnabled"] is False
    assert {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(settings)


WRITES_LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
READS, LISTS, WRITES = {"s3:GetObject"}, {"s3:ListBucket"}, {"s3:PutObject"}
DECRYPTS, ENCRYPTS = ({"kms:Decrypt"}, {"Key"}), ({"kms:Decrypt", "kms:GenerateDataKey"}, {"Key"})
INBOX = ({"s3:GetObject", "s3:GetObjectVersion"}, {"InboxBucket/*"})
BOTH = (LISTS, {"InboxBucket", "ResultsBucket"})
# Actions and resources that each role may use. `*` only where AWS has no narrower resource.
MAY = {
    "ApiRole": [(WRITES_LOGS, {"ApiLogs"}), (TRACES, {"*"}), DECRYPTS],
    "BatchPlanRole": [
        (WRITES_LOGS, {"BatchLogs"}), (TRACES, {"*"}), INBOX, BOTH, ENCRYPTS, (READS, {"ResultsBucket/results/*"}),
        (WRITES, {"ResultsBucket/plans/*", "ResultsBucket/results/*"}),
    ],
    "BatchScoreRole": [
        (WRITES_LOGS, {"BatchLogs"}), (TRACES, {"*"}), INBOX, BOTH, ENCRYPTS, (READS, {"ResultsBucket/results/*"}),
        (WRITES, {"ResultsBucket/results/*"}),
    ],
    "BatchFinishRole": [
        (WRITES_LOGS, {"BatchLogs"}), (TRACES, {"*"}), (LISTS, {"ResultsBucket"}), ENCRYPTS,
        (READS, {"ResultsBucket/plans/*", "ResultsBucket/results/*"}),
        (WRITES, {"ResultsBucket/results/*", "ResultsBucket/failed/*"}),
    ],
    "BatchStateMachineRole": [
        ({"lambda:InvokeFunction"}, {f"{name}Aliaslive" for name in FUNCTIONS[1:]}),
        (READS, {"ResultsBucket/plans/*"}), ENCRYPTS,
        ({"states:StartExecution"}, {"stateMachine:${AWS::StackName}-batch"}),
        (
            {"states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"},
            {"execution:${AWS::StackName}-batch:*", "execution:${AWS::StackName}-batch/Score:*"},
        ),
        (TRACES | {"xray:GetSamplingRules", "xray:GetSamplingTargets"}, {"*"}),
    ],
    "InboxRuleRole": [({"states:StartExecution"}, {"BatchStateMachine"})],
    "PreTrafficRole": [
        (WRITES_LOGS, {"RolloutLogs"}), (TRACES, {"*"}), DECRYPTS, ({"lambda:InvokeFunction"}, {"ApiFunction:*"}),
        (
            {"codedeploy:PutLifecycleEventHookExecutionStatus"},
            {"deploymentgroup:${ServerlessDeploymentApplication}/*"},
        ),
    ],
    "RolloutRole": [
        (
            {"lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"},
            {"ApiFunction", "ApiFunction:*"},
        ),
        ({"lambda:InvokeFunction"}, {"PreTrafficFunction"}), ({"cloudwatch:DescribeAlarms"}, {"alarm:*"}),
    ],
}  # fmt: skip
TRUSTED = {
    "BatchStateMachineRole": "states", "InboxRuleRole": "events", "GatewayRole": "apigateway",
    "RolloutRole": "codedeploy",
}  # fmt: skip
GATEWAY_LOGS = {
    "logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "logs:GetLogEvents", "logs:FilterLogEvents",
}  # fmt: skip
# Every granted action, and the code or the setting that needs it.
USES = {
    "logs:CreateLogStream": ("template.yaml", "LoggingConfig:"),  # by Lambda, for each container
    "logs:PutLogEvents": ("template.yaml", "LoggingConfig:"),
    "xray:PutTraceSegments": ("template.yaml", "Tracing: Active"),
    "xray:PutTelemetryRecords": ("template.yaml", "Tracing: Active"),
    "xray:GetSamplingRules": ("template.yaml", "TracingConfiguration: {Enabled: true}"),  # by the state machine
    "xray:GetSamplingTargets": ("template.yaml", "TracingConfiguration: {Enabled: true}"),
    "kms:Decrypt": ("template.yaml", "KmsKeyArn: !GetAtt Key.Arn"),
    "kms:GenerateDataKey": ("layers/serving/candor/storage.py", "client.put_object("),
    "s3:GetObject": ("layers/serving/candor/storage.py", "client.get_object("),
    "s3:GetObjectVersion": ("layers/serving/candor/storage.py", '{"VersionId": version}'),
    "s3:ListBucket": ("layers/serving/candor/storage.py", '_MISSING = {"404"'),  # without it a missing object is a 403
    "s3:PutObject": ("layers/serving/candor/storage.py", "client.put_object("),
    "lambda:InvokeFunction": ("functions/pre_traffic/app.py", 'client("lambda").invoke('),
    # By the map: https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
    "states:StartExecution": ("functions/batch.asl.json", '"Mode": "DISTRIBUTED"'),
    "states:DescribeExecution": ("functions/batch.asl.json", '"Mode": "DISTRIBUTED"'),
    "states:StopExecution": ("functions/batch.asl.json", '"Mode": "DISTRIBUTED"'),
    "states:RedriveExecution": ("functions/batch.asl.json", '"Label": "Score"'),
    "codedeploy:PutLifecycleEventHookExecutionStatus": (
        "functions/pre_traffic/app.py",
        "put_lifecycle_event_hook_execution_status(",
    ),
    "lambda:GetAlias": ("template.yaml", "Type: Canary10Percent10Minutes"),  # by CodeDeploy, to shift traffic
    "lambda:UpdateAlias": ("template.yaml", "Type: Canary10Percent10Minutes"),
    "lambda:GetProvisionedConcurrencyConfig": ("template.yaml", "Type: Canary10Percent10Minutes"),
    "cloudwatch:DescribeAlarms": ("template.yaml", "Alarms: [!Ref ApiErrorsAlarm"),
    **dict.fromkeys(GATEWAY_LOGS - WRITES_LOGS, ("template.yaml", "AccessLogSetting:")),
}


def several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resource(value: Any) -> str:
    """Return a policy's resource in short: its logical id and the path within it."""
    if isinstance(value, str):
        return value
    ((kind, name),) = value.items()
    if kind == "Fn::GetAtt":
        return str(name[0])
    return str(name) if kind == "Ref" else re.sub(r"\$\{(\w+)\.Arn\}", r"\1", name).rpartition("AccountId}:")[2]


@pytest.mark.parametrize("name", MAY)
def test_role_has_least_privilege(name: str, stack: Template) -> None:
    """Each role may do what its function does, and nothing else."""
    role = of_type(stack, "AWS::IAM::Role")[name]["Properties"]
    assert "ManagedPolicyArns" not in role
    granted = [
        (set(several(statement["Action"])), {resource(each) for each in several(statement["Resource"])})
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert sorted(map(str, map(ordered, granted))) == sorted(map(str, map(ordered, MAY[name])))


def test_every_granted_action_is_needed(stack: Template) -> None:
    granted = {
        action
        for role in of_type(stack, "AWS::IAM::Role").values()
        for policy in role["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in several(statement["Action"])
    }
    assert granted == USES.keys()
    for action, (path, call) in USES.items():
        assert call in (ROOT / path).read_text(), f"{action} is granted, but {path} no longer has {call}"


def test_gateway_role_only_writes_logs(stack: Template) -> None:
    role = of_type(stack, "AWS::IAM::Role")["GatewayRole"]["Properties"]
    ((statement,),) = [policy["PolicyDocument"]["Statement"] for policy in role["Policies"]]
    assert set(statement["Action"]) == GATEWAY_LOGS
    assert resource(statement["Resource"]) == "log-group:*"
    assert "ManagedPolicyArns" not in role


def ordered(grant: tuple[set[str], set[str]]) -> tuple[list[str], list[str]]:
    return sorted(grant[0]), sorted(grant[1])


def test_each_role_is_trusted_to_one_service(stack: Template) -> None:
    roles = of_type(stack, "AWS::IAM::Role")
    assert set(roles) == set(MAY) | {"GatewayRole"}
    for name, role in roles.items():
        (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": f"{TRUSTED.get(name, 'lambda')}.amazonaws.com"}
    for function in of_type(stack, "AWS::Lambda::Function").values():
        assert function["Properties"]["Role"]["Fn::GetAtt"][0] in roles
    used = [
        function["Properties"]["Role"]["Fn::GetAtt"][0] for function in of_type(stack, "AWS::Lambda::Function").values()
    ]
    assert len(used) == len(set(used)), "two functions share a role"


KEY = {"Fn::GetAtt": ["Key", "Arn"]}


def test_one_rotating_key_encrypts_everything(stack: Template) -> None:
    """One key encrypts logs and environments, and no service may use it for another account."""
    (key,) = of_type(stack, "AWS::KMS::Key").values()
    assert key["Properties"]["EnableKeyRotation"] is True
    for group in of_type(stack, "AWS::Logs::LogGroup").values():
        assert group["Properties"]["KmsKeyId"] == KEY
    for function in of_type(stack, "AWS::Lambda::Function").values():
        assert function["Properties"]["KmsKeyArn"] == KEY
    assert stack["Resources"]["AlarmTopic"]["Properties"]["KmsMasterKeyId"] == KEY
    (machine,) = of_type(stack, "AWS::StepFunctions::StateMachine").values()
    encryption = machine["Properties"]["EncryptionConfiguration"]
    assert (encryption["Type"], encryption["KmsKeyId"]) == ("CUSTOMER_MANAGED_KMS_KEY", KEY)
    assert 60 <= encryption["KmsDataKeyReusePeriodSeconds"] <= 900
    account, *services = key["Properties"]["KeyPolicy"]["Statement"]
    assert account["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    assert len(services) == 2
    for statement in services:
        assert statement["Condition"], "a service could use the key for another account"
        assert "kms:*" not in several(statement["Action"])


def test_no_secret_is_a_parameter_or_an_output(stack: Template) -> None:
    """`sam deploy --guided` takes no empty answer for a hidden parameter, and asks for ever."""
    assert not [name for name, parameter in source()["Parameters"].items() if "NoEcho" in parameter]
    assert "RedactionSecret" in stack["Resources"]
    assert "RedactionSecret" not in str(stack["Outputs"])


BUCKETS = {"InboxBucket", "ResultsBucket"}


def test_buckets_are_private_encrypted_and_expire(stack: Template) -> None:
    buckets = of_type(stack, "AWS::S3::Bucket")
    assert set(buckets) == BUCKETS
    for bucket in buckets.values():
        properties = bucket["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(properties["PublicAccessBlockConfiguration"]) == 4
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
        assert encryption["BucketKeyEnabled"] is True
        assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        (rule,) = properties["LifecycleConfiguration"]["Rules"]
        assert rule["Status"] == "Enabled"
        assert {"ExpirationInDays", "NoncurrentVersionExpiration"} <= set(rule)


def test_buckets_queues_and_topics_require_tls(stack: Template) -> None:
    policies = of_type(stack, "AWS::S3::BucketPolicy").values()
    assert {policy["Properties"]["Bucket"]["Ref"] for policy in policies} == BUCKETS
    queues, topics = (of_type(stack, kind).values() for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"))
    assert (len(queues), len(topics)) == (1, 1)
    for policy in [*policies, *queues, *topics]:
        statements = policy["Properties"]["PolicyDocument"]["Statement"]
        (refusal,) = [each for each in statements if each["Effect"] == "Deny"]
        assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert refusal["Principal"] == "*"
        assert refusal["Action"] in ("s3:*", "sqs:*", "sns:Publish")
        if refusal["Action"] == "s3:*":
            assert len(refusal["Resource"]) == 2, "the bucket and its objects"


def test_only_the_inbox_starts_jobs(stack: Template) -> None:
    """Results go to another bucket, so that no job starts on its own output."""
    buckets = of_type(stack, "AWS::S3::Bucket")
    telling = {name for name, bucket in buckets.items() if "NotificationConfiguration" in bucket["Properties"]}
    assert telling == {"InboxBucket"}
    rule = stack["Resources"]["InboxRule"]
    starting = [each for each in of_type(stack, "AWS::Events::Rule").values() if "EventPattern" in each["Properties"]]
    assert starting == [rule]
    pattern = rule["Properties"]["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])
    assert pattern["detail"]["bucket"]["name"] == [{"Ref": "InboxBucket"}]
    for name in FUNCTIONS[1:]:
        variables = stack["Resources"][name]["Properties"]["Environment"]["Variables"]
        assert variables["RESULTS_BUCKET"] == {"Ref": "ResultsBucket"}


def test_inbox_event_is_retried_then_dead_lettered(stack: Template) -> None:
    rule = stack["Resources"]["InboxRule"]
    (target,) = rule["Properties"]["Targets"]
    assert target["Arn"] == {"Ref": "BatchStateMachine"}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 10
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["InboxDeadLetters", "Arn"]}}
    (policy,) = of_type(stack, "AWS::SQS::QueuePolicy").values()
    allowed = policy["Properties"]["PolicyDocument"]["Statement"][0]
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["InboxRule", "Arn"]}}}
    queue = stack["Resources"]["InboxDeadLetters"]["Properties"]
    assert queue["KmsMasterKeyId"] == KEY
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


KEYS = [
    "in/a.csv", "a b+c%20d.csv", 'say "hi".csv', "back\\slash.csv", "\\", '"', "é中文🙂.csv", "tab\t.csv",
    "<object>", "<bucket>", "{}",
]  # fmt: skip


def test_inbox_rule_hands_on_no_person(stack: Template) -> None:
    """Executions hold no address and no principal, whatever the object's name; a job starts from what is left."""
    rule = stack["Resources"]["InboxRule"]
    (target,) = rule["Properties"]["Targets"]
    assert not {"Input", "InputPath"} & target.keys()
    for key, version_id in itertools.product(KEYS, ({}, {"VersionId": "v1"})):
        event = created(key, {"ETag": '"1"', **version_id})
        assert all(value in str(event) for value in PERSONAL.values())
        handed = delivered(event, target["InputTransformer"])
        assert (
            requested(handed, "results")
            == requested(event, "results")
            == (INBOX_NAME, key, version_id.get("VersionId", ""))
        )
        assert not [value for value in PERSONAL.values() if value in str(handed)]
        assert not {"account", "resources", "id"} & handed.keys()


def test_state_machine_invokes_the_aliases(stack: Template) -> None:
    properties = stack["Resources"]["BatchStateMachine"]["Properties"]
    assert properties["StateMachineName"] == {"Fn::Sub": "${AWS::StackName}-batch"}
    indices = {"PlanFunction": 1, "ScoreFunction": 2, "FinishFunction": 3}
    aliases = {name: {"Ref": f"{FUNCTIONS[index]}Aliaslive"} for name, index in indices.items()}
    assert properties["DefinitionSubstitutions"] == aliases | {"Partition": {"Ref": "AWS::Partition"}}
    used = set(re.findall(r"\$\{(\w+)\}", (ROOT / "functions/batch.asl.json").read_text()))
    assert used == set(properties["DefinitionSubstitutions"])
    assert properties["LoggingConfiguration"] == {"Level": "OFF", "IncludeExecutionData": False}
    assert properties["StateMachineType"] == "STANDARD"
    assert properties["RoleArn"] == {"Fn::GetAtt": ["BatchStateMachineRole", "Arn"]}
    assert DEFINITION["States"]["Score"]["Label"] == "Score", "the role may redrive children of this label"


def tasks() -> dict[str, dict[str, Any]]:
    states = DEFINITION["States"] | DEFINITION["States"]["Score"]["ItemProcessor"]["States"]
    return {name: state for name, state in states.items() if state["Type"] in ("Task", "Map")}


@pytest.mark.parametrize("name", tasks())
def test_step_retries_transient_errors_only(name: str) -> None:
    """Throttled calls are retried for days, transient errors some times, all with jitter; all others are caught."""
    state = tasks()[name]
    assert all(rule["JitterStrategy"] == "FULL" and rule["BackoffRate"] == 2 for rule in state["Retry"])
    retried = {error for rule in state["Retry"] for error in rule["ErrorEquals"]}
    if state["Type"] == "Task":
        assert retried >= {
            "UnavailableError", "Lambda.TooManyRequestsException", "Lambda.ServiceException", "Lambda.Unknown",
            "Lambda.AWSLambdaException", "Lambda.SdkClientException", "Lambda.ClientExecutionTimeoutException",
            "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout",
        }  # fmt: skip
        throttled = state["Retry"][0]
        assert throttled["ErrorEquals"] == ["Lambda.TooManyRequestsException"]
        assert throttled["MaxAttempts"] * throttled["MaxDelaySeconds"] / 2 > 2 * 24 * 3600
        assert all(rule["MaxAttempts"] <= 8 for rule in state["Retry"][1:])
    assert not retried & {"States.ALL", "EventError", "ConflictError", "DeniedError", "MissingError", "ChangedError"}
    assert "States.ALL" in state["Catch"][-1]["ErrorEquals"]


def test_map_is_distributed_and_bounded(stack: Template) -> None:
    """Children are standard: an express one ends after five minutes, however long it had to wait for the quota."""
    state = DEFINITION["States"]["Score"]
    assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert state["MaxConcurrencyPath"] == "$.concurrency"
    assert "MaxConcurrency" not in state
    assert not {"ToleratedFailurePercentage", "ToleratedFailureCount"} & state.keys()
    assert state["ItemReader"]["Parameters"] == {"Bucket.$": "$.chunks.bucket", "Key.$": "$.chunks.key"}
    plan = stack["Resources"]["BatchPlanFunction"]["Properties"]["Environment"]["Variables"]
    assert plan["CONCURRENCY"] == {"Ref": "BatchConcurrency"}
    parameter = source()["Parameters"]["BatchConcurrency"]
    assert (parameter["Default"], parameter["MinValue"]) == (JOB_CONCURRENCY, 1)


@pytest.mark.parametrize("name", [name for name, state in tasks().items() if state["Type"] == "Task"])
def test_step_waits_longer_than_its_function(name: str, stack: Template) -> None:
    """A function reports its own timeout before Step Functions gives it up."""
    function = tasks()[name]["Resource"].strip("${}")
    timeout = stack["Resources"][f"Batch{function}"]["Properties"]["Timeout"]
    assert timeout < tasks()[name]["TimeoutSeconds"] <= timeout + 60


def test_functions_match_their_layers(stack: Template) -> None:
    layers = of_type(stack, "AWS::Lambda::LayerVersion")
    for function in of_type(stack, "AWS::Lambda::Function").values():
        properties = function["Properties"]
        assert properties["Runtime"] == "python3.13"
        assert [layer["Ref"] for layer in properties["Layers"]] == list(layers)
        for layer in layers.values():
            assert layer["Properties"]["CompatibleRuntimes"] == [properties["Runtime"]]
            assert layer["Properties"]["CompatibleArchitectures"] == properties["Architectures"]


def test_function_logs_expire_and_have_no_events(stack: Template) -> None:
    groups = of_type(stack, "AWS::Logs::LogGroup")
    assert all("RetentionInDays" in group["Properties"] for group in groups.values())
    for function in of_type(stack, "AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups
        assert function["Properties"]["TracingConfig"] == {"Mode": "Active"}
        variables = function["Properties"]["Environment"]["Variables"]
        assert variables["POWERTOOLS_LOGGER_LOG_EVENT"] == "false"
        assert variables["BUNDLE_PATH"] == "/opt/bundle"


ROLLBACK_ALARMS = ["ApiErrorsAlarm", "FunctionErrorsAlarm", "SlowAlarm", "IntegrityAlarm"]


def test_rollout_is_checked_gradual_and_reversible(stack: Template) -> None:
    """A new version is checked, gets a tenth of the traffic first, and alarms roll it back."""
    (group,) = of_type(stack, "AWS::CodeDeploy::DeploymentGroup").values()
    properties = group["Properties"]
    assert [alarm["Name"]["Ref"] for alarm in properties["AlarmConfiguration"]["Alarms"]] == ROLLBACK_ALARMS
    assert properties["AlarmConfiguration"]["Enabled"] is True
    assert properties["AutoRollbackConfiguration"]["Enabled"] is True
    assert set(properties["AutoRollbackConfiguration"]["Events"]) >= {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"}
    assert "Canary10Percent10Minutes" in str(properties["DeploymentConfigName"])
    assert properties["ServiceRoleArn"] == {"Fn::GetAtt": ["RolloutRole", "Arn"]}
    policy = stack["Resources"]["ApiFunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert policy["BeforeAllowTrafficHook"] == {"Ref": "PreTrafficFunction"}
    checked = stack["Resources"]["PreTrafficFunction"]["Properties"]["Environment"]["Variables"]["NEW_VERSION"]
    assert checked == {"Ref": version(source())}
    function = stack["Resources"]["ApiFunction"]["Properties"]
    assert function["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert not [alias for alias in of_type(stack, "AWS::Lambda::Alias").values() if "Provisioned" in str(alias)]


def test_live_version_is_called_every_day(stack: Template) -> None:
    """Lambda retires a SnapStart version after 14 days without a call, and fails the next one."""
    rule = stack["Resources"]["ApiFunctionStayActive"]["Properties"]
    assert rule["ScheduleExpression"] == "rate(1 day)"
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": "ApiFunctionAliaslive"}
    answer = handler(json.loads(target["Input"]), None)
    assert (answer["statusCode"], json.loads(answer["body"])["status"]) == (200, "ok")


# Namespace, metric and threshold of each alarm.
WATCHED = {
    "ApiErrorsAlarm": ("AWS/ApiGateway", "5XXError", 0.01), "FunctionErrorsAlarm": ("AWS/Lambda", "Errors", 0),
    "SlowAlarm": ("AWS/Lambda", "Duration", {"Ref": "SlowMilliseconds"}),
    "IntegrityAlarm": ("Candor", "IntegrityFailures", 0), "DriftAlarm": ("Candor", "Drift", 0.25),
    "DeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0),
}  # fmt: skip


def test_alarms_watch_metrics_and_notify_the_topic(stack: Template) -> None:
    alarms = {name: alarm["Properties"] for name, alarm in of_type(stack, "AWS::CloudWatch::Alarm").items()}
    sums = {name: alarm for name, alarm in alarms.items() if "Metrics" in alarm}
    watched = {
        name: (alarm["Namespace"], alarm["MetricName"], alarm["Threshold"])
        for name, alarm in alarms.items()
        if name not in sums
    }
    assert watched == WATCHED
    assert sums.keys() == {"BatchFailedAlarm"}
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        if alarm.get("Namespace") == "Candor":
            assert f'"{alarm["MetricName"]}"' in MEASURED
            assert alarm["Dimensions"] == [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}]
    (stage,) = of_type(stack, "AWS::ApiGateway::RestApi").values()
    assert (
        stage["Properties"]["Name"] == alarms["ApiErrorsAlarm"]["Dimensions"][0]["Value"] == {"Ref": "AWS::StackName"}
    )


def test_batch_alarm_rings_for_every_bad_end(stack: Template) -> None:
    """A job that fails rings, and so does one that runs out of time, which leaves no note."""
    alarm = of_type(stack, "AWS::CloudWatch::Alarm")["BatchFailedAlarm"]["Properties"]
    *parts, total = alarm["Metrics"]
    metrics = {part["Id"]: part["MetricStat"]["Metric"] for part in parts}
    assert {metric["MetricName"] for metric in metrics.values()} == {"ExecutionsFailed", "ExecutionsTimedOut"}
    for metric in metrics.values():
        assert metric["Namespace"] == "AWS/States"
        assert metric["Dimensions"] == [{"Name": "StateMachineArn", "Value": {"Ref": "BatchStateMachine"}}]
    assert set(re.findall(r"FILL\((\w+), 0\)", total["Expression"])) == metrics.keys()
    assert [part.get("ReturnData", True) for part in alarm["Metrics"]] == [False, False, True]
    assert alarm["Threshold"] == 0


def test_alarm_topic_takes_alarms_only(stack: Template) -> None:
    """Alarms go to the given address, and nobody else may publish them."""
    (subscription,) = of_type(stack, "AWS::SNS::Subscription").values()
    assert subscription["Condition"] == "SendAlarms"
    assert subscription["Properties"]["TopicArn"] == {"Ref": "AlarmTopic"}
    allowed = stack["Resources"]["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_concurrency_can_be_reserved(stack: Template) -> None:
    for name, parameter in (("ApiFunction", "ApiConcurrency"), ("BatchScoreFunction", "BatchReservedConcurrency")):
        condition = f"Reserve{name.removesuffix('Function').removesuffix('Score')}"
        reserved = stack["Resources"][name]["Properties"]["ReservedConcurrentExecutions"]
        assert reserved == {"Fn::If": [condition, {"Ref": parameter}, {"Ref": "AWS::NoValue"}]}
        assert stack["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, 0]}]}


def test_metrics_are_of_one_stack(stack: Template) -> None:
    """Two stacks in an account share no metric: alarms, dashboard and functions name the same service, the stack."""
    for function in of_type(stack, "AWS::Lambda::Function").values():
        variables = function["Properties"]["Environment"]["Variables"]
        assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}
    (dashboard,) = of_type(stack, "AWS::CloudWatch::Dashboard").values()
    body = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
    for widget in json.loads(body)["widgets"]:
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], dict):
                assert 'service="${AWS::StackName}"' in metric[0]["expression"]
            else:
                assert metric[2:4] == ["service", "${AWS::StackName}"]


def test_dashboard_shows_measured_metrics(stack: Template) -> None:
    (dashboard,) = of_type(stack, "AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"]
    every = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
    shown = {metric[1] for metric in every if isinstance(metric[0], str)}
    searches = [SEARCH.fullmatch(metric[0]["expression"]) for metric in every if isinstance(metric[0], dict)]
    assert all(searches), "candor dashboard cannot draw such an expression"
    shown |= {search["term"] for search in searches if search}
    families = {name.partition(".")[0] for name in shown}
    assert families >= {
        "Predictions", "Tokens", "Latency", "Decided", "Confidence", "Drift", "Redactions", "ColdStarts",
        "ClientErrors", "ServerErrors", "IntegrityFailures", "RowsScored", "RowsFailed",
    }  # fmt: skip
    for name in families - {"RowsScored", "RowsFailed"}:
        assert re.search(rf'"{name}[".]', MEASURED), name


def test_parameters_have_description_and_default() -> None:
    for name, parameter in source()["Parameters"].items():
        assert {"Default", "Description"} <= set(parameter), name
        assert {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter), name


def test_limits_match_those_of_the_code(stack: Template) -> None:
    """The template cannot import candor.limits, so its numbers are compared with it."""
    too_large = gateway_responses(stack)["REQUEST_TOO_LARGE"]["responseTemplates"]["application/json"]
    assert json.loads(too_large)["limit"] == MAX_BODY_BYTES
    assert f"{MAX_BODY_BYTES:,} bytes" in too_large
    assert source()["Parameters"]["BatchChunkRows"]["Default"] == CHUNK_ROWS
    assert stack["Resources"]["DriftAlarm"]["Properties"]["Threshold"] == ALARM
