"""Batch jobs under random faults: `candor torture`, and a hundred schedules of it in `make test`.

A schedule is a file format and up to three faults, each at some call to S3. After it, and after one more start without
faults if the job failed, the results must be those of a run without faults, to the byte.
"""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from botocore.exceptions import EndpointConnectionError

from candor.batch.steps import Batch
from candor.cli.torture.bucket import (
    INBOX,
    RESULTS,
    Client,
    Fault,
    Killed,
    after,
    before,
    buckets,
    contents,
    created,
    delivered,
    lost,
    refused,
    torn,
    transformer,
)
from candor.cli.torture.workflow import Execution, FailedError, Workflow, lambda_failed
from candor.resources import default_bundle
from candor.settings import Settings
from candor.storage import S3

ROWS = 6  # of a part
SETTINGS = replace(Settings.from_environ({}), bundle=default_bundle(), results_bucket=RESULTS, chunk_rows=ROWS)
TEXTS = [
    "A wonderful film, moving and funny.",
    "A dull, boring mess.",
    "",
    "good\u0085film",
    "bad\u2028film",
    'say "hi", twice',
    "back\\slash",
    "é 好 🙂",
    "x" * 20_001,
    "=1+1",
    "nul\0 film",
    "two\nlines",
    " ",
    "The first half is fine, the second is not.",
]


