"""Batch jobs in virtual time: the state machine under Lambda's quotas, and what fails without its settings."""

import json
from copy import deepcopy

import pytest

from candor.cli.torture.bucket import RESULTS, buckets, contents
from candor.cli.torture.clock import Clock, sleep
from candor.cli.torture.quota import Account, Job, simulate, sweep, timeout
from candor.cli.torture.schedules import World, expected, manifests, parts, sample
from candor.cli.torture.workflow import DEFINITION, EVENTS_OF_A_TRY, MAX_EVENTS, FailedError, Workflow
from candor.limits import JOB_CONCURRENCY
from candor.resources import ROOT
from candor.storage import S3

LONGEST = Job(quota=2, chunks=400, seconds=200, concurrency=JOB_CONCURRENCY, api="but one")


@pytest.fixture(scope="module", autouse=True)
def references():
    """Compute the expected results before any test opens an account, because moto has one at a time."""
    for kind in ("jsonl", "csv", "txt"):
        expected(kind)


def test_documentation_names_the_number_of_jobs():
    for page in ("how-to/self-check.md", "explanation/decisions.md"):
        assert f"{len(list(sweep()))} " in (ROOT / "docs" / page).read_text()


def small(job):
    if job.jobs > 1:
        return job.quota == 2
    return job.chunks <= 50 or (job.concurrency == JOB_CONCURRENCY and job.quota <= 10)


def test_clock_runs_in_order_of_time():
    clock, seen = Clock(), []

    async def say(word, seconds):
        await sleep(seconds)
        seen.append((word, clock.now))

    async def main():
        clock.start(say("late", 7200))
        clock.start(say("soon", 0.5))
        await say("first", 0)
        await sleep(9000)
        return "end"

    assert clock.run(main()) == "end"
    assert seen == [("first", 0), ("soon", 0.5), ("late", 7200)]


def test_job_ends_right_at_every_quota():
    """At any quota from 2 up each job is done, only slower; with a chunk that cannot be scored it names the reason."""
    jobs = [job for job in sweep() if small(job)]
    assert {job.quota for job in jobs} == {2, 10, 1000}
    assert {job.chunks for job in jobs} >= {1, 50, 400}
    assert {job.seconds for job in jobs} >= {1, 200}
    assert any(job.poisoned is not None for job in jobs)
    assert any(job.jobs == 20 for job in jobs)
    assert [(job, wrong) for seed, job in enumerate(jobs) if (wrong := simulate(job, seed)[1])] == []


def test_job_takes_no_more_than_its_concurrency(monkeypatch):
    monkeypatch.setattr("candor.cli.torture.quota.FAULTY", 0)  # a lost answer leaves an invocation behind
    for concurrency in (1, 3):
        _, wrong, account = simulate(Job(1000, 50, 30, concurrency, api="none"))
        assert (wrong, account.most) == ("", concurrency)
        assert account.clock.now >= 50 * 30 / concurrency


def test_job_at_one_free_slot_takes_a_day():
    """The longest job of the bar: it never fails for waiting, and its retries cost less than half a dollar."""
    (execution,), wrong, account = simulate(LONGEST)
    assert wrong == ""
    assert 400 * 200 <= account.clock.now <= 1.1 * 400 * 200
    assert execution.transitions * 0.025e-3 < 0.5


def old_retries(definition):
    """What was deployed before: throttled children gave up after some seconds."""
    definition["States"]["Score"]["ItemProcessor"]["States"]["ScoreChunk"]["Retry"][0] |= {
        "IntervalSeconds": 1, "MaxAttempts": 6, "MaxDelaySeconds": 20,
    }  # fmt: skip


