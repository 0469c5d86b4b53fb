"""Single faults of template.yaml, each noticed by a named check of test_template. Linters miss half of them."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tests import test_template as checks
from tests.test_template import Template, source, translate

Change = Callable[[Any], None]


def at(*path: Any, to: Any = None, drop: bool = False) -> Change:
    """Return a change that sets or deletes the value at a path below Resources, or from the top if it starts with "/"."""

    def change(template: Template) -> None:
        *inner, last = path[1:] if path[0] == "/" else ("Resources", *path)
        parent: Any = template
        for step in inner:
            parent = parent[step]
        if drop:
            assert last in parent or isinstance(last, int), f"{path} does not exist, so this mutant changes nothing"
            del parent[last]
        else:
            parent[last] = to

    return change


def both(first: Change, second: Change) -> Change:
    """Return a change that makes two."""

    def change(template: Template) -> None:
        first(template)
        second(template)

    return change


def properties(name: str, *path: Any, **change: Any) -> Change:
    """Change a property of a resource."""
    return at(name, "Properties", *path, **change)


def action(role: str, policy: int, statement: int, to: Any) -> Change:
    """Change the actions of a role's statement."""
    return properties(role, "Policies", policy, "PolicyDocument", "Statement", statement, "Action", to=to)


def resource(role: str, policy: int, statement: int, to: Any) -> Change:
    """Change the resources of a role's statement."""
    return properties(role, "Policies", policy, "PolicyDocument", "Statement", statement, "Resource", to=to)


def event(name: str, key: str, to: Any) -> Change:
    """Change a property of a route."""
    return properties("ApiFunction", "Events", name, "Properties", key, to=to)


def no_keys(template: Template) -> None:
    """Require no API keys. SAM rejects a template that has only the default or only the exceptions."""
    del template["Resources"]["Api"]["Properties"]["Auth"]
    for route in template["Resources"]["ApiFunction"]["Properties"]["Events"].values():
        route["Properties"].pop("Auth", None)


LEAST = checks.test_role_has_least_privilege
KEYED = checks.test_api_key_is_required_under_v1_only
PLANS = checks.test_usage_plans_have_throttle_quota_and_key
TLS = checks.test_buckets_queues_and_topics_require_tls
BUCKETS = checks.test_buckets_are_private_encrypted_and_expire
ONE_KEY = checks.test_one_rotating_key_encrypts_everything
LOGS = checks.test_function_logs_expire_and_have_no_events
RECORDS = checks.test_api_has_no_cors_and_traces_no_body
ROLLOUT = checks.test_rollout_is_checked_gradual_and_reversible
ALARMS = checks.test_alarms_watch_metrics_and_notify_the_topic
RULE = checks.test_inbox_event_is_retried_then_dead_lettered
HANDED = checks.test_inbox_rule_hands_on_no_person
LOOP = checks.test_only_the_inbox_starts_jobs
STEPS = checks.test_step_retries_transient_errors_only
MAP = checks.test_map_is_distributed_and_bounded
TRUST = checks.test_each_role_is_trusted_to_one_service
PUBLISHED = checks.test_changed_parameter_reaches_the_alias
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
ENVIRONMENT = ("/", "Globals", "Function", "Environment", "Variables")

