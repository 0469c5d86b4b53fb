"""Single faults of template.yaml, each of which a named check of ours notices; linters pass half of such faults."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tests import test_template as checks
from tests.test_template import Template, source, translate

Change = Callable[[Any], None]


def at(*path: Any, to: Any = None, drop: bool = False) -> Change:
    """Sets, or takes away, what stands at a path below Resources (or from the top, where the path starts with "/")."""

    def change(template: Template) -> None:
        *inner, last = path[1:] if path[0] == "/" else ("Resources", *path)
        place: Any = template
        for step in inner:
            place = place[step]
        if drop:
            assert last in place or isinstance(last, int), f"{path} is not there, so this mutant changes nothing"
            del place[last]
        else:
            place[last] = to

    return change


def properties(name: str, *path: Any, **how: Any) -> Change:
    return at(name, "Properties", *path, **how)


def statement(role: str, policy: int, place: int, **how: Any) -> Change:
    return properties(role, "Policies", policy, "PolicyDocument", "Statement", place, **how)


def action(role: str, policy: int, place: int, to: Any) -> Change:
    return properties(role, "Policies", policy, "PolicyDocument", "Statement", place, "Action", to=to)


def resource(role: str, policy: int, place: int, to: Any) -> Change:
    return properties(role, "Policies", policy, "PolicyDocument", "Statement", place, "Resource", to=to)


def event(name: str, key: str, to: Any) -> Change:
    return properties("ApiFunction", "Events", name, "Properties", key, to=to)


def no_keys(template: Template) -> None:
    """SAM refuses a template that only has one without the other."""
    del template["Resources"]["Api"]["Properties"]["Auth"]
    for made in template["Resources"]["ApiFunction"]["Properties"]["Events"].values():
        made["Properties"].pop("Auth", None)


LEAST = checks.test_a_role_may_do_what_its_function_does_and_nothing_else
KEYED = checks.test_a_key_is_required_under_v1_but_for_preflight_and_nowhere_else
PLANS = checks.test_each_plan_has_throttle_quota_a_key_and_this_stage
TLS = checks.test_buckets_and_queues_are_reached_by_tls_alone
BUCKETS = checks.test_buckets_are_private_encrypted_versioned_and_forget
ONE_KEY = checks.test_one_key_that_rotates_encrypts_logs_and_environments_and_no_stranger_may_use_it
LOGS = checks.test_functions_log_where_lines_expire_and_record_no_answers
RECORDS = checks.test_the_api_answers_no_foreign_page_and_records_no_body
ROLLOUT = checks.test_a_new_version_is_checked_gets_a_tenth_of_the_traffic_and_is_taken_back_by_alarms
ALARMS = checks.test_each_alarm_watches_what_is_measured_and_tells_the_topic
RULE = checks.test_an_event_that_cannot_start_a_job_is_tried_again_and_then_kept
LOOP = checks.test_only_the_inbox_starts_jobs_and_results_lie_elsewhere
STEPS = checks.test_every_step_is_retried_with_jitter_for_what_passes_and_caught_for_what_does_not
MAP = checks.test_the_map_is_distributed_bounded_and_tolerates_a_little
TRUST = checks.test_each_role_is_trusted_to_one_service_and_there_is_no_other
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
ENVIRONMENT = ("/", "Globals", "Function", "Environment", "Variables")

MUTANTS: dict[str, tuple[Change, Callable[..., None], tuple[Any, ...]]] = {
    "keys are not required": (no_keys, KEYED, ()),
    "one route needs no key": (event("Predict", "Auth", {"ApiKeyRequired": False}), KEYED, ()),
    "the page needs a key": (event("Page", "Auth", {"ApiKeyRequired": True}), KEYED, ()),
    "a route is gone": (properties("ApiFunction", "Events", "Redact", drop=True),
                        checks.test_the_api_has_the_handlers_routes_and_no_other, ()),
    "a plan has no throttle": (properties("FreePlan", "Throttle", drop=True), PLANS, ()),
    "a plan has no quota": (properties("ProPlan", "Quota", drop=True), PLANS, ()),
    "a plan has no key": (at("FreePlanKey", drop=True), PLANS, ()),
    "the stage has no throttle": (properties("Api", "MethodSettings", 0, "ThrottlingRateLimit", drop=True), RECORDS, ()),
    "bodies are traced": (properties("Api", "MethodSettings", 0, "DataTraceEnabled", to=True), RECORDS, ()),
    "any origin may call": (properties("Api", "Cors", to="'*'"), RECORDS, ()),
    "the access log holds addresses": (
        properties("Api", "AccessLogSetting", "Format", to='{"ip":"$context.identity.sourceIp"}'),
        checks.test_the_access_log_holds_no_body_query_or_address, ()),
    "429 has no Retry-After": (
        properties("Api", "GatewayResponses", "THROTTLED", "ResponseParameters", "Headers", "Retry-After", drop=True),
        checks.test_the_gateways_own_answers_are_problems_of_our_list, ()),
    "events are logged": (at(*ENVIRONMENT, "POWERTOOLS_LOGGER_LOG_EVENT", to="true"), LOGS, ()),
    "no traces": (at("/", "Globals", "Function", "Tracing", drop=True), LOGS, ()),
    "logs are kept for ever": (properties("ApiLogs", "RetentionInDays", drop=True), LOGS, ()),
    "a function logs to a group of Lambda's making": (properties("BatchScoreFunction", "LoggingConfig", drop=True), LOGS, ()),
    "the bundle is not pinned": (at(*ENVIRONMENT, "BUNDLE_DIGEST", to=""),
                                 checks.test_the_pinned_bundle_digest_is_that_of_the_committed_bundle, ()),
    "a new model misses the alias": (
        properties("ApiFunction", "AutoPublishAliasAllProperties", drop=True),
        checks.test_a_change_of_one_layer_alone_reaches_the_alias, ("ModelLayer", "ApiFunction")),
    "no alias": (properties("BatchPlanFunction", "AutoPublishAlias", drop=True),
                 checks.test_the_alias_is_live_and_points_to_a_version, ("BatchPlanFunction",)),
    "AdministratorAccess": (properties("ApiRole", "ManagedPolicyArns", to=[ADMIN]), LEAST, ("ApiRole",)),
    "AdministratorAccess for the gateway": (
        properties("GatewayRole", "ManagedPolicyArns", to=[ADMIN]),
        checks.test_the_gateways_role_writes_logs_of_this_account_and_nothing_else, ()),
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
        checks.test_every_action_that_is_granted_is_one_that_something_needs, ()),
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
    "alarms are not encrypted": (properties("AlarmTopic", "KmsMasterKeyId", drop=True), ONE_KEY, ()),
    "the secret is shown": (at("/", "Parameters", "RedactionKey", "NoEcho", to=False), checks.test_secrets_are_not_shown, ()),
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
    "events are not tried again": (properties("InboxRule", "Targets", 0, "RetryPolicy", drop=True), RULE, ()),
    "events have no dead-letter queue": (properties("InboxRule", "Targets", 0, "DeadLetterConfig", drop=True), RULE, ()),
    "anybody's rule may fill the queue": (
        properties("InboxDeadLettersPolicy", "PolicyDocument", "Statement", 0, "Condition", to={}), RULE, ()),
    "dead letters are not encrypted": (properties("InboxDeadLetters", "KmsMasterKeyId", drop=True), RULE, ()),
    "the state machine runs unpublished functions": (
        properties("BatchStateMachine", "DefinitionSubstitutions", "ScoreFunction", to={"Fn::GetAtt": ["BatchScoreFunction", "Arn"]}),
        checks.test_the_state_machine_runs_the_live_functions_by_its_own_name, ()),
    "all traffic at once": (properties("ApiFunction", "DeploymentPreference", "Type", to="AllAtOnce"), ROLLOUT, ()),
    "no canary": (properties("ApiFunction", "DeploymentPreference", drop=True), ROLLOUT, ()),
    "no alarm takes a roll-out back": (properties("ApiFunction", "DeploymentPreference", "Alarms", drop=True), ROLLOUT, ()),
    "one alarm is unhooked": (properties("ApiFunction", "DeploymentPreference", "Alarms", 3, drop=True), ROLLOUT, ()),
    "no check before traffic": (properties("ApiFunction", "DeploymentPreference", "Hooks", drop=True), ROLLOUT, ()),
    "the hook asks the old version": (
        properties("PreTrafficFunction", "Environment", "Variables", "NEW_VERSION", to={"Ref": "ApiFunction"}), ROLLOUT, ()),
    "no SnapStart": (properties("ApiFunction", "SnapStart", drop=True), ROLLOUT, ()),
    "an alarm tells nobody": (properties("SlowAlarm", "AlarmActions", drop=True), ALARMS, ()),
    "an alarm watches what is not measured": (properties("IntegrityAlarm", "MetricName", to="Integrity"), ALARMS, ()),
    "an alarm is out of reach": (properties("DriftAlarm", "Threshold", to=25), ALARMS, ()),
    "an alarm rings when nobody calls": (properties("DriftAlarm", "TreatMissingData", to="breaching"), ALARMS, ()),
    "anybody may raise alarms": (
        properties("AlarmTopicPolicy", "PolicyDocument", "Statement", 0, "Condition", drop=True),
        checks.test_alarms_are_sent_to_the_address_that_was_given_and_told_by_nobody_else, ()),
    "a batch can take all executions": (
        properties("BatchScoreFunction", "ReservedConcurrentExecutions", drop=True),
        checks.test_executions_can_be_reserved_for_the_api_and_kept_from_batches, ()),
    "layers are for another processor": (
        properties("RuntimeLayer", "CompatibleArchitectures", to=["arm64"]),
        checks.test_each_function_is_as_the_layers_were_built_for, ()),
    "a parameter without a default": (
        at("/", "Parameters", "AlarmEmail", "Default", drop=True),
        checks.test_every_parameter_explains_itself_and_has_a_default, ()),
}  # fmt: skip

# Of functions/batch.asl.json, whose top is `States`.
STEP_MUTANTS: dict[str, tuple[Change, Callable[..., None], tuple[Any, ...]]] = {
    "a step is not tried again": (at("/", "States", "Plan", "Retry", drop=True), STEPS, ("Plan",)),
    "all tries come at once": (
        at("/", "States", "Finish", "Retry", 0, "JitterStrategy", to="NONE"), STEPS, ("Finish",)),
    "a failure is caught by nobody": (at("/", "States", "Plan", "Catch", drop=True), STEPS, ("Plan",)),
    "what cannot pass is tried for ever": (
        at("/", "States", "Plan", "Retry", 0, "ErrorEquals", to=["States.ALL"]), STEPS, ("Plan",)),
    "the map is inline": (
        at("/", "States", "Score", "ItemProcessor", "ProcessorConfig", "Mode", to="INLINE"), MAP, ()),
    "the map is unbounded": (at("/", "States", "Score", "MaxConcurrency", to=0), MAP, ()),
    "half of all chunks may fail": (at("/", "States", "Score", "ToleratedFailurePercentage", to=50), MAP, ()),
}  # fmt: skip


def run(check: Callable[..., None], arguments: tuple[Any, ...], template: Template) -> None:
    """A check, with what it asks for by name."""
    stack = {"stack": translate(template)} if "stack" in inspect.signature(check).parameters else {}
    positional = [name for name in inspect.signature(check).parameters if name != "stack"]
    check(**dict(zip(positional, arguments, strict=True)), **stack)


def test_there_are_enough_mutants_and_each_has_its_check() -> None:
    assert len(MUTANTS) + len(STEP_MUTANTS) >= 70
    assert {check.__name__ for _, check, _ in (MUTANTS | STEP_MUTANTS).values()} <= set(vars(checks))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_fault_of_the_template_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, check, arguments = MUTANTS[name]
    run(check, arguments, source())
    mutant = source()
    change(mutant)
    assert mutant != source()
    monkeypatch.setattr(checks, "source", lambda: copy.deepcopy(mutant))
    with pytest.raises((AssertionError, KeyError, ValueError)):
        run(check, arguments, mutant)


@pytest.mark.parametrize("name", STEP_MUTANTS)
def test_a_fault_of_the_state_machine_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, check, arguments = STEP_MUTANTS[name]
    run(check, arguments, source())
    mutant = copy.deepcopy(checks.DEFINITION)
    change(mutant)
    assert mutant != checks.DEFINITION
    monkeypatch.setattr(checks, "DEFINITION", mutant)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        run(check, arguments, source())