def express(definition):
    definition["States"]["Score"]["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = "EXPRESS"


def short(definition):
    definition["TimeoutSeconds"] = 43_200


def no_record(definition):
    definition["States"]["Score"]["ItemProcessor"]["States"]["ScoreChunk"].pop("Catch")


BROKEN = {
    "old retries": (old_retries, Job(10, 50, 60, 20, api="none")),
    "express children": (express, Job(10, 50, 60, 20, api="none")),
    "half a day": (short, LONGEST),
    "no note of the chunk": (no_record, Job(10, 5, 1, 5, poisoned=2)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_job_fails_without_its_settings(name):
    """The positive control: what was wrong once is noticed."""
    change, job = BROKEN[name]
    definition = deepcopy(DEFINITION)
    change(definition)
    assert simulate(job)[1] == ""
    assert simulate(job, definition=definition)[1] != ""


def tries(states):
    """Return the most tries of each task."""
    tasks = [state for state in states.values() if state["Type"] == "Task"]
    return [1 + sum(rule["MaxAttempts"] for rule in state["Retry"]) for state in tasks]


def test_retries_fit_the_history():
    """An execution fails without a reason when its history has 25,000 events."""
    inner = DEFINITION["States"]["Score"]["ItemProcessor"]["States"]
    for states in (DEFINITION["States"], inner):
        assert EVENTS_OF_A_TRY * sum(tries(states)) + 4 * len(states) < MAX_EVENTS


def test_job_without_any_slot_fails_in_time():
    """Retries end before the execution's own timeout, which would leave no note."""
    (execution,), _, _ = simulate(Job(0, 5, 1, 5))
    assert (execution.status, execution.error) == ("FAILED", "Lambda.TooManyRequestsException")
    assert execution.path == ["Plan", "RecordFailure", "Failed"]
    throttled = DEFINITION["States"]["Plan"]["Retry"][0]
    longest = throttled["MaxAttempts"] * throttled["MaxDelaySeconds"] / 2  # seconds, on average
    assert 4 * longest < DEFINITION["TimeoutSeconds"], "planning, scoring, finishing and the note may each wait so long"


def test_history_limit_fails_an_execution():
    definition = deepcopy(DEFINITION)
    definition["States"]["Plan"]["Retry"][0]["MaxAttempts"] = 10_000
    (execution,), _, _ = simulate(Job(0, 5, 1, 5), definition=definition)
    assert (execution.status, execution.error) == ("FAILED", "States.Runtime")


def run(world, event, quota=2, api="bursts"):
    """Run the real steps on Lambda functions that take a minute each, in an account with few slots."""
    clock = Clock()
    account = Account(clock, quota, api, seed=1)
    tasks = {
        f"{step}Function": account.function(world.task(step.lower()), 60, timeout(step))
        for step in ("Plan", "Score", "Finish")
    }
    return Workflow(tasks, world.read, clock=clock).start(event)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_real_steps_under_quota_same_bytes(kind):
    with buckets() as real:
        world = World(real)
        assert run(world, world.put(f"in/file.{kind}", sample(kind))).status == "SUCCEEDED"
        assert parts(real) == expected(kind)[0]
        assert contents(real, "failed/") == {}


def test_chunk_that_cannot_be_scored_is_named():
    """The note has the chunk and its error; nothing is lost, and once the cause is gone the job goes on."""
    with buckets() as real:
        world = World(real)
        event = world.put("in/file.jsonl", sample("jsonl"))
        score, refused = world.task("score"), [1]

        def denied(given):
            if given["chunk"]["number"] in refused:
                raise FailedError("DeniedError", json.dumps({"errorMessage": "S3 PutObject denied"}))
            return score(given)

        workflow = world.workflow()
        workflow.tasks = {**workflow.tasks, "ScoreFunction": denied}
        execution = workflow.start(event)
        assert (execution.status, execution.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
        ((name, body),) = contents(real, "failed/").items()
        note = json.loads(body)
        assert name == "failed/execution-1.json"
        assert (note["chunk"], note["error"]) == (1, {"code": "DeniedError", "detail": "S3 PutObject denied"})
        assert manifests(real) == []
        refused.clear()
        assert workflow.start(event, "execution-2").status == "SUCCEEDED"
        assert parts(real) == expected("jsonl")[0]
        assert list(contents(real, "failed/")) == [name]


def test_first_note_of_an_execution_stays():
    with buckets() as real:
        world = World(real)
        failure = {"execution": "e", "event": world.put("in/a.txt", b"a\n"), "error": {"Error": "DeniedError"}}
        world.batch.finish({"failure": {**failure, "chunk": 3}})
        world.batch.finish({"failure": {**failure, "error": {"Error": "States.ExceedToleratedFailureThreshold"}}})
        note = json.loads(S3(RESULTS, world.client).get("failed/e.json"))
        assert (note["chunk"], note["error"]["code"]) == (3, "DeniedError")