MUTANTS: dict[str, tuple[Change, Callable[..., None], tuple[Any, ...]]] = {
    "keys are not required": (no_keys, KEYED, ()),
    "one route needs no key": (event("Predict", "Auth", {"ApiKeyRequired": False}), KEYED, ()),
    "the page needs a key": (event("Page", "Auth", {"ApiKeyRequired": True}), KEYED, ()),
    "a route is gone": (properties("ApiFunction", "Events", "Redact", drop=True),
                        checks.test_api_routes_are_the_handlers_routes, ()),
    "a plan has no throttle": (properties("FreePlan", "Throttle", drop=True), PLANS, ()),
    "a plan has no quota": (properties("ProPlan", "Quota", drop=True), PLANS, ()),
    "a plan has no key": (at("FreePlanKey", drop=True), PLANS, ()),
    "the stage has no throttle": (properties("Api", "MethodSettings", 0, "ThrottlingRateLimit", drop=True), RECORDS, ()),
    "bodies are traced": (properties("Api", "MethodSettings", 0, "DataTraceEnabled", to=True), RECORDS, ()),
    "any origin may call": (properties("Api", "Cors", to="'*'"), RECORDS, ()),
    "the access log holds addresses": (
        properties("Api", "AccessLogSetting", "Format", to='{"ip":"$context.identity.sourceIp"}'),
        checks.test_access_log_has_no_body_query_or_address, ()),
    "429 has no Retry-After": (
        properties("Api", "GatewayResponses", "THROTTLED", "ResponseParameters", "Headers", "Retry-After", drop=True),
        checks.test_gateway_responses_are_listed_problems, ()),
    "a gateway's own answer repeats what was sent": (
        properties("Api", "GatewayResponses", "DEFAULT_4XX", "ResponseTemplates", "application/json",
                   to='{"message":$context.error.messageString}'),
        checks.test_gateway_responses_repeat_nothing_sent, ()),
    "a header repeats what was sent": (
        properties("Api", "GatewayResponses", "DEFAULT_4XX", "ResponseParameters", "Headers", "Access-Control-Allow-Origin",
                   to="method.request.header.Origin"),
        checks.test_gateway_responses_repeat_nothing_sent, ()),
    "a page cannot read that its key is wrong": (
        properties("Api", "GatewayResponses", "INVALID_API_KEY", "ResponseParameters", "Headers",
                   "Access-Control-Allow-Origin", drop=True),
        checks.test_gateway_responses_are_listed_problems, ()),
    "other refusals are API Gateway's": (
        properties("Api", "GatewayResponses", "DEFAULT_4XX", drop=True),
        checks.test_gateway_responses_are_listed_problems, ()),
    "deleting the stack breaks others' logs": (
        at("GatewayRole", "DeletionPolicy", to="Delete"), checks.test_gateway_role_outlives_the_stack, ()),
    "the gateway's role is set unasked": (
        at("GatewayAccount", "Condition", drop=True), checks.test_gateway_role_outlives_the_stack, ()),
    "the stage is made before it may log": (
        properties("Api", "Description", drop=True), checks.test_gateway_role_outlives_the_stack, ()),
    "stacks share metrics": (at(*ENVIRONMENT, "POWERTOOLS_SERVICE_NAME", to="candor"), checks.test_metrics_are_of_one_stack, ()),
    "an alarm watches every stack": (
        properties("DriftAlarm", "Dimensions", 0, "Value", to="candor"), ALARMS, ()),
    "events are logged": (at(*ENVIRONMENT, "POWERTOOLS_LOGGER_LOG_EVENT", to="true"), LOGS, ()),
    "no traces": (at("/", "Globals", "Function", "Tracing", drop=True), LOGS, ()),
    "logs are kept for ever": (properties("ApiLogs", "RetentionInDays", drop=True), LOGS, ()),
    "a function logs to a group of Lambda's making": (properties("BatchScoreFunction", "LoggingConfig", drop=True), LOGS, ()),
    "the bundle is not pinned": (at(*ENVIRONMENT, "BUNDLE_DIGEST", to=""),
                                 checks.test_bundle_digest_is_that_of_the_bundle, ()),
    "a new model misses the alias": (
        properties("ApiFunction", "AutoPublishAliasAllProperties", drop=True),
        checks.test_change_of_one_layer_reaches_the_alias, ("ModelLayer", "ApiFunction")),
    "no alias": (properties("BatchPlanFunction", "AutoPublishAlias", drop=True),
                 checks.test_alias_live_points_to_a_version, ("BatchPlanFunction",)),
    "AdministratorAccess": (properties("ApiRole", "ManagedPolicyArns", to=[ADMIN]), LEAST, ("ApiRole",)),
    "AdministratorAccess for the gateway": (
        properties("GatewayRole", "ManagedPolicyArns", to=[ADMIN]),
        checks.test_gateway_role_only_writes_logs, ()),
    "a wildcard action": (action("BatchPlanRole", 1, 0, "s3:*"), LEAST, ("BatchPlanRole",)),
    "a wildcard resource": (resource("BatchScoreRole", 1, 2, "*"), LEAST, ("BatchScoreRole",)),
    "a role may read every log group": (resource("ApiRole", 0, 0, "*"), LEAST, ("ApiRole",)),
    "a role may delete": (action("BatchFinishRole", 1, 1, ["s3:PutObject", "s3:DeleteObject"]), LEAST, ("BatchFinishRole",)),
    "scoring may write plans": (
        resource("BatchScoreRole", 1, 2, [{"Fn::Sub": "${ResultsBucket.Arn}/*"}]), LEAST, ("BatchScoreRole",)),
    "the hook may call any function": (resource("PreTrafficRole", 1, 0, "*"), LEAST, ("PreTrafficRole",)),
    "the roll-out may change any alias": (resource("RolloutRole", 0, 0, "*"), LEAST, ("RolloutRole",)),
    "an action that nothing needs": (
        action("ApiRole", 1, 0, ["kms:Decrypt", "kms:Encrypt"]),
        checks.test_every_granted_action_is_needed, ()),
    "a function shares another's role": (
        properties("BatchScoreFunction", "Role", to={"Fn::GetAtt": ["BatchPlanRole", "Arn"]}), TRUST, ()),
    "SAM's own role": (properties("BatchScoreFunction", "Role", drop=True), TRUST, ()),
    "anybody may assume a role": (
        properties("ApiRole", "AssumeRolePolicyDocument", "Statement", 0, "Principal", to={"AWS": "*"}), TRUST, ()),
    "the key does not rotate": (properties("Key", "EnableKeyRotation", to=False), ONE_KEY, ()),
    "services of other accounts may use the key": (
        properties("Key", "KeyPolicy", "Statement", 2, "Condition", to={}), ONE_KEY, ()),
    "logs are not encrypted": (properties("BatchLogs", "KmsKeyId", drop=True), ONE_KEY, ()),
    "environments are not encrypted": (at("/", "Globals", "Function", "KmsKeyArn", drop=True), ONE_KEY, ()),
    "histories are not encrypted": (properties("BatchStateMachine", "EncryptionConfiguration", drop=True), ONE_KEY, ()),
    "executions' data is logged": (
        properties("BatchStateMachine", "LoggingConfiguration", to={"Level": "ALL", "IncludeExecutionData": True}),
        checks.test_state_machine_invokes_the_aliases, ()),
    "the map may not watch its children": (
        action("BatchStateMachineRole", 0, 4, ["states:StopExecution", "states:RedriveExecution"]),
        LEAST, ("BatchStateMachineRole",)),
    "the history's key is out of reach": (action("BatchStateMachineRole", 0, 2, "kms:Decrypt"), LEAST, ("BatchStateMachineRole",)),
    "a job that runs out of time rings no alarm": (
        properties("BatchFailedAlarm", "Metrics", 1, "MetricStat", "Metric", "MetricName", to="ExecutionsStarted"),
        checks.test_batch_alarm_rings_for_every_bad_end, ()),
    "alarms are not encrypted": (properties("AlarmTopic", "KmsMasterKeyId", drop=True), ONE_KEY, ()),
    "a secret is a parameter": (
        at("/", "Parameters", "AlarmEmail", "NoEcho", to=True), checks.test_no_secret_is_a_parameter_or_an_output, ()),
    "the secret is shown": (
        at("/", "Outputs", "DashboardUrl", "Value", to={"Ref": "RedactionSecret"}),
        checks.test_no_secret_is_a_parameter_or_an_output, ()),
    "a new key number makes no new key": (
        properties("RedactionSecret", "GenerateSecretString", "GenerateStringKey", to="key1"),
        checks.test_new_redaction_key_is_generated_and_read, ()),
    "a new key is not read": (
        properties("ApiFunction", "Environment", "Variables", "REDACTION_KEY",
                   to={"Fn::Sub": "{{resolve:secretsmanager:${RedactionSecret}:SecretString:key1}}"}),
        checks.test_new_redaction_key_is_generated_and_read, ()),
    "a parameter misses the alias": (
        properties("ApiSettings", "Content", 0, to="MemorySize=${MemorySize}"), PUBLISHED, ("ApiFunction",)),
    "a parameter of files misses the alias": (
        properties("BatchSettings", "Content", to={"Fn::Sub": "Architecture=${Architecture}"}), PUBLISHED, ("BatchPlanFunction",)),
    "a version keeps its description": (
        properties("BatchScoreFunction", "VersionDescription", drop=True), PUBLISHED, ("BatchScoreFunction",)),
    "a version's description changes alone": (
        both(properties("BatchFinishFunction", "Environment", "Variables", "SETTINGS", drop=True),
             properties("BatchFinishFunction", "Environment", "Variables", "REDACT", drop=True)),
        PUBLISHED, ("BatchFinishFunction",)),
    "a replaced version is deleted": (
        at("ApiFunction", "UpdateReplacePolicy", drop=True), checks.test_old_versions_stay_to_roll_back_to, ()),
    "a bucket is not encrypted": (properties("InboxBucket", "BucketEncryption", drop=True), BUCKETS, ()),
    "a bucket may be public": (
        properties("ResultsBucket", "PublicAccessBlockConfiguration", "BlockPublicPolicy", to=False), BUCKETS, ()),
    "versioning is off": (properties("InboxBucket", "VersioningConfiguration", drop=True), BUCKETS, ()),
    "results are kept for ever": (properties("ResultsBucket", "LifecycleConfiguration", drop=True), BUCKETS, ()),
    "a bucket takes plain HTTP": (at("InboxPolicy", drop=True), TLS, ()),
    "a bucket's content takes plain HTTP": (
        properties("ResultsPolicy", "PolicyDocument", "Statement", 0, "Resource", to=[{"Fn::GetAtt": ["ResultsBucket", "Arn"]}]),
        TLS, ()),
    "the queue takes plain HTTP": (properties("InboxDeadLettersPolicy", "PolicyDocument", "Statement", 1, drop=True), TLS, ()),
    "the topic takes plain HTTP": (properties("AlarmTopicPolicy", "PolicyDocument", "Statement", 1, drop=True), TLS, ()),
    "results go to the inbox": (
        properties("BatchScoreFunction", "Environment", "Variables", "RESULTS_BUCKET", to={"Ref": "InboxBucket"}), LOOP, ()),
    "results start jobs": (
        properties("ResultsBucket", "NotificationConfiguration", to={"EventBridgeConfiguration": {"EventBridgeEnabled": True}}),
        LOOP, ()),
    "any bucket starts jobs": (properties("InboxRule", "EventPattern", "detail", "bucket", drop=True), LOOP, ()),
    "jobs keep who put the object": (properties("InboxRule", "Targets", 0, "InputTransformer", drop=True), HANDED, ()),
    "jobs keep the whole detail": (
        properties("InboxRule", "Targets", 0, "InputTransformer", to={
            "InputPathsMap": {"detail": "$.detail"},
            "InputTemplate": '{"source":"aws.s3","detail-type":"Object Created","detail":<detail>}'}), HANDED, ()),
    "quotes in a key break the event": (
        properties("InboxRule", "Targets", 0, "InputTransformer", to={
            "InputPathsMap": {"bucket": "$.detail.bucket", "key": "$.detail.object.key", "id": "$.detail.object.version-id"},
            "InputTemplate": '{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":<bucket>,"object":'
                             '{"key":<key>,"version-id":<id>}}}'}), HANDED, ()),
    "events are not tried again": (properties("InboxRule", "Targets", 0, "RetryPolicy", drop=True), RULE, ()),
    "events have no dead-letter queue": (properties("InboxRule", "Targets", 0, "DeadLetterConfig", drop=True), RULE, ()),
    "anybody's rule may fill the queue": (
        properties("InboxDeadLettersPolicy", "PolicyDocument", "Statement", 0, "Condition", to={}), RULE, ()),
    "dead letters are not encrypted": (properties("InboxDeadLetters", "KmsMasterKeyId", drop=True), RULE, ()),
    "the state machine runs unpublished functions": (
        properties("BatchStateMachine", "DefinitionSubstitutions", "ScoreFunction", to={"Fn::GetAtt": ["BatchScoreFunction", "Arn"]}),
        checks.test_state_machine_invokes_the_aliases, ()),
    "all traffic at once": (properties("ApiFunction", "DeploymentPreference", "Type", to="AllAtOnce"), ROLLOUT, ()),
    "no canary": (properties("ApiFunction", "DeploymentPreference", drop=True), ROLLOUT, ()),
    "no alarm takes a roll-out back": (properties("ApiFunction", "DeploymentPreference", "Alarms", drop=True), ROLLOUT, ()),
    "one alarm is unhooked": (properties("ApiFunction", "DeploymentPreference", "Alarms", 3, drop=True), ROLLOUT, ()),
    "no check before traffic": (properties("ApiFunction", "DeploymentPreference", "Hooks", drop=True), ROLLOUT, ()),
    "the hook asks the old version": (
        properties("PreTrafficFunction", "Environment", "Variables", "NEW_VERSION", to={"Ref": "ApiFunction"}), ROLLOUT, ()),
    "nobody keeps the version active": (
        properties("ApiFunction", "Events", "StayActive", "Properties", "Schedule", to="rate(30 days)"),
        checks.test_live_version_is_called_every_day, ()),
    "no SnapStart": (properties("ApiFunction", "SnapStart", drop=True), ROLLOUT, ()),
    "an alarm tells nobody": (properties("SlowAlarm", "AlarmActions", drop=True), ALARMS, ()),
    "an alarm watches what is not measured": (properties("IntegrityAlarm", "MetricName", to="Integrity"), ALARMS, ()),
    "an alarm is out of reach": (properties("DriftAlarm", "Threshold", to=25), ALARMS, ()),
    "an alarm rings when nobody calls": (properties("DriftAlarm", "TreatMissingData", to="breaching"), ALARMS, ()),
    "anybody may raise alarms": (
        properties("AlarmTopicPolicy", "PolicyDocument", "Statement", 0, "Condition", drop=True),
        checks.test_alarm_topic_takes_alarms_only, ()),
    "BatchConcurrency bounds nothing": (
        properties("BatchPlanFunction", "Environment", "Variables", "CONCURRENCY", drop=True), MAP, ()),
    "a batch can take all executions": (
        properties("BatchScoreFunction", "ReservedConcurrentExecutions", drop=True),
        checks.test_concurrency_can_be_reserved, ()),
    "layers are for another processor": (
        properties("RuntimeLayer", "CompatibleArchitectures", to=["arm64"]),
        checks.test_functions_match_their_layers, ()),
    "a parameter without a default": (
        at("/", "Parameters", "AlarmEmail", "Default", drop=True),
        checks.test_parameters_have_description_and_default, ()),
}  # fmt: skip

