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

TRANSIENT = ("Lambda.ServiceException", "Lambda.SdkClientException", "Runtime.ExitError", "UnavailableError")
FAULTY = 0.01  # share of invocations that fail so
SHIFT = 20.0  # seconds, on average, for which the API takes the same number of slots
STEPS = ("Plan", "Score", "Finish")
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


def simulate(job: Job, seed: int = 0, definition: dict[str, Any] = DEFINITION) -> tuple[Execution, str, Account]:
    """Run a job to its end.

    Returns:
        The execution, what is wrong with its end (empty: nothing), and the account. Right is a job with all parts; or,
        where a chunk is poisoned, a failed one with a note that names the chunk's error.
    """
    clock = Clock()
    account = Account(clock, job.quota, job.api, seed)
    parts, notes = dict[int, int](), list[Any]()
    chunks = json.dumps([{"number": number} for number in range(job.chunks)]).encode()

    def plan(event: Any) -> Any:
        listed = {"bucket": "results", "key": "chunks.json"}
        return {"status": "planned", "job": {}, "chunks": listed, "concurrency": job.concurrency}

    def score(event: Any) -> Any:
        number = event["chunk"]["number"]
        if number == job.poisoned:
            raise PoisonedError("canary")
        parts[number] = parts.get(number, 0) + 1
        return {}

    def finish(event: Any) -> Any:
        if "failure" in event:
            notes.append(event["failure"]["error"])
            return {"status": "failed"}
        missing = [number for number in range(job.chunks) if number not in parts]
        if missing:
            raise KeyError(missing[0])
        return {"status": "done"}

    work = {"Plan": plan, "Score": score, "Finish": finish}
    seconds = {"Plan": 30.0, "Score": job.seconds, "Finish": 10.0}
    tasks = {f"{step}Function": account.function(work[step], seconds[step], timeout(step)) for step in STEPS}
    execution = Workflow(tasks, lambda bucket, key: chunks, seed, clock, definition).start({})
    return execution, _wrong(job, execution, parts, notes), account


@cache
def timeout(step: str) -> float:
    """Return the seconds after which a function of the template ends; the score function stops itself before."""
    seconds: int = template()["Resources"][f"Batch{step}Function"]["Properties"]["Timeout"]
    return seconds - MARGIN / 1000 if step == "Score" else seconds


def _wrong(job: Job, execution: Execution, parts: dict[int, int], notes: list[Any]) -> str:
    if job.poisoned is not None:
        if execution.status != "FAILED":
            return f"the job with a chunk that cannot be scored is {execution.status}"
        named = [note["Error"] for note in notes]
        return "" if named[:1] == ["PoisonedError"] else f"the notes name {named}, not the chunk's error"
    if execution.status != "SUCCEEDED":
        return f"{execution.status} with {execution.error} after {execution.path}"
    return "" if len(parts) == job.chunks else "parts are missing"


def sweep() -> Iterator[Job]:
    """Yield jobs of every size at every quota, and some with a chunk that cannot be scored."""
    for number, each in enumerate(itertools.product(*SWEEP)):
        job = Job(*each)
        yield job
        if number % 4 == 0:
            yield job._replace(poisoned=job.chunks // 2)
