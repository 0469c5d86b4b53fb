"""The batch functions under their own workflow, on buckets in moto: each fault with its end, and random schedules."""

import gzip
import json
import random
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError

from candor import jobs
from candor.batch import Batch, requested
from candor.bundle import Bundle
from candor.classifier import Classifier
from candor.errors import ConflictError, EventError, InternalError
from candor.observe import observed
from candor.rows import FAULTS
from candor.storage import ATTEMPTS, S3, Folder
from tests import torture
from tests.bucket import INBOX, RESULTS, Killed, after, before, buckets, contents, created, lost, refused, torn
from tests.torture import SETTINGS, World, expected, parts, receipts, sample, trial


@pytest.fixture
def real():
    with buckets() as client:
        yield client


@pytest.fixture
def world(real):
    return World(real)


@pytest.fixture(scope="module", autouse=True)
def references():
    """Made before any test's account, because there is one at a time."""
    for kind in torture.KINDS:
        expected(kind)


def done(world, event, name="execution-1"):
    execution = world.start(event, name)
    assert execution.status == "SUCCEEDED", (execution.error, execution.cause)
    return receipts(world.real)


def failed(world, event, error, name="execution-1"):
    execution = world.start(event, name)
    assert (execution.status, execution.error) == ("FAILED", error)
    assert "canary" not in execution.cause
    return [json.loads(body) for body in contents(world.real, "failed/").values()]


@pytest.mark.parametrize("kind", torture.KINDS)
def test_results_are_those_of_one_machine_to_the_byte(kind, world, tmp_path):
    (receipt,) = done(world, world.put(f"in/file.{kind}", sample(kind)))
    (tmp_path / "in").mkdir()
    (tmp_path / f"in/file.{kind}").write_bytes(sample(kind))
    inbox, results, classifier = Folder(tmp_path), Folder(tmp_path / "out"), Classifier.load(SETTINGS.bundle)
    options, model = jobs.Options(rows=torture.ROWS), jobs.identity(classifier.bundle)
    job, chunks = jobs.plan(inbox, inbox.source(f"in/file.{kind}"), model, options, "job/")
    for number, chunk in enumerate(chunks):
        jobs.score(job, number, chunk, inbox, results, classifier)
    alone = jobs.finish(job, chunks, results)
    assert {part.name: part.read_bytes() for part in (tmp_path / "out/job").glob("part-*")} == parts(world.real)
    assert (alone["parts"], alone["counts"]) == (receipt["parts"], receipt["counts"])
    assert len(receipt["parts"]) > 1 or kind.endswith(".gz")


def test_the_receipt_says_all_of_what_was_done_and_verifies(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    (receipt,) = done(world, event)
    thing = event["detail"]["object"]
    assert receipt["input"] | {"sha256": ""} == {
        "bucket": INBOX, "key": "in/file.jsonl", "version": thing["version-id"], "etag": thing["etag"],
        "bytes": len(sample("jsonl")), "sha256": "",
    }  # fmt: skip
    assert receipt["status"] == "done"
    assert receipt["model"] == jobs.identity(Bundle.open(SETTINGS.bundle))
    assert receipt["settings"]["text_column"] == "text"
    assert receipt["times"]["started"] <= receipt["times"]["finished"]
    assert receipt["counts"]["read"] == receipt["counts"]["scored"] + receipt["counts"]["failed"] == 16
    assert receipt["counts"]["errors"] == {"blank": 2, "invalid_json": 1, "text_too_large": 1, "wrong_type": 1}
    inbox, results = S3(INBOX, world.client), S3(RESULTS, world.client)
    classifier, folder = Classifier.load(SETTINGS.bundle), f"results/{receipt['work']}/"
    assert jobs.verify(receipt, folder, results, inbox, classifier) == ""
    receipt["counts"]["scored"] += 1
    assert "counts" in jobs.verify(receipt, folder, results, inbox, classifier)


def test_the_same_event_twice_is_one_job(world):
    event = world.put("in/file.csv", sample("csv"))
    first, before_all = done(world, event), contents(world.real)
    assert done(world, event, "execution-2") == first
    assert contents(world.real) == before_all


def test_two_versions_in_either_order_are_two_jobs(world):
    old = world.put("in/file.txt", b"A wonderful film.\n")
    new = world.put("in/file.txt", b"A dull, boring mess.\nBad.\n")
    done(world, new)
    found = done(world, old, "execution-2")
    assert sorted(receipt["counts"]["read"] for receipt in found) == [1, 2]


@pytest.mark.parametrize("sequencer", [None, "0", "0" * 40])
def test_sequencers_do_not_matter(sequencer, world):
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
    "n" * 1020 + ".txt",
    "../up.txt",
]