# Faults of functions/batch.asl.json, whose top is `States`.
STEP_MUTANTS: dict[str, tuple[Change, Callable[..., None], tuple[Any, ...]]] = {
    "a step is not tried again": (at("/", "States", "Plan", "Retry", drop=True), STEPS, ("Plan",)),
    "all tries come at once": (
        at("/", "States", "Finish", "Retry", 0, "JitterStrategy", to="NONE"), STEPS, ("Finish",)),
    "a failure is caught by nobody": (at("/", "States", "Plan", "Catch", drop=True), STEPS, ("Plan",)),
    "what cannot pass is tried for ever": (
        at("/", "States", "Plan", "Retry", 0, "ErrorEquals", to=["States.ALL"]), STEPS, ("Plan",)),
    "the map is inline": (
        at("/", "States", "Score", "ItemProcessor", "ProcessorConfig", "Mode", to="INLINE"), MAP, ()),
    "the map is unbounded": (at("/", "States", "Score", "MaxConcurrencyPath", drop=True), MAP, ()),
    "children end after five minutes": (
        at("/", "States", "Score", "ItemProcessor", "ProcessorConfig", "ExecutionType", to="EXPRESS"), MAP, ()),
    "half of all chunks may fail": (at("/", "States", "Score", "ToleratedFailurePercentage", to=50), MAP, ()),
    "throttled calls give up soon": (at("/", "States", "Finish", "Retry", 0, "MaxAttempts", to=6), STEPS, ("Finish",)),
    "a chunk's failure is caught by nobody": (
        at("/", "States", "Score", "ItemProcessor", "States", "ScoreChunk", "Catch", drop=True), STEPS, ("ScoreChunk",)),
    "a step gives up before its function": (
        at("/", "States", "Plan", "TimeoutSeconds", to=900), checks.test_step_waits_longer_than_its_function, ("Plan",)),
}  # fmt: skip