class World:
    """An account: buckets, the three functions behind their aliases, and the state machine."""

    def __init__(self, real: Any, seed: int = 0) -> None:
        self.real, self.client, self.seed = real, Client(real), seed
        self.slept: list[float] = []
        self.out_of_time: set[int] = set()
        self.ticks = 0
        self.batch = self.container()

    def container(self) -> Batch:
        """Start a fresh function environment."""
        return Batch(SETTINGS, lambda name: S3(name, self.client, self.slept.append))

    def remaining(self) -> int:
        """Return the milliseconds left of an invocation; none where the schedule says so."""
        self.ticks += 1
        return 0 if self.ticks - 1 in self.out_of_time else 900_000

    def task(self, step: str) -> Callable[[Any], Any]:
        """Return a step as Step Functions invokes it: errors are reported by name and message."""

        def invoke(event: Any) -> Any:
            work = getattr(self.batch, step)
            try:
                return work(event) if step == "finish" else work(event, self.remaining)
            except Killed:
                self.batch = self.container()
                raise FailedError("Runtime.ExitError", '{"errorMessage": "exit status 137"}') from None
            except Exception as error:
                raise lambda_failed(error) from None

        return invoke

    def workflow(self) -> Workflow:
        """Return the state machine over the three functions."""
        tasks = {f"{step.capitalize()}Function": self.task(step) for step in ("plan", "score", "finish")}
        return Workflow(tasks, self.read, self.seed)

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object, as the map reads its items."""
        body: bytes = self.real.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def put(self, key: str, content: bytes) -> dict[str, Any]:
        """Upload an object to the inbox, and return what the rule hands on of its event."""
        put = self.real.put_object(Bucket=INBOX, Key=key, Body=content)
        event: dict[str, Any] = delivered(created(key, put), transformer())
        return event

    def start(self, event: Any, name: str = "execution-1") -> Execution:
        """Run the state machine on an event."""
        return self.workflow().start(event, name)

    def heal(self) -> None:
        """Remove every fault that is still to come."""
        self.client.faults, self.client.always, self.client.before_call = {}, None, {}
        self.out_of_time = set()


@cache
def sample(kind: str) -> bytes:
    """A nasty file of a format."""
    if kind.startswith("jsonl"):
        lines = [json.dumps({"id": i, "text": text}, ensure_ascii=False) for i, text in enumerate(TEXTS)]
        content = ("\n".join([*lines[:5], "{bad", '{"text": 1}', *lines[5:]]) + "\n").encode()
    elif kind.startswith("csv"):
        stream = io.StringIO(newline="")
        csv.writer(stream).writerows([["id", "text"], *enumerate(TEXTS), ["ragged"]])
        content = stream.getvalue().encode()
    else:
        content = "\n".join(TEXTS).encode()
    return gzip.compress(content, mtime=0) if kind.endswith(".gz") else content


KINDS = ("jsonl", "csv", "txt", "jsonl.gz", "csv.gz")


@cache
def expected(kind: str) -> tuple[dict[str, bytes], int]:
    """The parts of a run without faults, by their names, and how many calls to S3 it takes."""
    with buckets() as real:
        world = World(real)
        execution = world.start(world.put(f"in/file.{kind}", sample(kind)))
        assert execution.status == "SUCCEEDED", execution
        return parts(real), world.client.count


def parts(real: Any) -> dict[str, bytes]:
    """Return the parts of all results by their names."""
    return {key.rpartition("/")[2]: body for key, body in contents(real, "results/").items() if "part-" in key}


def manifests(real: Any) -> list[dict[str, Any]]:
    """Return all manifests."""
    return [json.loads(body) for key, body in contents(real, "results/").items() if key.endswith("manifest.json")]


def plant(world: World, kind: str, chance: random.Random, event: Any) -> str:
    """Plant one fault somewhere, and return its name."""
    place = chance.randrange(expected(kind)[1] + 2)
    once: dict[str, Callable[[], Fault]] = {
        "503": lambda: before(refused(503, "SlowDown")),
        "500": lambda: before(refused(500, "InternalError")),
        "409": lambda: before(refused(409, "ConditionalRequestConflict")),
        "unreachable": lambda: before(EndpointConnectionError(endpoint_url="canary-4711")),
        "torn": lambda: torn,
        "lost": lost,
        "killed before": lambda: before(Killed()),
        "killed after": lambda: after(Killed()),
    }
    always: dict[str, Callable[[], Fault]] = {
        "503 for ever": lambda: before(refused(503, "SlowDown")),
        "denied": lambda: before(refused(403, "AccessDenied")),
        "key denied": lambda: before(refused(400, "KMS.DisabledException")),
    }
    others: dict[str, Callable[[], None]] = {
        "again": lambda: world.client.before_call.update({place: lambda: again(world, event)}),
        "overwritten": lambda: world.client.before_call.update({place: lambda: overwrite(world, kind)}),
        "out of time": lambda: world.out_of_time.add(place % 12),
    }
    name = chance.choice([*once, *always, *others])
    if name in once:
        world.client.faults[place] = once[name]()
    elif name in always:
        world.client.always = (place, always[name]())
    else:
        others[name]()
    return f"{name} at {place}"


def again(world: World, event: Any) -> None:
    """Run the same event once more, from start to end, between two calls of the first run."""
    kept, world.client.before_call = world.client.before_call, {}
    world.start(event, "execution-2")
    world.client.before_call = kept


def overwrite(world: World, kind: str) -> None:
    """Upload another file under the same key."""
    world.real.put_object(Bucket=INBOX, Key=f"in/file.{kind}", Body=b'{"text": "another"}\n')


def trial(seed: int) -> str:
    """Run one schedule; return what it broke, or an empty string."""
    chance = random.Random(seed)
    kind = chance.choice(KINDS)
    expected(kind)  # in an account of its own, before there is this one
    with buckets() as real:
        world = World(real, seed)
        event = world.put(f"in/file.{kind}", sample(kind))
        names = [plant(world, kind, chance, event) for _ in range(chance.randint(1, 3))]
        first = world.start(event)
        broken = violation(real, kind)
        if first.status == "FAILED":
            world.heal()
            second = world.start(event, "execution-3")
            broken = broken or (
                "" if second.status == "SUCCEEDED" else f"the second execution failed: {second.error} {second.cause}"
            )
        broken = broken or violation(real, kind, complete=True)
    return f"seed {seed}, {kind}, {', '.join(names)}: {broken}" if broken else ""


def violation(real: Any, kind: str, complete: bool = False) -> str:
    """Return the first promise that the results break, or an empty string.

    Args:
        real: A client of the account.
        kind: The file's format.
        complete: The job has ended: all parts and one manifest must be there.
    """
    actual, wanted, all_manifests = parts(real), expected(kind)[0], manifests(real)
    if any(wanted.get(name) != body for name, body in actual.items()):
        return "a part has other bytes"
    if all_manifests and actual != wanted:
        return "there is a manifest, and a part is missing"
    if any("canary" in str(note) for note in contents(real, "failed/").values()):
        return "S3's message was kept"
    if complete and (len(all_manifests) != 1 or actual != wanted):
        return "results are not complete"
    counts = [manifest["counts"] for manifest in all_manifests]
    if any(each["read"] != each["scored"] + each["failed"] or each["read"] != n_lines(wanted) for each in counts):
        return "rows were lost"
    return ""


def n_lines(content: dict[str, bytes]) -> int:
    """Count the lines of all parts."""
    return sum(body.count(b"\n") for body in content.values())
