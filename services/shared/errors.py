"""Every error Valvomo raises on purpose, sorted by what the caller does next.

PlatformError
├── ConfigurationError      stop at start-up; the operator changes a setting
├── TransientError          try again, after `retry_after_seconds` when given
│   └── StalePositionError  another consumer has moved on; drop the batch and read the positions again
├── InvalidEventError       no retry helps; the record goes to the dead-letter topic
├── IncompatibleStoreError  the database or topic was made by another version, or is not ours
└── SourceError             one vendor failed; the others carry on
    ├── SourceRejectedError     credentials or request refused
    └── SourceChangedError      the answer lacks a field we read, or is not what it says it is

A message says what was found, what was expected and what to do. It never holds a secret, a name or free text of a
vendor: it may end in a log line.
"""


class PlatformError(Exception):
    """Base of every error that Valvomo raises on purpose."""


class ConfigurationError(PlatformError):
    """A setting, a file or a credential is wrong; the program stops until a person has changed it."""


class TransientError(PlatformError):
    """The other side is busy or away; the same call may succeed later.

    Attributes:
        retry_after_seconds: how long the other side asked us to wait, or None when it did not say.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StalePositionError(TransientError):
    """A stored bus position is not the one that was read: this consumer was replaced while it worked."""


class InvalidEventError(PlatformError):
    """A record that no retry can help."""


class IncompatibleStoreError(PlatformError):
    """A database or a topic exists but is not what this version of the program needs."""


class SourceError(PlatformError):
    """One vendor's interface failed; other sources carry on."""


class SourceRejectedError(SourceError):
    """The vendor refused our credentials or our request."""


class SourceChangedError(SourceError):
    """The vendor's answer is not of the shape we read."""
