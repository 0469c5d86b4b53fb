"""An interpreter for functions/batch.asl.json: the part of the Amazon States Language that it uses, as documented.

https://states-language.net/spec.html, and of distributed maps and redrive AWS's Step Functions developer guide. A
tolerated failure is a failed child whose map goes on; over the threshold no further child begins and the map fails.
A redrive goes on from the state that failed, with its input; of a map it runs again only the children that failed.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from candor.resources import FUNCTIONS

DEFINITION = json.loads((FUNCTIONS / "batch.asl.json").read_text())
NEVER_BY_ALL = {"States.DataLimitExceeded", "States.Runtime"}
Task = Callable[[Any], Any]


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


class Workflow:
    """`tasks` by the placeholder that names them; `read` gives the bytes of (bucket, key)."""

    def __init__(self, tasks: Mapping[str, Task], read: Callable[[str, str], bytes], seed: int = 0) -> None:
        self.tasks, self.read, self.random = tasks, read, random.Random(seed)

    def start(self, event: Any, name: str = "execution-1") -> Execution:
        """Start an execution."""
        execution = Execution(name, event)
        return self._drive(execution, DEFINITION["StartAt"], event)

    def redrive(self, execution: Execution) -> Execution:
        """Go on with a failed execution from the state that failed."""
        assert execution.status == "FAILED"
        assert execution.stopped
        state, value = execution.stopped
        execution.status, execution.error, execution.cause = "RUNNING", "", ""
        return self._drive(execution, state, value)

    def _drive(self, execution: Execution, name: str | None, value: Any) -> Execution:
        while name:
            execution.path.append(name)
            try:
                name, value = self._enter(DEFINITION["States"][name], value, execution)
            except FailedError as failed:
                execution.status, execution.stopped = "FAILED", (str(name), value)
                execution.error, execution.cause = failed.error, failed.cause
                return execution
        execution.status, execution.output = "SUCCEEDED", value
        return execution

    def _enter(self, state: dict[str, Any], value: Any, execution: Execution) -> tuple[str | None, Any]:
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
            result = self._retried(state, lambda: work(state, value, context, execution), execution)
        except FailedError as failed:
            for catcher in state.get("Catch", ()):
                if matches(catcher, failed.error):
                    caught = {"Error": failed.error, "Cause": failed.cause}
                    return catcher["Next"], put(value, catcher["ResultPath"], caught)
            raise
        return state.get("Next"), put(value, state.get("ResultPath", "$"), result)

    def _retried(self, state: dict[str, Any], work: Callable[[], Any], execution: Execution) -> Any:
        attempts = [0 for _ in state.get("Retry", ())]
        while True:
            try:
                return work()
            except FailedError as failed:
                place = next((i for i, each in enumerate(state.get("Retry", ())) if matches(each, failed.error)), None)
                if place is None or attempts[place] >= state["Retry"][place]["MaxAttempts"]:
                    raise
                retrier = state["Retry"][place]
                wait = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempts[place]
                wait = min(wait, retrier.get("MaxDelaySeconds", wait))
                execution.waited.append(self.random.uniform(0, wait) if "JitterStrategy" in retrier else wait)
                attempts[place] += 1

    def _task(self, state: dict[str, Any], value: Any, context: Any, execution: Execution) -> Any:
        given = filled(state["Parameters"], value, context) if "Parameters" in state else value
        # Step Functions hands on JSON, of at most 256 KiB.
        result = self.tasks[state["Resource"].strip("${}")](json.loads(sized(given)))
        return json.loads(sized(result))

    def _map(self, state: dict[str, Any], value: Any, context: Any, execution: Execution) -> list[Any]:
        reader = filled(state["ItemReader"]["Parameters"], value, context)
        assert state["ItemReader"]["ReaderConfig"] == {"InputType": "JSON"}
        try:
            items = json.loads(self.read(reader["Bucket"], reader["Key"]))
        except Exception:
            raise FailedError("States.ItemReaderFailed") from None
        order = [number for number in range(len(items)) if number not in execution.children]
        self.random.shuffle(order)
        failures = 0
        for number in order:
            try:
                inner = {**context, "Map": {"Item": {"Value": items[number]}}}
                selected = filled(state["ItemSelector"], value, inner)
                execution.children[number] = self._child(state["ItemProcessor"], selected, execution)
            except FailedError:
                failures += 1
                if 100 * failures > state["ToleratedFailurePercentage"] * len(items):
                    raise FailedError("States.ExceedToleratedFailureThreshold", "too many items failed") from None
        outputs: list[Any] = json.loads(sized([execution.children.get(number, {}) for number in range(len(items))]))
        return outputs

    def _child(self, processor: dict[str, Any], value: Any, execution: Execution) -> Any:
        name = processor["StartAt"]
        while name:
            state = processor["States"][name]
            value = self._retried(state, partial(self._task, state, value, {}, execution), execution)
            name = state.get("Next")
        return value


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