@pytest.mark.parametrize("key", NAMES)
def test_any_key_is_read_as_it_is_and_never_decoded(key, world):
    (receipt,) = done(world, world.put(key, b"A wonderful film.\n"))
    assert receipt["input"]["key"] == key
    assert list(contents(world.real, "results/")) == [
        f"results/{receipt['work']}/{name}" for name in ("manifest.json", "part-00000.jsonl")
    ]


def changed(path, value):
    event = created("in/file.txt", {"ETag": '"1"'})
    inner = event
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
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
def test_an_event_that_asks_for_no_job_starts_none_and_leaves_nothing_behind(name, world):
    assert requested(created("in/file.txt", {"ETag": '"1"'}), RESULTS) == (INBOX, "in/file.txt", "")
    assert failed(world, FOREIGN[name], "EventError") == []
    assert contents(world.real) == {}, "what is written here could start this again"


def test_an_event_that_is_no_object_is_refused(world):
    for event in ([], "x", None, 7):
        with pytest.raises(EventError):
            world.batch.plan(event)


def test_an_object_that_is_gone_is_a_failure_with_its_name(world):
    event = world.put("in/file.txt", sample("txt"))
    world.real.delete_object(Bucket=INBOX, Key="in/file.txt", VersionId=event["detail"]["object"]["version-id"])
    (note,) = failed(world, event, "MissingError")
    assert note["input"]["key"] == "in/file.txt"
    assert note["error"]["code"] == "MissingError"


REJECTED = {
    "not_gzip": ("a.txt.gz", b"text\n"),
    "damaged_gzip": ("a.txt.gz", gzip.compress(random.Random(1).randbytes(5000))[:-100]),
    "unexpected_gzip": ("a.csv", gzip.compress(b"text\nx\n")),
    "no_text_column": ("a.csv", b"id,body\n1,x\n"),
    "unknown_format": ("a.pdf", b"x"),
    "unknown_encoding": ("a.txt", "x".encode("utf-32")),
}


@pytest.mark.parametrize("code", REJECTED)
def test_a_file_that_cannot_be_read_has_a_receipt_that_says_so_and_is_not_tried_again(code, world):
    event = world.put(*REJECTED[code])
    (receipt,) = done(world, event)
    assert (receipt["status"], receipt["error"]) == ("rejected", {"code": code, "detail": FAULTS[code]})
    assert done(world, event, "execution-2") == [receipt]
    assert not parts(world.real)


@pytest.mark.parametrize(("name", "content"), [("a.txt", b""), ("a.csv", b"id,text\n"), ("a.jsonl", b"\n\n")])
def test_a_file_without_rows_is_done_with_none(name, content, world):
    (receipt,) = done(world, world.put(name, content))
    assert (receipt["status"], receipt["parts"], receipt["counts"]["read"]) == ("done", [], 0)


def test_a_file_over_the_limit_is_rejected_before_it_is_read(world, monkeypatch):
    monkeypatch.setattr("candor.batch.MAX_INPUT_BYTES", 10)
    (receipt,) = done(world, world.put("in/file.txt", sample("txt")))
    assert receipt["error"]["code"] == "too_large"


def calls(kind="jsonl"):
    return expected(kind)[1]


