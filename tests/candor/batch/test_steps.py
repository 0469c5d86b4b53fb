"""The batch functions under their state machine, on buckets in moto: each fault and its outcome, random schedules."""

import gzip
import json
import random
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError

from candor.batch import jobs
from candor.batch.manifests import finish, seal
from candor.batch.rows import FAULTS
from candor.batch.steps import Batch, requested
from candor.batch.verify import Input, Verdict, verify
from candor.cli.torture import schedules as torture
from candor.cli.torture.bucket import (
    INBOX,
    RESULTS,
    Killed,
    after,
    before,
    buckets,
    contents,
    created,
    lost,
    refused,
    torn,
)
from candor.cli.torture.schedules import SETTINGS, World, expected, manifests, parts, sample, trial
from candor.cli.torture.workflow import FailedError
from candor.errors import (
    ChangedError,
    CodeChangedError,
    ConflictError,
    DeniedError,
    EventError,
    InternalError,
    MissingError,
    UnavailableError,
)
from candor.model.bundle import Bundle, canonical
from candor.model.classifier import Classifier
from candor.operate.observe import observed
from candor.settings import Settings
from candor.storage import ATTEMPTS, S3, Folder, Source


@pytest.fixture
def real():
    with buckets() as client:
        yield client


@pytest.fixture
def world(real):
    return World(real)


@pytest.fixture(scope="module", autouse=True)
def references():
    """Compute the expected results before any test opens an account, because moto has one at a time."""
    for kind in torture.KINDS:
        expected(kind)


def done(world, event, name="execution-1"):
    execution = world.start(event, name)
    assert execution.status == "SUCCEEDED", (execution.error, execution.cause)
    return manifests(world.real)


def failed(world, event, error, name="execution-1"):
    execution = world.start(event, name)
    assert (execution.status, execution.error) == ("FAILED", error)
    assert "canary" not in execution.cause
    return [json.loads(body) for body in contents(world.real, "failed/").values()]


@pytest.mark.parametrize("kind", torture.KINDS)
def test_job_same_bytes_as_on_one_machine(kind, world, tmp_path):
    (manifest,) = done(world, world.put(f"in/file.{kind}", sample(kind)))
    (tmp_path / "in").mkdir()
    (tmp_path / f"in/file.{kind}").write_bytes(sample(kind))
    inbox, results, classifier = Folder(tmp_path), Folder(tmp_path / "out"), Classifier.load(SETTINGS.bundle)
    options, model = jobs.Options(rows=torture.ROWS), classifier.bundle.identity
    job, chunks = jobs.plan(inbox, inbox.source(f"in/file.{kind}"), model, options, "job/")
    for number, chunk in enumerate(chunks):
        jobs.score(job, number, chunk, inbox, results, classifier)
    alone = finish(job, chunks, results)
    assert {part.name: part.read_bytes() for part in (tmp_path / "out/job").glob("part-*")} == parts(world.real)
    assert (alone["parts"], alone["counts"]) == (manifest["parts"], manifest["counts"])
    assert len(manifest["parts"]) > 1 or kind.endswith(".gz")


