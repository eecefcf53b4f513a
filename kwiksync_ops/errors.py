"""Every error that KWikSync raises. The type says the recovery, the code says what happened.

`FatalError`: waiting does not help, the run fails at once. `RetriableError`: the operation is retried after 1, 5 and
15 minutes. `RecordError`: only this record is rejected, and kept in the Error Log.
"""

from __future__ import annotations

from typing import ClassVar


class KwikSyncError(Exception):
    """Base of all errors: `code` is the product's `ERR_nnn`, `remedy` says what the reader can do."""

    code: ClassVar[str] = "ERR_099"

    def __init__(self, message: str, *, remedy: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.facts = facts

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        return f"{text} Remedy: {self.remedy}" if self.remedy else text


class FatalError(KwikSyncError):
    """Waiting does not make it better."""


class RetriableError(KwikSyncError):
    """It may pass. `retry_after_s` is how long the other side asked us to wait, where it said so."""

    def __init__(self, message: str, *, remedy: str = "", retry_after_s: float | None = None, **facts: object) -> None:
        super().__init__(message, remedy=remedy, **facts)
        self.retry_after_s = retry_after_s


class RecordError(KwikSyncError):
    """One record can't be taken; the others can."""


class CustomerKeyError(FatalError):
    """The system refused the Customer Key, or there is none to send."""

    code = "ERR_001"


class ConnectionTimeoutError(RetriableError):
    """The system did not answer in time."""

    code = "ERR_002"


class AuthenticationError(FatalError):
    """The system refused the credentials."""

    code = "ERR_003"


class MappingError(RecordError):
    """A transform has no result for this record."""

    code = "ERR_004"


class DuplicateRecordError(RecordError):
    """Two records claim one identity."""

    code = "ERR_005"


class MissingFieldError(RecordError):
    """A required field has no value."""

    code = "ERR_006"


class RateLimitError(RetriableError):
    """The system says that it was called too often."""

    code = "ERR_007"


class ValidationError(RecordError):
    """A value breaks a validation rule or does not fit its column."""

    code = "ERR_008"


class ConflictError(RecordError):
    """Both sides changed the same field."""

    code = "ERR_009"


class LeaseError(RetriableError):
    """Another sync runs, or took over while this one was stopped."""

    code = "ERR_010"


class SystemUnavailableError(RetriableError):
    """The system can't be reached, failed, or answered nonsense."""

    code = "ERR_011"


class ConnectionLostError(SystemUnavailableError):
    """The connection broke in the middle of a call; a call that changes nothing may be sent again at once."""


class HubError(RetriableError):
    """The hub database refused, is locked, full or away."""

    code = "ERR_012"


class UnconfirmedError(FatalError):
    """A delivery whose outcome can't be known."""

    code = "ERR_013"


class ConfigurationError(FatalError):
    """A system, mapping or setting is not valid. `faults` lists every one of them, a line each."""

    code = "ERR_014"

    def __init__(self, message: str, *, faults: tuple[str, ...] = (), remedy: str = "", **facts: object) -> None:
        super().__init__("\n  ".join((message, *faults)), remedy=remedy, **facts)
        self.faults = faults


class ErrorBudgetError(FatalError):
    """More records were rejected than the system's error budget allows."""

    code = "ERR_015"


class DeleteGuardError(ErrorBudgetError):
    """More records would be deleted than the table's guard allows."""


class InsecureTransportError(FatalError):
    """An address that is not HTTPS, leaves the system's host, or lies in a private network that is not allowed."""

    code = "ERR_016"
