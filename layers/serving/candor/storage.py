"""Storage of inputs and results: an S3 bucket, or a folder that behaves like one.

Both create an object whole or not at all, and only if it is absent. S3 retries transient failures a few times and then
raises UnavailableError. This is the only module that imports boto3.
"""

import hashlib
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol, TypeVar

from candor.errors import ChangedError, DeniedError, MissingError, StorageError, UnavailableError

ATTEMPTS = 5
FIRST_WAIT = 0.2  # seconds, the longest first wait; it doubles with each attempt
BLOCK = 8 << 20  # bytes of one ranged read
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """One version of one object. Reads return its content or raise ChangedError."""

    bucket: str
    """Empty for a folder."""
    key: str
    version: str
    """Empty if the bucket keeps no versions."""
    etag: str
    """S3's ETag; for a folder the SHA-256 (hex) of the content."""
    bytes: int
    """Size of the content."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, as a manifest holds them."""
        return asdict(self)


class Store(Protocol):
    """The operations that a job needs from a bucket. Each raises StorageError."""

    def source(self, key: str, version: str = "") -> Source:
        """Return the current version of an object, or the given one."""

    def blocks(self, source: Source, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield bytes [begin, end) of a source. Raises ChangedError once the object is no longer that source."""

    def get(self, key: str) -> bytes:
        """Return the content of an object."""

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield the lines of an object, line ends included."""

    def create(self, key: str, content: bytes | IO[bytes]) -> bool:
        """Create an object if it is absent.

        Returns:
            True if this call created the object; False if it exists, possibly from an earlier attempt of this call.
        """

    def digest(self, key: str) -> str | None:
        """Return the SHA-256 (hex) of an object that create() wrote; None if there is no such object."""

    def files(self, prefix: str) -> list[str]:
        """Return the names of the objects directly below a prefix that ends in "/", in order."""

    def record(self, key: str, digest: str) -> None:
        """Remember the SHA-256 (hex) of an object that is about to be created."""

    def recorded(self, key: str) -> str | None:
        """Return the digest that an object was created with; None if none is known."""

    def forget(self, key: str) -> None:
        """Forget the digest of an object."""


class Folder:
    """A folder of the file system with the operations of a bucket.

    Example:
        >>> with tempfile.TemporaryDirectory() as path:
        ...     folder = Folder(Path(path))
        ...     folder.create("a.txt", b"one"), folder.create("a.txt", b"two"), folder.get("a.txt")
        (True, False, b'one')
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._identities: dict[str, tuple[int, ...]] = {}

    def _path(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/") or "\0" in key:
            raise MissingError("the key points outside the folder")
        return self.root / key

    def source(self, key: str, version: str = "") -> Source:
        """Return the file as a source. Its ETag is the content's SHA-256, so a copy of a file is the same source."""
        with self._open(key) as file:
            self._identities[key] = _identity(file)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Source("", key, "", digest, file.tell())

    def blocks(self, source: Source, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield bytes [begin, end) of a source. Raises ChangedError once the file is modified."""
        if source.key not in self._identities and self.source(source.key) != source:
            raise _changed(source.key)
        with self._open(source.key) as file:
            file.seek(begin)
            left = (source.bytes if end is None else end) - begin
            while left > 0 and (block := file.read(min(left, BLOCK))):
                if _identity(file) != self._identities[source.key]:
                    raise _changed(source.key)
                left -= len(block)
                yield block
            if left > 0 or _identity(file) != self._identities[source.key]:
                raise _changed(source.key)

    def get(self, key: str) -> bytes:
        """Return the content of a file."""
        with self._open(key) as file:
            return file.read()

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield the lines of a file, line ends included."""
        with self._open(key) as file:
            yield from file

    def create(self, key: str, content: bytes | IO[bytes]) -> bool:
        """Create a file if it is absent: write a temporary one, then link it to its name (POSIX link is atomic)."""
        path = self._path(key)
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                _copy(content, file)
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)  # noqa: PTH108
        return True

    def digest(self, key: str) -> str | None:
        """Return the SHA-256 (hex) of a file, or None if there is no such file."""
        try:
            with self._open(key) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except MissingError:
            return None

    def files(self, prefix: str) -> list[str]:
        """Return the names of the files directly below a prefix that ends in "/", in order, without hidden ones."""
        try:
            found = [path.name for path in self._path(prefix).iterdir() if not path.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in found if not name.startswith("."))

    def record(self, key: str, digest: str) -> None:
        """Remember the SHA-256 (hex) of a file that is about to be created, in a hidden file beside it."""
        self.replace(_record(key), digest.encode(), synchronise=False)  # its loss costs no more than the part's

    def recorded(self, key: str) -> str | None:
        """Return the digest that a file was created with; None if none is known."""
        try:
            return self.get(_record(key)).decode("ascii", "replace")
        except MissingError:
            return None

    def forget(self, key: str) -> None:
        """Forget the digest of a file."""
        self.remove(_record(key))

    def replace(self, key: str, content: bytes, synchronise: bool = True) -> None:
        """Write a file whole or not at all, in place of the one that is there."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                _copy(content, file, synchronise)
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.replace(temporary, path)  # noqa: PTH105
        except BaseException:
            os.unlink(temporary)  # noqa: PTH108
            raise

    def remove(self, key: str) -> None:
        """Remove a file, if it is there."""
        self._path(key).unlink(missing_ok=True)

    def folders(self, prefix: str = "") -> list[str]:
        """Return the names of the folders directly below a prefix, "" or one that ends in "/", in order."""
        try:
            return sorted(path.name for path in self._path(prefix).iterdir() if path.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _open(self, key: str) -> BufferedReader:
        try:
            return self._path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise MissingError(f"{key} does not exist or is not a file") from None
        except PermissionError:
            raise DeniedError(f"{key} cannot be read: permission denied") from None


def _identity(file: IO[bytes]) -> tuple[int, ...]:
    """Return what a modification changes: device, inode, size and time. Cheaper than a digest."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _record(key: str) -> str:
    folder, slash, name = key.rpartition("/")
    return f"{folder}{slash}.{name}.sha256"


def _changed(key: str) -> ChangedError:
    return ChangedError(f"{key} was modified while it was read; run the command again")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _copy(content: bytes | IO[bytes], file: IO[bytes], synchronise: bool = True) -> None:
    stream = BytesIO(content) if isinstance(content, bytes) else content
    stream.seek(0)
    while block := stream.read(BLOCK):
        file.write(block)
    file.flush()
    if synchronise:
        os.fsync(file.fileno())


# Amazon S3

_TRANSIENT = {  # "409: retry" is S3's own advice for a conditional write that meets another; botocore does not retry it
    "500", "502", "503", "504", "409", "InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout",
    "Throttling", "RequestTimeTooSkewed", "ConditionalRequestConflict", "OperationAborted", "KMS.ThrottlingException",
    "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody",
}  # fmt: skip
_MISSING = {"404", "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "405", "MethodNotAllowed"}  # 405: a delete marker
_CHANGED = {"412", "PreconditionFailed", "416", "InvalidRange"}
_FORBIDDEN = {"401", "403", "AccessDenied"}
_SHA256 = "sha256"  # name of the object metadata that holds the digest


class S3:
    """An S3 bucket. Reads name an ETag, and a version if there is one; writes require that the object is absent.

    Args:
        bucket: The bucket's name.
        client: A boto3 S3 client. Default: one that makes a single attempt per call, because this class retries.
        sleep: Waits for a number of seconds between attempts.
    """

    def __init__(self, bucket: str, client: Any = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self.bucket, self.client, self.sleep = bucket, client or _client(), sleep

    def source(self, key: str, version: str = "") -> Source:
        """Return the current version of an object, or the given one."""
        head = self._try(
            "HeadObject", version, lambda: self.client.head_object(Bucket=self.bucket, Key=key, **_versioned(version))
        )
        version = version or head.get("VersionId", "")
        version = "" if version == "null" else version
        return Source(self.bucket, key, version, head["ETag"].strip('"'), head["ContentLength"])

    def blocks(self, source: Source, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield bytes [begin, end) of a source. Raises ChangedError once the object was replaced."""
        end = source.bytes if end is None else end
        for start in range(begin, end, BLOCK):
            yield self._range(source, start, min(start + BLOCK, end))

    def _range(self, source: Source, begin: int, end: int) -> bytes:
        conditions = {"Range": f"bytes={begin}-{end - 1}", "IfMatch": f'"{source.etag}"'}
        return self._read(source.key, source.version, **conditions)

    def get(self, key: str) -> bytes:
        """Return the content of an object."""
        return self._read(key)

    def _read(self, key: str, version: str = "", **conditions: str) -> bytes:
        """Return a whole body. A connection can break after the headers, so a short body is read again."""

        def read() -> bytes:
            answer = self.client.get_object(Bucket=self.bucket, Key=key, **conditions, **_versioned(version))
            body: bytes = answer["Body"].read()
            if len(body) != answer["ContentLength"]:
                raise UnavailableError("the body ended early")
            return body

        return self._try("GetObject", version, read)

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield the lines of an object, line ends included."""
        rest = b""
        for block in self.blocks(self.source(key)):
            *whole, rest = BytesIO(rest + block).readlines() or [b""]
            if rest.endswith(b"\n"):
                whole, rest = [*whole, rest], b""
            yield from whole
        if rest:
            yield rest

    def create(self, key: str, content: bytes | IO[bytes]) -> bool:
        """Create an object if it is absent (If-None-Match), with its SHA-256 as metadata.

        Returns:
            True if this call created the object; False if it exists, possibly from an earlier attempt of this call.
        """
        digest = sha256(content)

        def put() -> bool:
            stream = BytesIO(content) if isinstance(content, bytes) else content
            stream.seek(0)
            options = {"Metadata": {_SHA256: digest}, "IfNoneMatch": "*"}
            self.client.put_object(Bucket=self.bucket, Key=key, Body=stream, **options)
            return True

        try:
            return self._try("PutObject", "", put)
        except ChangedError:  # it exists; an earlier attempt, whose answer was lost, may have created it
            return False

    def digest(self, key: str) -> str | None:
        """Return the SHA-256 (hex) of an object that create() wrote; None if there is no such object."""
        try:
            head = self._try("HeadObject", "", lambda: self.client.head_object(Bucket=self.bucket, Key=key))
        except MissingError:
            return None
        return str(head["Metadata"].get(_SHA256, ""))

    def record(self, key: str, digest: str) -> None:
        """Do nothing: create() keeps the digest with the object."""

    def recorded(self, key: str) -> str | None:
        """Return the digest that an object was created with; None if none is known."""
        return self.digest(key) or None

    def forget(self, key: str) -> None:
        """Do nothing: the digest stays with the object."""

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
        self._try("DeleteObject", "", lambda: self.client.delete_object(Bucket=self.bucket, Key=key))

    def files(self, prefix: str) -> list[str]:
        """Return the names of the objects directly below a prefix that ends in "/", in order."""
        return sorted(
            each["Key"].removeprefix(prefix) for page in self._pages(prefix) for each in page.get("Contents", [])
        )

    def folders(self, prefix: str = "") -> list[str]:
        """Return the names between a prefix, "" or one that ends in "/", and the next "/" of its objects, in order."""
        found = [each["Prefix"] for page in self._pages(prefix) for each in page.get("CommonPrefixes", [])]
        return sorted(name.removeprefix(prefix).rstrip("/") for name in found)

    def _pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield S3's lists of what stands between a prefix and the next "/"."""
        page: dict[str, Any] = {}
        while True:
            more = {"ContinuationToken": page["NextContinuationToken"]} if page else {}
            options = {"Bucket": self.bucket, "Prefix": prefix, "Delimiter": "/", **more}
            page = self._try("ListObjectsV2", "", partial(self.client.list_objects_v2, **options))
            yield page
            if not page.get("IsTruncated"):
                return

    def _try(self, operation: str, version: str, call: Callable[[], T]) -> T:
        """Call S3, with retries after transient failures.

        Waits have full jitter: Brooker 2015, "Exponential Backoff And Jitter".
        """
        reason = ""
        for attempt in range(ATTEMPTS):
            try:
                return call()
            except Exception as error:
                reason = self._transient_reason(error, operation, version)
            if attempt < ATTEMPTS - 1:
                self.sleep(random.uniform(0, FIRST_WAIT * 2**attempt))
        failed = f"S3 {operation} failed on bucket {self.bucket} in {ATTEMPTS} attempts"
        raise UnavailableError(f"{failed}, the last with {reason}; try again later")

    def _transient_reason(self, error: Exception, operation: str, version: str) -> str:
        """Return a word for a transient failure. Raises StorageError for a permanent one, and unknown exceptions.

        Messages are our own, because S3's repeat the request.
        """
        import botocore.exceptions as botocore

        if isinstance(error, botocore.ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = str(error.response["ResponseMetadata"].get("HTTPStatusCode", ""))
            if not {code, status} & _TRANSIENT or code in _MISSING | _CHANGED:
                self._refuse(code, status, operation, version)
            return code or status
        if isinstance(error, botocore.NoCredentialsError | botocore.ParamValidationError | botocore.NoRegionError):
            failed = f"S3 {operation} was not sent to bucket {self.bucket} ({type(error).__name__})"
            raise DeniedError(f"{failed}; check the credentials, the region and the bucket's name") from None
        if not isinstance(error, StorageError | botocore.HTTPClientError | botocore.BotoCoreError | OSError):
            raise error
        return type(error).__name__

    def _refuse(self, code: str, status: str, operation: str, version: str) -> NoReturn:
        """Raise the StorageError of a permanent failure: what S3 refused, and the remedy."""
        bucket, codes = self.bucket, {code, status}
        if code == "NoSuchBucket":
            raise MissingError(f"S3 {operation}: there is no bucket {bucket}") from None
        if codes & _MISSING:
            raise MissingError(f"S3 {operation}: no such object in bucket {bucket} ({code or status})") from None
        if codes & _CHANGED:
            replaced = f"S3 {operation}: the object in bucket {bucket} was replaced ({code or status})"
            raise ChangedError(f"{replaced}; start a new job for the new object") from None
        if code.startswith("KMS."):
            action = "kms:GenerateDataKey" if operation == "PutObject" else "kms:Decrypt"
            denied = f"S3 {operation} failed on bucket {bucket} ({code})"
            raise DeniedError(f"{denied}; the bucket's key must be enabled, and the role needs {action}") from None
        if codes & _FORBIDDEN:
            read = "s3:GetObjectVersion" if version else "s3:GetObject"
            actions = {"PutObject": "s3:PutObject", "ListObjectsV2": "s3:ListBucket", "DeleteObject": "s3:DeleteObject"}
            action = actions.get(operation, read)
            denied = f"S3 {operation} denied on bucket {bucket}; the role needs {action}"
            raise DeniedError(f"{denied} ({code or status})") from None
        raise DeniedError(f"S3 {operation} refused on bucket {bucket} ({code or status})") from None


def _versioned(version: str) -> dict[str, str]:
    return {"VersionId": version} if version else {}


def sha256(content: bytes | IO[bytes]) -> str:
    """Return the SHA-256 (hex) of bytes, or of a whole file whatever its position.

    Example:
        >>> sha256(b"")[:16]
        'e3b0c44298fc1c14'
    """
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

    # One attempt per call: S3._try retries, and knows what a lost answer means.
    once = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=30)
    return boto3.client("s3", config=once)