def test_manifest_is_complete_and_verifies(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    (manifest,) = done(world, event)
    described = event["detail"]["object"]
    assert manifest["input"] | {"sha256": ""} == {
        "bucket": INBOX, "key": "in/file.jsonl", "version": described["version-id"], "etag": described["etag"],
        "bytes": len(sample("jsonl")), "sha256": "",
    }  # fmt: skip
    assert manifest["status"] == "done"
    assert manifest["model"] == Bundle.open(SETTINGS.bundle).identity
    assert manifest["settings"]["text_column"] == "text"
    assert manifest["times"]["started"] <= manifest["times"]["finished"]
    assert manifest["counts"]["read"] == manifest["counts"]["scored"] + manifest["counts"]["failed"] == 16
    assert manifest["counts"]["errors"] == {"blank": 2, "invalid_json": 1, "text_too_large": 1, "wrong_type": 1}
    inbox, results = S3(INBOX, world.client), S3(RESULTS, world.client)
    classifier, folder = Classifier.load(SETTINGS.bundle), f"results/{manifest['work']}/"
    there = Input(inbox, "in/file.jsonl", described["version-id"])
    whole = results.get(f"{folder}manifest.json")
    assert verify(whole, folder, results, there, classifier) == Verdict(remark="the times are sealed, not recomputed")
    manifest["counts"]["scored"] += 1
    forged = canonical(seal(manifest))
    assert "counts" in verify(forged, folder, results, there, classifier).problem
    assert verify(whole, folder, results, None, classifier).unchecked


def test_job_same_event_twice_runs_once(world):
    event = world.put("in/file.csv", sample("csv"))
    first, before_all = done(world, event), contents(world.real)
    assert done(world, event, "execution-2") == first
    assert contents(world.real) == before_all


def test_job_two_versions_are_two_jobs(world):
    """Each version is a job of its own, even if the events arrive in the wrong order."""
    old = world.put("in/file.txt", b"A wonderful film.\n")
    new = world.put("in/file.txt", b"A dull, boring mess.\nBad.\n")
    done(world, new)
    manifests_of_both = done(world, old, "execution-2")
    assert sorted(manifest["counts"]["read"] for manifest in manifests_of_both) == [1, 2]


@pytest.mark.parametrize("sequencer", [None, "0", "0" * 40])
def test_plan_ignores_sequencers(sequencer, world):
    event = world.put("in/file.txt", sample("txt"))
    event["detail"]["object"].pop("sequencer")
    if sequencer:
        event["detail"]["object"]["sequencer"] = sequencer
    assert done(world, event)[0]["status"] == "done"


NAMES = [
    "a b.txt",
    "a+b.txt",
    "a%20b.txt",
    "é.txt",
    "中文.txt",
    "🙂.txt",
    "'quo\"te'.txt",
    "back\\slash\t.txt",
    "n" * 1020 + ".txt",
    "../up.txt",
]


@pytest.mark.parametrize("key", NAMES)
def test_plan_key_is_never_decoded(key, world):
    """EventBridge delivers keys unencoded, so each is used as it is."""
    (manifest,) = done(world, world.put(key, b"A wonderful film.\n"))
    assert manifest["input"]["key"] == key
    assert list(contents(world.real, "results/")) == [
        f"results/{manifest['work']}/{name}" for name in ("manifest.json", "part-00000.jsonl")
    ]


def changed(path, value):
    event = created("in/file.txt", {"ETag": '"1"'})
    parent = event
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = value
    return event


FOREIGN = {
    "a test event of S3's own notifications": {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": INBOX},
    "a record of S3's own notifications": {"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": INBOX}}}]},
    "another source": changed(["source"], "aws.ec2"),
    "a deletion": changed(["detail-type"], "Object Deleted"),
    "tags": changed(["detail-type"], "Object Tags Added"),
    "no detail": changed(["detail"], None),
    "a list": changed(["detail"], []),
    "no bucket": changed(["detail", "bucket"], "inbox"),
    "no key": changed(["detail", "object"], {"size": 1}),
    "a number for a key": changed(["detail", "object", "key"], 7),
    "an empty key": changed(["detail", "object", "key"], ""),
    "a folder": changed(["detail", "object", "key"], "in/"),
    "a result": changed(["detail", "bucket", "name"], RESULTS),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_plan_foreign_event_writes_nothing(name, world):
    """An event that asks for no job is an EventError, and no object is written."""
    assert requested(created("in/file.txt", {"ETag": '"1"'}), RESULTS) == (INBOX, "in/file.txt", "")
    assert failed(world, FOREIGN[name], "EventError") == []
    assert contents(world.real) == {}, "an object in the bucket for results could start a job again"


def test_plan_non_object_event_is_refused(world):
    for event in ([], "x", None, 7):
        with pytest.raises(EventError):
            world.batch.plan(event)


def test_plan_missing_object_note_names_it(world):
    event = world.put("in/file.txt", sample("txt"))
    world.real.delete_object(Bucket=INBOX, Key="in/file.txt", VersionId=event["detail"]["object"]["version-id"])
    (note,) = failed(world, event, "MissingError")
    assert note["input"]["key"] == "in/file.txt"
    assert note["error"]["code"] == "MissingError"


