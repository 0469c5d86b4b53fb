"""Every error of Candor's own.

CandorError
├── BundleError       the model's files are missing, damaged, or not the ones that were deployed
├── InterpreterError  no TensorFlow Lite runtime is installed, or it refuses the model
├── InternalError     anything unforeseen, by its kind and place alone
├── RowsError         (candor.rows) a file of texts that cannot be read as a whole, whatever is tried
├── JobError          a batch job that cannot go on
│   ├── EventError         the event does not ask for a job
│   ├── ModelChangedError  the job was planned with another model
│   ├── ConflictError      there are other bytes where this job's would go
│   └── OutOfTimeError     stopped before the clock did; try again
└── StorageError      an object that cannot be read or written
    ├── UnavailableError   for now; try again
    ├── MissingError       there is no such object
    ├── ChangedError       it is no longer the object that was asked for
    └── DeniedError        access, or the key that it is encrypted with, is denied

No message ever carries a caller's text.
"""


class CandorError(Exception):
    """The root of the tree."""


class BundleError(CandorError):
    """The model's files are missing, damaged, or not the ones that were deployed."""


class InterpreterError(CandorError):
    """No TensorFlow Lite runtime is installed, or the one that is refuses the model."""


class InternalError(CandorError):
    """Anything unforeseen, by its kind and place alone."""


class JobError(CandorError):
    """A batch job that cannot go on."""


class EventError(JobError):
    """The event does not ask for a job."""


class ModelChangedError(JobError):
    """The job was planned with another model than the one that is here."""


class ConflictError(JobError):
    """There are other bytes where this job's would go."""


class OutOfTimeError(JobError):
    """Stopped before the clock did; try again."""


class StorageError(CandorError):
    """An object that cannot be read or written."""


class UnavailableError(StorageError):
    """For now; try again."""


class MissingError(StorageError):
    """There is no such object."""


class ChangedError(StorageError):
    """It is no longer the object that was asked for."""


class DeniedError(StorageError):
    """Access, or the key that the object is encrypted with, is denied."""
