"""Where files lie and results go: a bucket, or a folder that behaves like one. The only module that imports boto3.

Both create an object whole or not at all, and only where there is none. What is worth another try is tried again here,
a few times; then it is an UnavailableError, and for whoever called to try.
"""

import hashlib
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol, TypeVar

from candor.errors import ChangedError, DeniedError, MissingError, StorageError, UnavailableError

ATTEMPTS = 5
FIRST_WAIT = 0.2  # seconds at most; doubles with each attempt
BLOCK = 8 << 20  # bytes of one ranged read
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """One version of one object: what is read is this or nothing."""

    bucket: str
    key: str
    version: str
    """Empty where the bucket keeps none."""
    etag: str
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Store(Protocol):
    """What a job needs of a bucket. Every method raises StorageError."""

    def source(self, key: str, version: str = "") -> Source:
        """What lies there now, or lay there as that version."""

    def blocks(self, source: Source, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes [begin, end) of a source. Raises ChangedError as soon as it is no longer that one."""

    def get(self, key: str) -> bytes: ...

    def lines(self, key: str) -> Iterator[bytes]:
        """The lines of an object, with their ends."""

    def create(self, key: str, content: bytes | IO[bytes]) -> bool:
        """Whether there is now such an object; False where there was one already, or maybe this very one."""

    def digest(self, key: str) -> str | None:
        """SHA-256 (hex) of what was created there; None if nothing was."""


class Folder:
    """A folder of the file system, as a bucket."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[str, tuple[int, ...]] = {}

    def _path(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/") or "\0" in key:
            raise MissingError("the key leads out of the folder")
        return self.root / key

    def source(self, key: str, version: str = "") -> Source:
        """The etag is the SHA-256 of the content, so a copy of a file is the same source."""
        with self._open(key) as file:
            self._seen[key] = _identity(file)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Source("", key, "", digest, file.tell())

    def blocks(self, source: Source, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        if source.key not in self._seen and self.source(source.key) != source:
            raise ChangedError("the file has changed")
        with self._open(source.key) as file:
            file.seek(begin)
            left = (source.bytes if end is None else end) - begin
            while left > 0 and (block := file.read(min(left, BLOCK))):
                if _identity(file) != self._seen[source.key]:
                    raise ChangedError("the file has changed")
                left -= len(block)
                yield block
            if left > 0 or _identity(file) != self._seen[source.key]:
                raise ChangedError("the file has changed")

    def get(self, key: str) -> bytes:
        with self._open(key) as file:
            return file.read()

    def lines(self, key: str) -> Iterator[bytes]:
        with self._open(key) as file:
            yield from file

    def create(self, key: str, content: bytes | IO[bytes]) -> bool:
        """Written aside, then linked to its name, which only succeeds where there is none (POSIX link)."""
        path = self._path(key)
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                _copy(content, file)
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.link(aside, path)
        except FileExistsError:
            return False
        finally:
            os.unlink(aside)  # noqa: PTH108
        return True

    def digest(self, key: str) -> str | None:
        try:
            with self._open(key) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except MissingError:
            return None

    def _open(self, key: str) -> BufferedReader:
        try:
            return self._path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise MissingError("there is no such file") from None
        except PermissionError:
            raise DeniedError("the file may not be read") from None


def _identity(file: IO[bytes]) -> tuple[int, ...]:
    """What changes when a file does; cheaper than its digest."""
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _copy(content: bytes | IO[bytes], file: IO[bytes]) -> None:
    stream = BytesIO(content) if isinstance(content, bytes) else content
    stream.seek(0)
    while block := stream.read(BLOCK):
        file.write(block)
    file.flush()
    os.fsync(file.fileno())


# Amazon S3

_PERHAPS_LATER = {  # "409: retry" is S3's own advice for a conditional write that meets another; botocore does not
    "500", "502", "503", "504", "409", "InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout",
    "Throttling", "RequestTimeTooSkewed", "ConditionalRequestConflict", "OperationAborted", "KMS.ThrottlingException",
    "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody",
}  # fmt: skip
_MISSING = {"404", "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "405", "MethodNotAllowed"}  # 405: a delete marker
_CHANGED = {"412", "PreconditionFailed", "416", "InvalidRange"}
_SHA256 = "sha256"  # the name of the metadata that holds it


class S3:
    """A bucket. Reads name an ETag, and a version where there is one; writes ask that there be nothing yet."""

    def __init__(self, bucket: str, client: Any = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self.bucket, self.client, self.sleep = bucket, client or _client(), sleep

    def source(self, key: str, version: str = "") -> Source:
        found = self._try(lambda: self.client.head_object(Bucket=self.bucket, Key=key, **_versioned(version)))
        version = version or found.get("VersionId", "")
        version = "" if version == "null" else version
        return Source(self.bucket, key, version, found["ETag"].strip('"'), found["ContentLength"])

    def blocks(self, source: Source, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        end = source.bytes if end is None else end
        for start in range(begin, end, BLOCK):
            yield self._range(source, start, min(start + BLOCK, end))

    def _range(self, source: Source, begin: int, end: int) -> bytes:
        wanted = {"Range": f"bytes={begin}-{end - 1}", "IfMatch": f'"{source.etag}"', **_versioned(source.version)}
        return self._read(source.key, **wanted)

    def get(self, key: str) -> bytes:
        return self._read(key)

    def _read(self, key: str, **wanted: str) -> bytes:
        """Whole, or read again: a body can end early, too."""

        def read() -> bytes:
            found = self.client.get_object(Bucket=self.bucket, Key=key, **wanted)
            body: bytes = found["Body"].read()
            if len(body) != found["ContentLength"]:
                raise UnavailableError("a read ended early")
            return body

        return self._try(read)

    def lines(self, key: str) -> Iterator[bytes]:
        held = b""
        for block in self.blocks(self.source(key)):
            *whole, held = BytesIO(held + block).readlines() or [b""]
            if held.endswith(b"\n"):
                whole, held = [*whole, held], b""
            yield from whole
        if held:
            yield held

    def create(self, key: str, content: bytes | IO[bytes]) -> bool:
        digest = sha256(content)

        def put() -> bool:
            stream = BytesIO(content) if isinstance(content, bytes) else content
            stream.seek(0)
            facts = {"Metadata": {_SHA256: digest}, "IfNoneMatch": "*"}
            self.client.put_object(Bucket=self.bucket, Key=key, Body=stream, **facts)
            return True

        try:
            return self._try(put)
        except ChangedError:  # there is one; maybe ours, of an attempt whose answer was lost
            return False

    def digest(self, key: str) -> str | None:
        try:
            found = self._try(lambda: self.client.head_object(Bucket=self.bucket, Key=key))
        except MissingError:
            return None
        return str(found["Metadata"].get(_SHA256, ""))

    def _try(self, call: Callable[[], T]) -> T:
        """Full jitter: Brooker 2015, "Exponential Backoff And Jitter"."""
        last = ""
        for attempt in range(ATTEMPTS):
            try:
                return call()
            except Exception as error:
                last = _judged(error)
            if attempt < ATTEMPTS - 1:
                self.sleep(random.uniform(0, FIRST_WAIT * 2**attempt))
        raise UnavailableError(f"S3 has not answered well in {ATTEMPTS} attempts; at last: {last}")


def _judged(error: Exception) -> str:
    """In a word, what was wrong, if another try is worth it. Messages are our own: S3's repeat what was sent."""
    import botocore.exceptions as botocore

    if isinstance(error, botocore.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = str(error.response["ResponseMetadata"].get("HTTPStatusCode", ""))
        if not {code, status} & _PERHAPS_LATER or code in _MISSING | _CHANGED:
            _refuse(code, status)
        return code or status
    if isinstance(error, botocore.NoCredentialsError | botocore.ParamValidationError | botocore.NoRegionError):
        raise DeniedError(f"S3 cannot be asked: {type(error).__name__}") from None
    if not isinstance(error, StorageError | botocore.HTTPClientError | botocore.BotoCoreError | OSError):
        raise error
    return type(error).__name__


def _refuse(code: str, status: str) -> NoReturn:
    if {code, status} & _MISSING:
        raise MissingError(f"S3 has no such object ({code})") from None
    if {code, status} & _CHANGED:
        raise ChangedError(f"S3 has another object there ({code})") from None
    raise DeniedError(f"S3 refuses ({code or status})") from None  # access, KMS keys, and whatever trying won't mend


def _versioned(version: str) -> dict[str, str]:
    return {"VersionId": version} if version else {}


def sha256(content: bytes | IO[bytes]) -> str:
    """Of all of it, in hex."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    content.seek(0)
    digest = hashlib.sha256()
    while block := content.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _client() -> Any:
    import boto3  # 120 ms of a cold start, which the API has no use for
    from botocore.config import Config

    # One attempt: ours are the ones that count, and they know what a lost answer means.
    once = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=30)
    return boto3.client("s3", config=once)