REJECTED = {
    "not_gzip": ("a.txt.gz", b"text\n"),
    "damaged_gzip": ("a.txt.gz", gzip.compress(random.Random(1).randbytes(5000))[:-100]),
    "unexpected_gzip": ("a.csv", gzip.compress(b"text\nx\n")),
    "no_text_column": ("a.csv", b"id,ref\n1,x\n"),
    "unknown_format": ("a.pdf", b"x"),
    "unknown_encoding": ("a.txt", "x".encode("utf-32")),
}


@pytest.mark.parametrize("code", REJECTED)
def test_plan_unreadable_file_is_rejected_once(code, world):
    """A file that cannot be read has a manifest with the reason, and a second event changes nothing."""
    event = world.put(*REJECTED[code])
    (manifest,) = done(world, event)
    assert (manifest["status"], manifest["error"]) == ("rejected", {"code": code, "detail": FAULTS[code]})
    assert done(world, event, "execution-2") == [manifest]
    assert not parts(world.real)


@pytest.mark.parametrize(("name", "content"), [("a.txt", b""), ("a.csv", b"id,text\n"), ("a.jsonl", b"\n\n")])
def test_job_file_without_rows_is_done(name, content, world):
    (manifest,) = done(world, world.put(name, content))
    assert (manifest["status"], manifest["parts"], manifest["counts"]["read"]) == ("done", [], 0)


def test_plan_too_large_file_is_rejected(world, monkeypatch):
    monkeypatch.setattr("candor.batch.steps.MAX_INPUT_BYTES", 10)
    (manifest,) = done(world, world.put("in/file.txt", sample("txt")))
    assert manifest["error"]["code"] == "too_large"


def calls(kind="jsonl"):
    return expected(kind)[1]