PASSING = {
    "503": lambda: before(refused(503, "SlowDown")),
    "500": lambda: before(refused(500, "InternalError")),
    "409": lambda: before(refused(409, "ConditionalRequestConflict")),
    "unreachable": lambda: before(EndpointConnectionError(endpoint_url="canary-4711")),
    "torn": lambda: torn,
    "answer lost": lost,
    "killed before": lambda: before(Killed()),
    "killed after": lambda: after(Killed()),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_leaves_the_same_bytes_wherever_it_strikes(name):
    for place in range(calls()):
        with buckets() as real:
            world = World(real)
            world.client.faults = {place: PASSING[name](), place + 1: PASSING[name]()}
            (receipt,) = done(world, world.put("in/file.jsonl", sample("jsonl")))
            assert receipt["counts"]["read"] == 16
            assert parts(real) == expected("jsonl")[0], place
            assert not world.client.faults or place + 1 >= world.client.count


LASTING = {
    "503 for ever": (lambda: before(refused(503, "SlowDown")), {"UnavailableError"}),
    "access denied": (lambda: before(refused(403, "AccessDenied")), {"DeniedError"}),
    "key disabled": (lambda: before(refused(400, "KMS.DisabledException")), {"DeniedError"}),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_fails_without_a_receipt_and_a_new_start_goes_on_from_there(name):
    for place in range(calls()):
        with buckets() as real:
            world = World(real)
            event = world.put("in/file.jsonl", sample("jsonl"))
            world.client.always = (place, LASTING[name][0]())
            execution = world.start(event)
            assert execution.status == "FAILED"
            assert execution.error in LASTING[name][1] | {"States.ExceedToleratedFailureThreshold"}
            assert len(world.slept) <= 200, "it tries for ever"
            assert receipts(real) == []
            kept = parts(real)
            world.heal()
            start = world.client.count
            assert done(world, event, "execution-2")
            assert kept.items() <= parts(real).items()
            assert parts(real) == expected("jsonl")[0]
            assert world.client.count - start <= calls() + 2


def test_a_failure_that_can_be_noted_is_noted_apart_from_the_receipt(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    world.client.faults = {3: before(refused(403, "AccessDenied"))}
    (note,) = failed(world, event, "DeniedError")
    assert note["status"] == "failed"
    assert note["error"] == {"code": "DeniedError", "detail": "S3 refuses (AccessDenied)"}
    assert "same input" in note["remedy"]
    assert receipts(world.real) == []


def test_an_object_that_is_overwritten_during_reads_is_noticed_where_no_versions_are_kept():
    for place in range(calls()):
        with buckets(versioned=False) as real:
            world = World(real)
            event = world.put("in/file.jsonl", sample("jsonl"))
            world.client.before_call = {place: lambda: real.put_object(Bucket=INBOX, Key="in/file.jsonl", Body=b"{}\n")}
            execution = world.start(event)
            if execution.status == "FAILED":
                assert execution.error in ("ChangedError", "States.ExceedToleratedFailureThreshold")
                assert receipts(real) == []
            else:
                assert parts(real) == expected("jsonl")[0] or receipts(real)[0]["input"]["bytes"] == 3


def test_versions_make_overwriting_harmless(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    world.put("in/file.jsonl", b"{}\n")
    done(world, event)
    assert parts(world.real) == expected("jsonl")[0]


def test_a_chunk_that_runs_out_of_time_is_given_up_in_time_and_made_again(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    world.out_of_time = {1, 2}
    done(world, event)
    assert world.ticks > 3
    assert parts(world.real) == expected("jsonl")[0]


def test_a_plan_that_runs_out_of_time_fails_with_the_remedy(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    world.out_of_time = set(range(100))
    (note,) = failed(world, event, "OutOfTimeError")
    assert "split it" in note["error"]["detail"]


def test_a_job_is_of_one_model(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    planned = world.batch.plan(event)
    chunk = json.loads(contents(world.real, "plans/").popitem()[1])[0]
    assert world.batch.score({"job": planned["job"], "chunk": chunk}) == {}
    planned["job"]["model"]["sha256"] = "0" * 64
    execution = world.workflow()
    execution.tasks = {**execution.tasks, "PlanFunction": lambda _: planned}
    failure = execution.start(event)
    assert (failure.status, failure.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")


def test_a_warm_container_keeps_nothing_of_the_job_before(world):
    for number, kind in enumerate(("jsonl", "csv", "jsonl.gz")):
        done(world, world.put(f"in/file.{kind}", sample(kind)), f"execution-{number}")
    by_key = {receipt["input"]["key"]: receipt for receipt in receipts(world.real)}
    for kind in ("jsonl", "csv", "jsonl.gz"):
        made = contents(world.real, f"results/{by_key[f'in/file.{kind}']['work']}/part-")
        assert [*made.values()] == [*expected(kind)[0].values()]


def test_a_missing_part_is_never_vouched_for(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    planned = world.batch.plan(event)
    chunks = json.loads(contents(world.real, "plans/").popitem()[1])
    for chunk in chunks[1:]:
        world.batch.score({"job": planned["job"], "chunk": chunk})
    execution = world.workflow()
    execution.tasks = {**execution.tasks, "ScoreFunction": lambda _: {}}
    assert execution.start(event).error == "MissingError"
    assert receipts(world.real) == []
    assert done(world, event, "execution-2")


@pytest.mark.parametrize("lines", [slice(1, None), slice(None)], ids=["one row less", "all"])
def test_a_receipt_is_only_for_as_many_rows_as_were_planned(lines, world):
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
        assert receipts(world.real) == []


def test_attributions_and_another_threshold_are_a_matter_of_settings(real):
    world = World(real)
    settings = replace(SETTINGS, explain=True, min_confidence=1.0)
    world.batch = Batch(settings, lambda name: S3(name, world.client))
    done(world, world.put("in/file.txt", b"A wonderful film.\n"))
    (line,) = [json.loads(body) for body in parts(real).values()]
    assert line["decision"] == "uncertain"
    assert len(line["attributions"]) == 3
    (receipt,) = receipts(real)
    assert receipt["settings"] == asdict(jobs.Options(explain=True, min_confidence=1.0, rows=torture.ROWS))


def test_a_redrive_runs_only_the_children_that_failed(world):
    event = world.put("in/file.jsonl", sample("jsonl"))
    workflow = world.workflow()
    scored = []

    def score(given):
        scored.append(given["chunk"]["number"])
        return world.task("score")(given)

    workflow.tasks = {**workflow.tasks, "ScoreFunction": score}
    planned = calls() - 10
    world.client.always = (planned, before(refused(403, "AccessDenied")))
    execution = workflow.start(event)
    assert execution.status == "FAILED"
    assert execution.path[-1] == "Failed", "a failure that was caught is over; a new start is the way to go on"
    world.heal()
    assert workflow.redrive(execution).status == "FAILED"
    assert done(world, event, "execution-2")


def test_one_failed_item_in_a_hundred_is_tolerated_and_one_in_ten_is_not():
    with buckets() as real:
        world = World(real)
        workflow, tried = world.workflow(), []

        def run(items):
            def score(given):
                tried.append(given["chunk"]["number"])
                return {} if given["chunk"]["number"] else world.task("plan")(None)

            listed = json.dumps([{"number": number} for number in range(items)])
            workflow.read = lambda bucket, key: listed.encode()
            workflow.tasks = {
                "PlanFunction": lambda _: {"status": "planned", "job": {}, "chunks": {"bucket": "b", "key": "k"}},
                "ScoreFunction": score,
                "FinishFunction": lambda given: {"status": "failed"} if "failure" in given else {"status": "done"},
            }
            return workflow.start({})

        assert run(100).status == "SUCCEEDED"
        assert sorted(tried) == list(range(100))
        assert run(10).error == "States.ExceedToleratedFailureThreshold"


def test_a_handler_logs_numbers_only_and_reports_unforeseen_faults_without_their_message(capsys):
    context = SimpleNamespace(aws_request_id="1")

    def finish(event, context):
        if event:
            raise ValueError("canary-4711")
        return {"status": "done", "counts": {"scored": 3, "failed": 1, "labels": {}}}

    assert observed(finish)({}, context)["status"] == "done"
    with pytest.raises(InternalError) as raised:
        observed(finish)({"canary-4711": 1}, context)
    assert str(raised.value).startswith("ValueError in test_batch.py:")
    assert raised.value.__suppress_context__
    assert "canary" not in "".join(capsys.readouterr())


def test_no_text_or_message_of_s3_reaches_a_log(capfd):
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


def test_a_lost_answer_of_a_put_is_no_conflict(world):
    store = S3(RESULTS, world.client, world.slept.append)
    world.client.faults = {0: lost()}
    assert store.create("a", b"one") is False
    assert store.get("a") == b"one"
    assert store.create("b", b"one") is True
    assert len(world.slept) == 1


def test_waits_grow_and_end(world):
    world.client.always = (0, before(refused(503, "SlowDown")))
    with pytest.raises(Exception, match=f"{ATTEMPTS} attempts"):
        S3(RESULTS, world.client, world.slept.append).get("a")
    assert len(world.slept) == ATTEMPTS - 1


@pytest.mark.parametrize("seed", range(100))
def test_random_schedules_of_faults_break_nothing(seed):
    assert trial(seed) == ""


def test_the_schedules_would_notice(monkeypatch):
    """The positive control: a bucket that overwrites, and reads that may be torn, are found out."""
    monkeypatch.setattr("candor.batch.Batch.score", lambda self, event, remaining: {})
    assert any(trial(seed) for seed in range(5))
