"""An interpreter for functions/batch.asl.json: the part of the Amazon States Language that it uses, as documented.

https://states-language.net/spec.html, and of distributed maps, redrive and quotas AWS's Step Functions developer guide.
A tolerated failure is a failed child whose map goes on; over the threshold no further child begins and the map fails.
A redrive goes on from the state that failed, with its input; of a map it runs again only the children that failed.
Time is virtual: children run side by side, and retries wait.
"""

import inspect
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from candor.cli.torture.clock import Clock, sleep
from candor.resources import FUNCTIONS

DEFINITION = json.loads((FUNCTIONS / "batch.asl.json").read_text())
NEVER_BY_ALL = {"States.DataLimitExceeded", "States.Runtime"}
MAX_EVENTS = 25_000  # of a standard execution's history
EVENTS_OF_A_TRY = 3  # of a function: scheduled, started, and how it ended
EXPRESS_SECONDS = 300
Task = Callable[[Any], Any]
"""Given a state's input; returns its output, or an awaitable of it that takes virtual time."""


class FailedError(Exception):
    """An error that a state reports: its name, and its cause as text."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause


def lambda_failed(error: BaseException) -> FailedError:
    """Return an exception as Lambda reports it to Step Functions."""
    name = type(error).__name__
    return FailedError(name, json.dumps({"errorMessage": str(error), "errorType": name, "stackTrace": []}))


@dataclass
class Execution:
    """An execution of the state machine, and what can be seen of it."""

    name: str
    input: Any
    status: str = "RUNNING"
    output: Any = None
    error: str = ""
    cause: str = ""
    path: list[str] = field(default_factory=list)
    """The states that were entered."""
    waited: list[float] = field(default_factory=list)
    """Seconds before each retry."""
    stopped: tuple[str, Any] | None = None
    """The state that failed, and its input."""
    children: dict[int, Any] = field(default_factory=dict)
    """Output of each child of the map that has succeeded."""
    began: float = 0.0
    """Seconds of the clock."""
    events: int = 2
    """Events in the history, of which the first and the last are the execution's own."""
    transitions: int = 1
    """Billed transitions, with those of the children and one to start each."""


