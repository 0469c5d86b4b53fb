"""Every exception that Candor raises by design.

CandorError
├── BundleError            the model bundle is missing, damaged, or not the one that was deployed
├── InterpreterError       no TensorFlow Lite runtime is installed, or it refuses the model
├── InternalError          unexpected exception, reported by type and source line only
├── HintedError            it says what to do about it
├── RowsError              (candor.batch.rows) the file cannot be read; trying again will not help
├── JobError               a batch job cannot continue
│   ├── EventError         the event does not ask for a job
│   ├── ModelChangedError  the job was planned with a different model
│   ├── CodeChangedError   the job was planned by other code
│   ├── ConflictError      an object exists with different content from what this job would write
│   └── OutOfTimeError     stopped before the Lambda timeout; retry with smaller chunks
└── StorageError           an object cannot be read or written
    ├── UnavailableError   transient storage failure; retry
    ├── MissingError       the object does not exist
    ├── ChangedError       the object was replaced after it was first read
    └── DeniedError        the caller lacks a permission on the object or on its encryption key

No message contains a caller's text. The state machine (functions/batch.asl.json) retries by the names of these classes.
"""


class CandorError(Exception):
    """Base class of every exception in this tree."""


class HintedError(CandorError):
    """An error that says what to do about it.

    Args:
        problem: What is wrong, in one line; never a user's text.
        hint: What to do about it.

    Example:
        >>> str(HintedError("the folder is empty", "name another"))
        'the folder is empty; name another'
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem, hint)
        self.problem, self.hint = problem, hint

    def __str__(self) -> str:
        return f"{self.problem}; {self.hint}" if self.hint else self.problem


class BundleError(CandorError):
    """The model bundle is missing, damaged, or not the one that was deployed."""


class InterpreterError(CandorError):
    """No TensorFlow Lite runtime is installed, or it refuses the model."""


class InternalError(CandorError):
    """Unexpected exception, reported by type and source line only."""


class JobError(CandorError):
    """A batch job cannot continue."""


class EventError(JobError):
    """The event does not ask for a job."""


class ModelChangedError(JobError):
    """The job was planned with a different model."""


class CodeChangedError(JobError):
    """The job was planned by other code."""


class ConflictError(JobError):
    """An object exists with different content from what this job would write."""


class OutOfTimeError(JobError):
    """Stopped before the Lambda timeout; retry with smaller chunks."""


class StorageError(CandorError):
    """An object cannot be read or written."""


class UnavailableError(StorageError):
    """Transient storage failure; retry."""


class MissingError(StorageError):
    """The object does not exist."""


class ChangedError(StorageError):
    """The object was replaced after it was first read."""


class DeniedError(StorageError):
    """The caller lacks a permission on the object or on its encryption key."""
