"""Batch jobs under Lambda's quota of concurrent executions, in virtual time: `candor torture`, and less in `make test`.

The state machine and the functions' timeouts are the deployed ones. An invocation takes one of the account's slots for
as long as it runs, whether its caller still waits or not, and is throttled when none is free. The API takes slots, too:
now none, now all. A hundredth of the invocations fails in ways that a retry helps, half of those with the work done.
"""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from candor.batch.steps import MARGIN
from candor.cli.gateway import template
from candor.cli.torture.clock import Clock, sleep
from candor.cli.torture.workflow import DEFINITION, Execution, FailedError, Workflow, lambda_failed
from candor.errors import MissingError

TRANSIENT = ("Lambda.ServiceException", "Lambda.SdkClientException", "Runtime.ExitError", "UnavailableError")
FAULTY = 0.01  # share of invocations that fail so
SHIFT = 20.0  # seconds, on average, for which the API takes the same number of slots
SWEEP = ((2, 10, 1000), (1, 5, 50, 400), (1, 30, 200), (1, 5, 1000), (None,), ("bursts", "but one"))
"""Values of a Job's fields, in their order: every combination is tried."""


class Job(NamedTuple):
    """A job, and the account that it runs in."""

    quota: int
    """Concurrent executions of the account."""
    chunks: int
    seconds: float
    """Time that one chunk takes."""
    concurrency: int
    """The stack parameter BatchConcurrency."""
    poisoned: int | None = None
    """Number of a chunk that cannot be scored."""
    api: str = "bursts"
    """Slots that the API takes: "none", in "bursts" from none to all, or always all "but one"."""
    jobs: int = 1
    """As many such jobs start at the same time."""


class Account:
    """The slots of an account in virtual time."""

    def __init__(self, clock: Clock, quota: int, api: str, seed: int) -> None:
        self.clock, self.quota, self.bursts, self.random = clock, quota, api == "bursts", random.Random(seed)
        self.used, self.taken, self.shifts = 0, quota - 1 if api == "but one" else 0, 0.0
        self.most = 0
        """Most slots that the job used at a time."""

    def function(self, work: Callable[[Any], Any], seconds: float, timeout: float) -> Callable[[Any], Any]:
        """Return a Lambda function that takes so many seconds, then does its work, as Step Functions invokes it."""

        async def invoke(event: Any) -> Any:
            if self.used + self.api() >= self.quota:
                raise FailedError("Lambda.TooManyRequestsException", "Rate Exceeded.")
            self.used += 1
            self.most = max(self.most, self.used)
            self.clock.start(self._release(), min(seconds, timeout))
            fault = self.random.random() < FAULTY and self.random.choice(TRANSIENT)
            if fault and self.random.random() < 0.5:
                raise FailedError(fault)
            await sleep(min(seconds, timeout))
            if seconds > timeout:
                raise FailedError("Sandbox.Timedout")
            try:
                result = work(event)
            except Exception as error:
                raise lambda_failed(error) from None
            if fault:
                raise FailedError(fault)
            return result

        return invoke

    async def _release(self) -> None:
        """Free the slot of an invocation that has ended."""
        self.used -= 1

    def api(self) -> int:
        """Return the slots that the API takes now."""
        if self.bursts and self.clock.now >= self.shifts:
            self.taken = self.random.randint(0, self.quota)
            self.shifts = self.clock.now + self.random.expovariate(1 / SHIFT)
        return self.taken


class PoisonedError(Exception):
    """The chunk cannot be scored."""


def simulate(job: Job, seed: int = 0, definition: dict[str, Any] = DEFINITION) -> tuple[list[Execution], str, Account]:
    """Run a job, or several equal ones side by side, to their ends.

    Returns:
        The executions, what is wrong with their ends (empty: nothing), and the account. Right is a job with all parts;
        or, where a chunk is poisoned, a failed one with a note that names the chunk's error.
    """
    clock = Clock()
    account = Account(clock, job.quota, job.api, seed)
    ended: list[tuple[Execution, str]] = []

    async def one(number: int) -> None:
        files = Files(job)
        tasks = {
            "PlanFunction": account.function(files.plan, 30, timeout("Plan")),
            "ScoreFunction": account.function(files.score, job.seconds, timeout("Score")),
            "FinishFunction": account.function(files.finish, 10, timeout("Finish")),
        }
        workflow = Workflow(tasks, files.read, seed + number, clock, definition)
        execution = await workflow.execute({}, f"execution-{number}")
        ended.append((execution, files.wrong(execution)))
        if len(ended) == job.jobs:
            clock.start(main)

    async def all_of_them() -> None:
        for number in range(job.jobs):
            clock.start(one(number))
        await sleep(None)

    main = all_of_them()
    clock.run(main)
    return [execution for execution, _ in ended], "; ".join(filter(None, (wrong for _, wrong in ended))), account


class Files:
    """The two buckets of a job, as far as a simulated one needs them, and the three steps' effects on them."""

    def __init__(self, job: Job) -> None:
        self.job, self.parts, self.notes = job, set[int](), list[str]()

    def read(self, bucket: str, key: str) -> bytes:
        """Return the list of chunks, as the map reads it."""
        return json.dumps([{"number": number} for number in range(self.job.chunks)]).encode()

    def plan(self, event: Any) -> Any:
        """Plan the job."""
        listed = {"bucket": "results", "key": "chunks.json"}
        return {"status": "planned", "job": {}, "chunks": listed, "concurrency": self.job.concurrency}

    def score(self, event: Any) -> Any:
        """Write a part."""
        if event["chunk"]["number"] == self.job.poisoned:
            raise PoisonedError("canary")
        self.parts.add(event["chunk"]["number"])
        return {}

    def finish(self, event: Any) -> Any:
        """Check the parts, or note a failure."""
        if "failure" in event:
            self.notes.append(event["failure"]["error"]["Error"])
            return {"status": "failed"}
        if len(self.parts) < self.job.chunks:
            raise MissingError("a part is missing")
        return {"status": "done"}

    def wrong(self, execution: Execution) -> str:
        """Return what is wrong with the job's end, or an empty string."""
        if self.job.poisoned is not None:
            if execution.status != "FAILED":
                return f"with a chunk that cannot be scored the job is {execution.status}"
            return "" if self.notes[:1] == ["PoisonedError"] else f"the notes name {self.notes}, not the chunk's error"
        if execution.status != "SUCCEEDED":
            return f"{execution.status} with {execution.error} after {execution.path}"
        return "" if len(self.parts) == self.job.chunks else "parts are missing"


@cache
def timeout(step: str) -> float:
    """Return the seconds after which a function of the template ends; the score function stops itself before."""
    seconds: int = template()["Resources"][f"Batch{step}Function"]["Properties"]["Timeout"]
    return seconds - MARGIN / 1000 if step == "Score" else seconds


def sweep() -> Iterator[Job]:
    """Yield jobs of every size at every quota, some with a chunk that cannot be scored, and twenty at a time."""
    for number, each in enumerate(itertools.product(*SWEEP)):
        job = Job(*each)
        yield job
        if number % 4 == 0:
            yield job._replace(poisoned=job.chunks // 2)
        if job.chunks == 5:
            yield job._replace(jobs=20)
