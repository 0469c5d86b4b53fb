"""Buckets in moto, behind a client that goes wrong when told to."""

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from candor.cli.gateway import template

INBOX, RESULTS = "candor-inbox", "candor-results"
PERSONAL = {"request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "source-ip-address": "192.0.2.4"}
"""The details of an event that say who put the object, and from where."""
CALLS = ("head_object", "get_object", "put_object")


class Killed(BaseException):
    """The process is gone."""


def refused(status: int, code: str, operation: str = "") -> ClientError:
    """Return an error of S3's, whose message repeats the request, as real ones do."""
    error = {"Code": code, "Message": "canary-4711 " + operation}
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)


class Torn(io.BytesIO):
    """A body whose connection breaks half-way."""

    def read(self, *args: Any) -> bytes:
        """Return the first half of what would be read."""
        whole = super().read(*args)
        return whole[: len(whole) // 2]


Fault = Callable[[str, Callable[[], Any]], Any]


def before(error: BaseException) -> Fault:
    """Return a fault in which the call fails without effect."""

    def fault(operation: str, call: Callable[[], Any]) -> Any:
        raise error

    return fault


def after(error: BaseException) -> Fault:
    """Return a fault in which the call takes effect, and fails."""

    def fault(operation: str, call: Callable[[], Any]) -> Any:
        call()
        raise error

    return fault


def torn(operation: str, call: Callable[[], Any]) -> Any:
    """Make the call; the body of its answer breaks off half-way."""
    answer = call()
    if operation == "get_object":
        answer["Body"] = Torn(answer["Body"].read())
    return answer


def lost() -> Fault:
    """Return a fault in which the call takes effect and its answer times out."""
    return after(ReadTimeoutError(endpoint_url="canary-4711"))


class Client:
    """An S3 client whose calls are numbered from 0: `faults` says what happens at which, `always` from which on."""

    def __init__(self, real: Any) -> None:
        self.real, self.count = real, 0
        self.faults: dict[int, Fault] = {}
        self.always: tuple[int, Fault] | None = None
        self.before_call: dict[int, Callable[[], None]] = {}

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self.real, name)
        return (lambda **given: self._call(name, lambda: method(**given))) if name in CALLS else method

    def _call(self, operation: str, call: Callable[[], Any]) -> Any:
        number, self.count = self.count, self.count + 1
        if number in self.before_call:
            self.before_call.pop(number)()
        if self.always and number >= self.always[0]:
            return self.always[1](operation, call)
        fault = self.faults.pop(number, None)
        return fault(operation, call) if fault else call()


@cache
def s3() -> Any:
    """Return the one client of this process."""
    return boto3.client("s3", region_name="eu-central-1")  # made once: that takes longer than most tests


@contextmanager
def buckets(versioned: bool = True) -> Iterator[Any]:
    """Yield a client of an account with an empty inbox and an empty results bucket."""
    with mock_aws():
        client = s3()
        for name in (INBOX, RESULTS):
            client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
            if versioned:
                client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        yield client


@cache
def transformer() -> dict[str, Any]:
    """Return the input transformer of the template's rule."""
    (target,) = template()["Resources"]["InboxRule"]["Properties"]["Targets"]
    found: dict[str, Any] = target["InputTransformer"]
    return found


def delivered(event: dict[str, Any], transformer: dict[str, Any]) -> Any:
    """Return what a rule gives to the state machine for an event.

    As EventBridge documents it: a variable is the JSON value at its path; nothing within a string is escaped. Where the
    path leads nowhere, there is no value.
    """

    def value(variable: re.Match[str]) -> str:
        found: Any = event
        for name in transformer["InputPathsMap"][variable[1]].removeprefix("$.").split("."):
            if name not in found:
                return ""
            found = found[name]
        return f'"{found}"' if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    return json.loads(re.sub("<(.*?)>", value, transformer["InputTemplate"]))


def created(key: str, put: dict[str, Any], bucket: str = INBOX) -> dict[str, Any]:
    """Return the event that S3 sends to EventBridge for an object that was put."""
    thing = {"key": key, "size": 1, "etag": put["ETag"].strip('"'), "sequencer": "0062E99A88DC407460"}
    if "VersionId" in put:
        thing["version-id"] = put["VersionId"]
    detail = {"version": "0", "bucket": {"name": bucket}, "object": thing, "reason": "PutObject", **PERSONAL}
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-11-12T00:00:00Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": detail,
    }


def contents(client: Any, prefix: str = "", bucket: str = RESULTS) -> dict[str, bytes]:
    """Return all objects below a prefix by their keys."""
    found = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {each["Key"]: client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in found}