TRANSIENT = {
    "503": lambda: before(refused(503, "SlowDown")),
    "500": lambda: before(refused(500, "InternalError")),
    "409": lambda: before(refused(409, "ConditionalRequestConflict")),
    "unreachable": lambda: before(EndpointConnectionError(endpoint_url="canary-4711")),
    "torn": lambda: torn,
    "answer lost": lost,
    "killed before": lambda: before(Killed()),
    "killed after": lambda: after(Killed()),
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_job_transient_s3_error_same_bytes(name):
    """Two transient failures in a row, at any call to S3, do not change the results."""
    for number in range(calls()):
        with buckets() as real:
            world = World(real)
            world.client.faults = {number: TRANSIENT[name](), number + 1: TRANSIENT[name]()}
            (manifest,) = done(world, world.put("in/file.jsonl", sample("jsonl")))
            assert manifest["counts"]["read"] == 16
            assert parts(real) == expected("jsonl")[0], number
            assert not world.client.faults or number + 1 >= world.client.count


PERMANENT = {
    "503 for ever": (lambda: before(refused(503, "SlowDown")), {"UnavailableError"}),
    "access denied": (lambda: before(refused(403, "AccessDenied")), {"DeniedError"}),
    "key disabled": (lambda: before(refused(400, "KMS.DisabledException")), {"DeniedError"}),
}


@pytest.mark.parametrize("name", PERMANENT)
def test_job_permanent_s3_error_resumes(name):
    """A permanent failure at any call ends without a manifest; a new start keeps the finished parts."""
    for number in range(calls()):
        with buckets() as real:
            world = World(real)
            event = world.put("in/file.jsonl", sample("jsonl"))
            world.client.always = (number, PERMANENT[name][0]())
            execution = world.start(event)
            assert execution.status == "FAILED"
            assert execution.error in PERMANENT[name][1] | {"States.ExceedToleratedFailureThreshold"}
            assert len(world.slept) <= 200, "the retries never end"
            assert manifests(real) == []
            kept = parts(real)
            world.heal()
            start = world.client.count
            assert done(world, event, "execution-2")
            assert kept.items() <= parts(real).items()
            assert parts(real) == expected("jsonl")[0]
            assert world.client.count - start <= calls() + 2


def test_failure_note_names_operation_and_action(world):
    """The note has the failed operation, the bucket, the missing IAM action and the remedy."""
    event = world.put("in/file.jsonl", sample("jsonl"))
    world.client.faults = {3: before(refused(403, "AccessDenied"))}
    (note,) = failed(world, event, "DeniedError")
    assert note["status"] == "failed"
    assert note["error"] == {
        "code": "DeniedError",
        "detail": "S3 PutObject denied on bucket candor-results; the role needs s3:PutObject (AccessDenied)",
    }
    assert "same input" in note["remedy"]
    assert manifests(world.real) == []


def test_job_unversioned_overwrite_is_noticed():
    """An object that is replaced between any two calls never gives results of two inputs."""
    for number in range(calls()):
        with buckets(versioned=False) as real:
            world = World(real)
            event = world.put("in/file.jsonl", sample("jsonl"))
            world.client.before_call = {
                number: lambda: real.put_object(Bucket=INBOX, Key="in/file.jsonl", Body=b"{}\n")
            }
            execution = world.start(event)
            if execution.status == "FAILED":
                assert execution.error in ("ChangedError", "States.ExceedToleratedFailureThreshold")
                assert manifests(real) == []
            else:
                assert parts(real) == expected("jsonl")[0] or manifests(real)[0]["input"]["bytes"] == 3


def test_job_versioned_overwrite_is_harmless(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    world.put("in/file.jsonl", b"{}\n")
    done(world, event)
    assert parts(world.real) == expected("jsonl")[0]


def test_score_out_of_time_is_retried(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    world.out_of_time = {1, 2}
    done(world, event)
    assert world.ticks > 3
    assert parts(world.real) == expected("jsonl")[0]


def test_plan_out_of_time_names_the_remedy(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    world.out_of_time = set(range(100))
    (note,) = failed(world, event, "OutOfTimeError")
    assert "split it" in note["error"]["detail"]


def test_score_different_model_is_refused(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    planned = world.batch.plan(event)
    chunk = json.loads(contents(world.real, "plans/").popitem()[1])[0]
    assert world.batch.score({"job": planned["job"], "chunk": chunk}) == {}
    planned["job"]["model"]["sha256"] = "0" * 64
    execution = world.workflow()
    execution.tasks = {**execution.tasks, "PlanFunction": lambda _: planned}
    failure = execution.start(event)
    assert (failure.status, failure.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")


def test_warm_container_keeps_no_state_of_jobs(world):
    for number, kind in enumerate(("jsonl", "csv", "jsonl.gz")):
        done(world, world.put(f"in/file.{kind}", sample(kind)), f"execution-{number}")
    by_key = {manifest["input"]["key"]: manifest for manifest in manifests(world.real)}
    for kind in ("jsonl", "csv", "jsonl.gz"):
        written = contents(world.real, f"results/{by_key[f'in/file.{kind}']['work']}/part-")
        assert [*written.values()] == [*expected(kind)[0].values()]


def test_finish_missing_part_writes_no_manifest(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    planned = world.batch.plan(event)
    chunks = json.loads(contents(world.real, "plans/").popitem()[1])
    for chunk in chunks[1:]:
        world.batch.score({"job": planned["job"], "chunk": chunk})
    execution = world.workflow()
    execution.tasks = {**execution.tasks, "ScoreFunction": lambda _: {}}
    assert execution.start(event).error == "MissingError"
    assert manifests(world.real) == []
    assert done(world, event, "execution-2")


@pytest.mark.parametrize("metadata", [{}, {"sha256": "0" * 64}, None], ids=["none", "another", "its own"])
def test_finish_changed_part_is_not_sealed(metadata, world):
    """A part that was overwritten after it was scored, whatever digest stands by it; put back, the job ends."""
    event = world.put("in/file.jsonl", sample("jsonl"))
    planned = world.batch.plan(event)
    for chunk in json.loads(contents(world.real, "plans/").popitem()[1]):
        world.batch.score({"job": planned["job"], "chunk": chunk})
    name, part = sorted(contents(world.real, planned["job"]["folder"]).items())[0]
    kept = world.real.head_object(Bucket=RESULTS, Key=name)["Metadata"]
    changed = part if metadata == {} else part.replace(b"positive", b"negative", 1)
    world.real.put_object(Bucket=RESULTS, Key=name, Body=changed, Metadata=kept if metadata is None else metadata)
    with pytest.raises(ConflictError, match="was changed after it was written"):
        world.batch.finish(planned)
    assert manifests(world.real) == []
    world.real.put_object(Bucket=RESULTS, Key=name, Body=part, Metadata=kept)
    assert world.batch.finish(planned)["status"] == "done"


def test_plan_changed_manifest_is_not_believed(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    (manifest,) = done(world, event)
    key, whole = f"results/{manifest['work']}/manifest.json", canonical(manifest)
    world.real.put_object(Bucket=RESULTS, Key=key, Body=whole.replace(b'"read": 16', b'"read": 17'))
    with pytest.raises(ConflictError, match="was changed after it was written"):
        world.batch.plan(event)
    world.real.put_object(Bucket=RESULTS, Key=key, Body=whole)
    assert world.batch.plan(event) == {"status": "done", "work": manifest["work"]}


def test_job_within_an_upgrade_mixes_nothing(world, monkeypatch):
    """Planned by one version and scored by the next, it fails; started again it is a new job of the new code alone."""
    event = world.put("in/file.jsonl", sample("jsonl"))
    workflow = world.workflow()
    plan = workflow.tasks["PlanFunction"]
    with monkeypatch.context() as old:
        old.setattr("candor.batch.code.digest", lambda: "0" * 64)
        planned = plan(event)
    workflow.tasks = {**workflow.tasks, "PlanFunction": lambda _: planned}
    chunk = json.loads(contents(world.real, "plans/").popitem()[1])[0]
    with pytest.raises(CodeChangedError):
        world.batch.score({"job": planned["job"], "chunk": chunk})
    assert workflow.start(event).status == "FAILED"
    assert parts(world.real) == {}
    (manifest,) = done(world, event, "execution-2")
    assert manifest["work"] != planned["work"]
    assert parts(world.real) == expected("jsonl")[0]


@pytest.mark.parametrize("lines", [slice(1, None), slice(None)], ids=["one row fewer", "all"])
def test_finish_fewer_rows_than_planned_is_refused(lines, world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    planned = world.batch.plan(event)
    for chunk in json.loads(contents(world.real, "plans/").popitem()[1]):
        world.batch.score({"job": planned["job"], "chunk": chunk})
    name, part = sorted(contents(world.real, planned["job"]["folder"]).items())[0]
    world.real.delete_object(Bucket=RESULTS, Key=name)
    S3(RESULTS, world.real).create(name, b"".join(part.splitlines(keepends=True)[lines]))
    if lines == slice(None):
        assert world.batch.finish(planned)["status"] == "done"
    else:
        with pytest.raises(ConflictError):
            world.batch.finish(planned)
        assert manifests(world.real) == []


def test_settings_say_how_a_file_is_read(real):
    """A file that says neither its encoding nor its columns is read as the stack's parameters say."""
    environ = {"DELIMITER": ";", "ENCODING": "cp1252", "HEADER": "false", "TEXT_COLUMN": "2", "ID_COLUMN": "1"}
    said = Settings.from_environ(environ)
    names = ("delimiter", "encoding", "header", "text_column", "id_column")
    for settings, scored in ((SETTINGS, 0), (replace(SETTINGS, **{name: getattr(said, name) for name in names}), 2)):
        world = World(real)
        world.batch = Batch(settings, lambda name, world=world: S3(name, world.client))
        planned = world.batch.plan(world.put(f"in/{scored}.csv", "a;Un café, triste\nb;Très bon\n".encode("cp1252")))
        assert (planned["status"] == "planned") == bool(scored)
    for chunk in json.loads(contents(real, "plans/").popitem()[1]):
        world.batch.score({"job": planned["job"], "chunk": chunk})
    lines = [json.loads(line) for body in parts(real).values() for line in body.splitlines()]
    assert [(line["id"], "label" in line) for line in lines] == [("a", True), ("b", True)]


def test_settings_add_attributions_and_threshold(real):
    world = World(real)
    settings = replace(SETTINGS, explain=True, min_confidence=1.0)
    world.batch = Batch(settings, lambda name: S3(name, world.client))
    done(world, world.put("in/file.txt", b"A wonderful film.\n"))
    (line,) = [json.loads(body) for body in parts(real).values()]
    assert line["decision"] == "uncertain"
    assert len(line["attributions"]) == 4  # three words and a full stop
    (manifest,) = manifests(real)
    assert manifest["settings"] == jobs.Options(explain=True, min_confidence=1.0, rows=torture.ROWS).to_dict()


def test_redrive_of_caught_failure_fails(world):
    """A failure that the state machine caught is final; a new start continues the job."""
    event = world.put("in/file.jsonl", sample("jsonl"))
    workflow = world.workflow()
    world.client.always = (calls() - 10, before(refused(403, "AccessDenied")))
    execution = workflow.start(event)
    assert execution.status == "FAILED"
    assert execution.path[-1] == "Failed", "a failure that was caught is over; a new start is the way to go on"
    world.heal()
    assert workflow.redrive(execution).status == "FAILED"
    assert done(world, event, "execution-2")


def test_first_failed_chunk_ends_the_job(world):
    """No further chunk is begun, since the job cannot be done; the parts that are there stay."""
    event = world.put("in/file.jsonl", sample("jsonl"))
    workflow, score, tried = world.workflow(), world.task("score"), []

    def second_fails(given):
        tried.append(given["chunk"]["number"])
        if len(tried) == 2:
            raise FailedError("ConflictError")
        return score(given)

    workflow.tasks = {**workflow.tasks, "ScoreFunction": second_fails}
    assert workflow.start(event).error == "States.ExceedToleratedFailureThreshold"
    assert len(tried) == 2 < len(expected("jsonl")[0])
    assert len(parts(world.real)) == 1
    assert done(world, event, "execution-2")


def test_plan_too_many_parts_names_the_parameter(world, monkeypatch):
    event = world.put("in/file.jsonl", sample("jsonl"))
    monkeypatch.setattr("candor.batch.steps.MAX_PARTS", 2)
    (note,) = failed(world, event, "JobError")
    assert "3 parts; at most 2" in note["error"]["detail"]
    assert "BatchChunkRows" in note["error"]["detail"]
    monkeypatch.setattr("candor.batch.steps.MAX_PARTS", 3)
    assert done(world, event, "execution-2")


def test_observed_hides_unexpected_messages(capsys):
    context = SimpleNamespace(aws_request_id="1")

    def finish(event, context):
        if event:
            raise ValueError("canary-4711")
        return {"status": "done", "counts": {"scored": 3, "failed": 1, "labels": {}}}

    assert observed(finish)({}, context)["status"] == "done"
    with pytest.raises(InternalError) as raised:
        observed(finish)({"canary-4711": 1}, context)
    assert str(raised.value).startswith("ValueError in test_steps.py:")
    assert raised.value.__suppress_context__
    assert "canary" not in "".join(capsys.readouterr())


def test_finish_of_changed_part_measures_integrity(world, monkeypatch, capsys):
    """IntegrityAlarm watches the metric; a job that ends well measures none."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Candor")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "candor")
    finish, context = observed(lambda event, context: world.batch.finish(event)), SimpleNamespace(aws_request_id="1")
    planned = world.batch.plan(world.put("in/file.jsonl", sample("jsonl")))
    for chunk in json.loads(contents(world.real, "plans/").popitem()[1]):
        world.batch.score({"job": planned["job"], "chunk": chunk})
    name, part = sorted(contents(world.real, planned["job"]["folder"]).items())[0]
    for content, failures in ((b"".join(part.splitlines(keepends=True)[1:]), 1), (part, 0)):
        metadata = world.real.head_object(Bucket=RESULTS, Key=name)["Metadata"]
        world.real.put_object(Bucket=RESULTS, Key=name, Body=content, Metadata=metadata)
        with suppress(ConflictError):
            finish(planned, context)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
        for metric in ("IntegrityFailures", "Errors"):
            assert sum(line.get(metric, [0])[0] for line in lines) == failures


def test_log_has_no_text_and_no_s3_message(capfd):
    with buckets() as real:
        world = World(real)
        world.client.faults = {2: before(refused(503, "SlowDown")), 5: before(refused(403, "AccessDenied"))}
        event = world.put("in/file.txt", b"canary-4711 film\n")
        world.start(event)
        world.heal()
        done(world, event, "execution-2")
        assert "canary" not in "".join(capfd.readouterr())
        assert "canary" not in str(contents(real))
        assert "canary" in str(contents(real, bucket=INBOX))


def test_s3_create_lost_answer_is_no_conflict(world):
    store = S3(RESULTS, world.client, world.slept.append)
    world.client.faults = {0: lost()}
    assert store.create("a", b"one") is False
    assert store.get("a") == b"one"
    assert store.create("b", b"one") is True
    assert len(world.slept) == 1


def test_s3_retries_are_limited(world):
    world.client.always = (0, before(refused(503, "SlowDown")))
    with pytest.raises(Exception, match=f"{ATTEMPTS} attempts"):
        S3(RESULTS, world.client, world.slept.append).get("a")
    assert len(world.slept) == ATTEMPTS - 1


READ, WRITE = (lambda store: store.get("a")), (lambda store: store.create("a", b""))
OLD_VERSION = Source(INBOX, "a", "v1", "e", 1)
REFUSED = {
    "read denied": (
        403, "AccessDenied", READ, DeniedError,
        "S3 GetObject denied on bucket candor-inbox; the role needs s3:GetObject (AccessDenied)",
    ),
    "version denied": (
        403, "AccessDenied", lambda store: [*store.blocks(OLD_VERSION)], DeniedError,
        "S3 GetObject denied on bucket candor-inbox; the role needs s3:GetObjectVersion (AccessDenied)",
    ),
    "head denied": (
        403, "403", lambda store: store.source("a"), DeniedError,
        "S3 HeadObject denied on bucket candor-inbox; the role needs s3:GetObject (403)",
    ),
    "write denied": (
        403, "AccessDenied", WRITE, DeniedError,
        "S3 PutObject denied on bucket candor-inbox; the role needs s3:PutObject (AccessDenied)",
    ),
    "key disabled for a read": (
        400, "KMS.DisabledException", READ, DeniedError,
        "S3 GetObject failed on bucket candor-inbox (KMS.DisabledException); "
        "the bucket's key must be enabled, and the role needs kms:Decrypt",
    ),
    "key disabled for a write": (
        400, "KMS.DisabledException", WRITE, DeniedError,
        "S3 PutObject failed on bucket candor-inbox (KMS.DisabledException); "
        "the bucket's key must be enabled, and the role needs kms:GenerateDataKey",
    ),
    "invalid request": (
        400, "InvalidRequest", READ, DeniedError, "S3 GetObject refused on bucket candor-inbox (InvalidRequest)",
    ),
    "missing": (
        404, "NoSuchKey", READ, MissingError, "S3 GetObject: no such object in bucket candor-inbox (NoSuchKey)",
    ),
    "replaced": (
        412, "PreconditionFailed", READ, ChangedError,
        "S3 GetObject: the object in bucket candor-inbox was replaced (PreconditionFailed); "
        "start a new job for the new object",
    ),
    "unavailable": (
        503, "SlowDown", READ, UnavailableError,
        "S3 GetObject failed on bucket candor-inbox in 5 attempts, the last with SlowDown; try again later",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_s3_error_names_operation_bucket_and_remedy(name, world):
    status, code, call, error, message = REFUSED[name]
    world.client.always = (0, before(refused(status, code)))
    with pytest.raises(error) as raised:
        call(S3(INBOX, world.client, world.slept.append))
    assert str(raised.value) == message


@pytest.mark.parametrize("seed", range(100))
def test_random_schedule_breaks_nothing(seed):
    assert trial(seed) == ""


def test_random_schedules_notice_lost_scores(monkeypatch):
    """The positive control: a score step that writes nothing is noticed."""
    monkeypatch.setattr("candor.batch.steps.Batch.score", lambda self, event, remaining: {})
    assert any(trial(seed) for seed in range(5))