def run(check: Callable[..., None], arguments: tuple[Any, ...], template: Template) -> None:
    """Run a check with the arguments that it names."""
    stack = {"stack": translate(template)} if "stack" in inspect.signature(check).parameters else {}
    positional = [name for name in inspect.signature(check).parameters if name != "stack"]
    check(**dict(zip(positional, arguments, strict=True)), **stack)


def test_mutants_are_many_and_have_checks() -> None:
    assert len(MUTANTS) + len(STEP_MUTANTS) >= 70
    assert {check.__name__ for _, check, _ in (MUTANTS | STEP_MUTANTS).values()} <= set(vars(checks))


@pytest.mark.parametrize("name", MUTANTS)
def test_template_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, check, arguments = MUTANTS[name]
    run(check, arguments, source())
    mutant = source()
    change(mutant)
    assert mutant != source()
    monkeypatch.setattr(checks, "source", lambda: copy.deepcopy(mutant))
    with pytest.raises((AssertionError, KeyError, ValueError)):
        run(check, arguments, mutant)


@pytest.mark.parametrize("name", STEP_MUTANTS)
def test_state_machine_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, check, arguments = STEP_MUTANTS[name]
    run(check, arguments, source())
    mutant = copy.deepcopy(checks.DEFINITION)
    change(mutant)
    assert mutant != checks.DEFINITION
    monkeypatch.setattr(checks, "DEFINITION", mutant)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        run(check, arguments, source())