class Workflow:
    """A state machine.

    Args:
        tasks: Functions by the placeholder that names them in the definition.
        read: Returns the bytes of (bucket, key).
        seed: Of the order of children and of the jitter.
        clock: Virtual time, which tasks may share.
        definition: The state machine's definition.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        read: Callable[[str, str], bytes],
        seed: int = 0,
        clock: Clock | None = None,
        definition: dict[str, Any] = DEFINITION,
    ) -> None:
        self.tasks, self.read, self.random = tasks, read, random.Random(seed)
        self.clock, self.definition = clock or Clock(), definition

    def start(self, event: Any, name: str = "execution-1") -> Execution:
        """Start an execution, and return it when it has ended."""
        ended: Execution = self.clock.run(self.execute(event, name))
        return ended

    async def execute(self, event: Any, name: str = "execution-1") -> Execution:
        """Run an execution beside whatever else runs on the clock."""
        execution = Execution(name, event, began=self.clock.now)
        return await self._drive(execution, self.definition["StartAt"], event)

    def redrive(self, execution: Execution) -> Execution:
        """Go on with a failed execution from the state that failed."""
        assert execution.status == "FAILED"
        assert execution.stopped
        state, value = execution.stopped
        execution.status, execution.error, execution.cause = "RUNNING", "", ""
        execution.began = self.clock.now
        ended: Execution = self.clock.run(self._drive(execution, state, value))
        return ended

    async def _drive(self, execution: Execution, name: str | None, value: Any) -> Execution:
        while name:
            execution.path.append(name)
            try:
                name, value = await self._enter(self.definition["States"][name], value, execution)
            except FailedError as failed:
                execution.status, execution.stopped = "FAILED", (str(name), value)
                execution.error, execution.cause = failed.error, failed.cause
                break
        else:
            execution.status, execution.output = "SUCCEEDED", value
        if self.clock.now - execution.began > self.definition["TimeoutSeconds"]:
            execution.status, execution.error = "TIMED_OUT", "States.Timeout"
        return execution

    async def _enter(self, state: dict[str, Any], value: Any, execution: Execution) -> tuple[str | None, Any]:
        """Run one state, of the execution or of a child, and return the next state's name and input."""
        _record(execution, events=2, transitions=1)
        context = {"Execution": {"Name": execution.name, "Input": execution.input}}
        match state["Type"]:
            case "Succeed":
                return None, value
            case "Fail":
                raise FailedError(at(value, state["ErrorPath"]), at(value, state["CausePath"]))
            case "Choice":
                chosen = [
                    rule["Next"] for rule in state["Choices"] if at(value, rule["Variable"]) == rule["StringEquals"]
                ]
                return (chosen or [state["Default"]])[0], value
        work = self._map if state["Type"] == "Map" else self._task
        try:
            result = await self._retried(state, lambda: work(state, value, context, execution), execution)
        except FailedError as failed:
            for catcher in state.get("Catch", ()):
                if matches(catcher, failed.error):
                    caught = {"Error": failed.error, "Cause": failed.cause}
                    return catcher["Next"], put(value, catcher["ResultPath"], caught)
            raise
        return state.get("Next"), put(value, state.get("ResultPath", "$"), result)

    async def _retried(self, state: dict[str, Any], work: Callable[[], Awaitable[Any]], execution: Execution) -> Any:
        attempts = [0 for _ in state.get("Retry", ())]
        while True:
            try:
                return await work()
            except FailedError as failed:
                place = next((i for i, each in enumerate(state.get("Retry", ())) if matches(each, failed.error)), None)
                if place is None or attempts[place] >= state["Retry"][place]["MaxAttempts"]:
                    raise
                retrier = state["Retry"][place]
                longest = retrier.get("MaxDelaySeconds", float("inf"))
                # Of a thousand attempts the power would be too large for a float.
                wait = min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** min(attempts[place], 64), longest)
                wait = self.random.uniform(0, wait) if "JitterStrategy" in retrier else wait
                attempts[place] += 1
                execution.waited.append(wait)
                _record(execution, transitions=1)
                await sleep(wait)

    async def _task(self, state: dict[str, Any], value: Any, context: Any, execution: Execution) -> Any:
        given = filled(state["Parameters"], value, context) if "Parameters" in state else value
        _record(execution, events=EVENTS_OF_A_TRY)
        began = self.clock.now
        # Step Functions hands on JSON, of at most 256 KiB.
        result = self.tasks[state["Resource"].strip("${}")](json.loads(sized(given)))
        if inspect.isawaitable(result):
            result = await result
        if self.clock.now - began > state["TimeoutSeconds"]:
            raise FailedError("States.Timeout")
        return json.loads(sized(result))

    async def _map(self, state: dict[str, Any], value: Any, context: Any, execution: Execution) -> list[Any]:
        """Run the children that have not succeeded yet, so many at a time. The first failure too many stops all."""
        reader = filled(state["ItemReader"]["Parameters"], value, context)
        assert state["ItemReader"]["ReaderConfig"] == {"InputType": "JSON"}
        try:
            items = json.loads(self.read(reader["Bucket"], reader["Key"]))
        except Exception:
            raise FailedError("States.ItemReaderFailed") from None
        limit = at(value, state["MaxConcurrencyPath"]) if "MaxConcurrencyPath" in state else state["MaxConcurrency"]
        tolerated = state.get("ToleratedFailurePercentage", 0) * len(items) / 100
        waiting = [number for number in range(len(items)) if number not in execution.children]
        self.random.shuffle(waiting)
        parent, running, failures, ended = self.clock.running, list[Execution](), 0, False

        async def work() -> None:
            """Run children one after another."""
            nonlocal failures, ended
            while waiting:
                number = waiting.pop()
                inner = {**context, "Map": {"Item": {"Value": items[number]}}}
                selected = filled(state["ItemSelector"], value, inner)
                child = Execution(f"{execution.name}-{number}", selected, began=self.clock.now)
                running.append(child)
                try:
                    execution.children[number] = await self._child(state["ItemProcessor"], child)
                except FailedError:
                    failures += child.status != "ABORTED"
                running.remove(child)
                execution.waited += child.waited
                execution.transitions += child.transitions
                if failures > tolerated:
                    waiting.clear()
                    for other in running:
                        other.status = "ABORTED"
            if not ended and (failures > tolerated or not running):
                ended = True
                self.clock.start(parent)

        if waiting:
            for _ in range(min(limit or len(waiting), len(waiting))):
                self.clock.start(work())
            await sleep(None)
        if failures > tolerated:
            raise FailedError("States.ExceedToleratedFailureThreshold", "too many items failed")
        outputs: list[Any] = json.loads(sized([execution.children[number] for number in sorted(execution.children)]))
        return outputs

    async def _child(self, processor: dict[str, Any], child: Execution) -> Any:
        """Run a child to its end, and return its output."""
        express = processor["ProcessorConfig"]["ExecutionType"] == "EXPRESS"
        name, value = processor["StartAt"], child.input
        while name:
            name, value = await self._enter(processor["States"][name], value, child)
        if express and self.clock.now - child.began > EXPRESS_SECONDS:
            raise FailedError("States.Timeout")
        return value


def _record(execution: Execution, events: int = 0, transitions: int = 0) -> None:
    """Count events and transitions. Raises FailedError when the execution was stopped or its history is full."""
    if execution.status == "ABORTED":
        raise FailedError("States.Runtime", "stopped")
    execution.events += events
    execution.transitions += transitions
    if execution.events > MAX_EVENTS:
        raise FailedError("States.Runtime", f"the history has reached {MAX_EVENTS:,} events")


def matches(rule: dict[str, Any], error: str) -> bool:
    """Return whether a retrier or catcher takes an error."""
    return error in rule["ErrorEquals"] or ("States.ALL" in rule["ErrorEquals"] and error not in NEVER_BY_ALL)


def sized(value: Any) -> str:
    """Return a state's data as JSON, at most 256 KiB of it."""
    text = json.dumps(value)
    if len(text) > 256 * 1024:
        raise FailedError("States.DataLimitExceeded")
    return text


def at(value: Any, path: str) -> Any:
    """Return the value at a reference path."""
    for name in path.split(".")[1:]:
        try:
            value = value[name]
        except (KeyError, TypeError):
            raise FailedError("States.Runtime", f"{path} leads nowhere") from None
    return value


def put(value: Any, path: str | None, result: Any) -> Any:
    """Return data with a result put where a reference path leads."""
    if path is None:
        return value
    name = path.removeprefix("$").removeprefix(".")
    return {**value, name: result} if name else result


def filled(parameters: Any, value: Any, context: Any) -> Any:
    """Return a payload template with its paths replaced by their values."""
    if not isinstance(parameters, dict):
        return parameters
    made = {}
    for name, given in parameters.items():
        if name.endswith(".$"):
            made[name[:-2]] = at(context, given[1:]) if given.startswith("$$") else at(value, given)
        else:
            made[name] = filled(given, value, context)
    return made
