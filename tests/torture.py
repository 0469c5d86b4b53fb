"""Batch jobs under random faults: `make torture`, and a hundred schedules of it in `make test`.

    python -m tests.torture --schedules 2000 --seed 1

A schedule is a file format and up to three faults, each at some call to S3. After it, and after one more start without
faults if the job failed, the results must be those of a run without faults, to the byte.
"""

import argparse
import csv
import gzip
import io
import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from botocore.exceptions import EndpointConnectionError

from candor.batch import Batch
from candor.settings import Settings
from candor.storage import S3
from tests.bucket import (
    INBOX,
    RESULTS,
    Client,
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
from tests.workflow import Execution, FailedError, Workflow, lambda_failed

ROWS = 6  # of a part
SETTINGS = replace(Settings.from_environ(), results=RESULTS, chunk_rows=ROWS)
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
        return Batch(SETTINGS, lambda name: S3(name, self.client, self.slept.append))

    def remaining(self) -> int:
        self.ticks += 1
        return 0 if self.ticks - 1 in self.out_of_time else 900_000

    def task(self, step: str) -> Callable[[Any], Any]:
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
        tasks = {f"{step.capitalize()}Function": self.task(step) for step in ("plan", "score", "finish")}
        return Workflow(tasks, self.read, self.seed)

    def read(self, bucket: str, key: str) -> bytes:
        body: bytes = self.real.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def put(self, key: str, content: bytes) -> dict[str, Any]:
        return created(key, self.real.put_object(Bucket=INBOX, Key=key, Body=content))

    def start(self, event: Any, name: str = "execution-1") -> Execution:
        return self.workflow().start(event, name)

    def heal(self) -> None:
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
    return {key.rpartition("/")[2]: body for key, body in contents(real, "results/").items() if "part-" in key}


def receipts(real: Any) -> list[dict[str, Any]]:
    return [json.loads(body) for key, body in contents(real, "results/").items() if key.endswith("manifest.json")]


def plant(world: World, kind: str, chance: random.Random, event: Any) -> str:
    """One fault, somewhere; its name."""
    place = chance.randrange(expected(kind)[1] + 2)
    once = {
        "503": lambda: before(refused(503, "SlowDown")),
        "500": lambda: before(refused(500, "InternalError")),
        "409": lambda: before(refused(409, "ConditionalRequestConflict")),
        "unreachable": lambda: before(EndpointConnectionError(endpoint_url="canary-4711")),
        "torn": lambda: torn,
        "lost": lost,
        "killed before": lambda: before(Killed()),
        "killed after": lambda: after(Killed()),
    }
    always = {
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
    """The same event once more, run from its start to its end between two calls of the first."""
    kept, world.client.before_call = world.client.before_call, {}
    world.start(event, "execution-2")
    world.client.before_call = kept


def overwrite(world: World, kind: str) -> None:
    world.real.put_object(Bucket=INBOX, Key=f"in/file.{kind}", Body=b'{"text": "another"}\n')


def trial(seed: int) -> str:
    """One schedule; what was broken by it, or nothing."""
    chance = random.Random(seed)
    kind = chance.choice(KINDS)
    expected(kind)  # in an account of its own, before there is this one
    with buckets() as real:
        world = World(real, seed)
        event = world.put(f"in/file.{kind}", sample(kind))
        names = [plant(world, kind, chance, event) for _ in range(chance.randint(1, 3))]
        first = world.start(event)
        broken = unsound(real, kind)
        if first.status == "FAILED":
            world.heal()
            second = world.start(event, "execution-3")
            broken = broken or (
                "" if second.status == "SUCCEEDED" else f"does not go on: {second.error} {second.cause}"
            )
        broken = broken or unsound(real, kind, whole=True)
    return f"seed {seed}, {kind}, {', '.join(names)}: {broken}" if broken else ""


def unsound(real: Any, kind: str, whole: bool = False) -> str:
    """What is wrong with the results; `whole`: they must be complete, too."""
    made, wanted, found = parts(real), expected(kind)[0], receipts(real)
    if any(wanted.get(name) != body for name, body in made.items()):
        return "a part has other bytes"
    if found and made != wanted:
        return "there is a receipt, and a part is missing"
    if any("canary" in str(receipt) for receipt in contents(real, "failed/").values()):
        return "S3's message was kept"
    if whole and (len(found) != 1 or made != wanted):
        return "results are not complete"
    counts = [receipt["counts"] for receipt in found]
    if any(each["read"] != each["scored"] + each["failed"] or each["read"] != lines(wanted) for each in counts):
        return "rows were lost"
    return ""


def lines(made: dict[str, bytes]) -> int:
    return sum(body.count(b"\n") for body in made.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    broken = [each for seed in range(options.seed, options.seed + options.schedules) if (each := trial(seed))]
    print("\n".join([*broken, f"{options.schedules} schedules of faults, {len(broken)} of them with a broken promise"]))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
