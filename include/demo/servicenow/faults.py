"""What goes wrong at an instance, or between it and its callers: once or more, on the calls that it is meant for."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from servicenow.messages import HTML_TYPE, JSON_TYPE, ApiError, Request, Response, json_response

CANCELLED = "Transaction cancelled: maximum execution time exceeded"
CANCELLED_DETAIL = (
    f"{CANCELLED} Check logs for error trace or enable glide.rest.debug property to verify REST request processing"
)
MAINTENANCE_PAGE = (
    b"<html><head><title>Maintenance</title></head><body>This instance is under maintenance.</body></html>"
)
HIBERNATING_PAGE = (
    b"<html><head><title>Instance Hibernating page</title></head>"
    b"<body><h1>Your instance is hibernating</h1></body></html>"
)
GATEWAY_PAGE = b"<html><body><h1>Service unavailable</h1></body></html>"


class FaultKind(StrEnum):
    """What a fault does.

    Of the cancelled ones, a full result and an error stand in a 200: as an `error` key alone, as a string in `result`,
    or as an error behind the records that were already on their way. `TIMEOUT` never answers, `RESET` ends the
    connection with a TCP reset in the middle of the body, `CUT` closes it there, `LOST` resets it before any answer.
    """

    RATE_LIMITED = "rate_limited"
    QUEUE_FULL = "queue_full"
    CANCELLED_ERROR = "cancelled_error"
    CANCELLED_RESULT = "cancelled_result"
    CANCELLED_TAIL = "cancelled_tail"
    DROPPED = "dropped"
    MAINTENANCE = "maintenance"
    HIBERNATING = "hibernating"
    SERVER_ERROR = "server_error"
    GATEWAY_ERROR = "gateway_error"
    BROKEN_BODY = "broken_body"
    TIMEOUT = "timeout"
    RESET = "reset"
    CUT = "cut"
    LOST = "lost"


CONNECTION_FAULTS = frozenset({FaultKind.TIMEOUT, FaultKind.RESET, FaultKind.CUT, FaultKind.LOST})
AFTER_WORK = frozenset({FaultKind.CANCELLED_TAIL, FaultKind.BROKEN_BODY, FaultKind.RESET, FaultKind.CUT})


@dataclass
class Fault:
    """A fault for the calls that it fits.

    Attributes:
        path: part of the path that a call must have.
        method: that a call must have; empty for any.
        times: how many calls it strikes; None is all.
        skip: how many fitting calls go well first.
        is_done: the call's work is done although the caller is not told; some kinds do it always.
        status: of server and gateway errors.
        retry_after_s: that a 429 of a rate limit asks for.
    """

    kind: FaultKind
    path: str = ""
    method: str = ""
    times: int | None = 1
    skip: int = 0
    is_done: bool = False
    status: int = 503
    retry_after_s: int = 1

    @property
    def works_first(self) -> bool:
        return self.is_done or self.kind in AFTER_WORK

    @property
    def disturbance(self) -> FaultKind | None:
        """What is done to the connection."""
        return self.kind if self.kind in CONNECTION_FAULTS else None

    def fits(self, request: Request) -> bool:
        return self.path in request.path and self.method in ("", request.method)

    def strikes(self, request: Request) -> bool:
        """Whether it is this call that goes wrong; counts. An item of a batch has no connection to break."""
        if self.times == 0 or not self.fits(request) or (request.is_item and self.disturbance):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def spoil(self, sound: Response) -> Response:
        """What the caller gets instead of a sound answer."""
        return _SPOILED[self.kind](self, sound) if self.kind in _SPOILED else sound


class Faults:
    """The faults that are to come, in the order in which they were added."""

    def __init__(self) -> None:
        self._faults: deque[Fault] = deque()

    def add(self, kind: FaultKind | str, **settings: object) -> Fault:
        """`settings` are those of `Fault`."""
        fault = Fault(FaultKind(kind), **settings)  # type: ignore[arg-type]  # checked by the dataclass's signature
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def take(self, request: Request) -> Fault | None:
        return next((fault for fault in self._faults if fault.strikes(request)), None)


def _rate_limited(fault: Fault, _sound: Response) -> Response:
    headers = {"Retry-After": str(fault.retry_after_s)}
    return ApiError(429, "Rate limit exceeded", "Rejected request: too many requests", headers).response()


def _queue_full(_fault: Fault, _sound: Response) -> Response:
    return Response(429, b"", {})


def _error_in_200(_fault: Fault, _sound: Response) -> Response:
    error = {"message": CANCELLED, "detail": CANCELLED_DETAIL}
    return json_response({"error": error, "status": "failure"})


def _string_in_200(_fault: Fault, _sound: Response) -> Response:
    return json_response({"result": CANCELLED})


def _tail_in_200(_fault: Fault, sound: Response) -> Response:
    """The first half of the records, and behind them the error."""
    value = json.loads(sound.body or b"{}")
    result = value.get("result")
    half = result[: len(result) // 2] if isinstance(result, list) else result
    error = {"message": CANCELLED, "detail": CANCELLED_DETAIL}
    return json_response({"result": half, "error": error, "status": "failure"}, sound.status, sound.headers)


def _server_error(fault: Fault, _sound: Response) -> Response:
    return ApiError(fault.status, "Internal error", "Check logs for error trace").response()


def _gateway_error(fault: Fault, _sound: Response) -> Response:
    return Response(fault.status, GATEWAY_PAGE, {"Content-Type": HTML_TYPE})


def _broken_body(_fault: Fault, sound: Response) -> Response:
    return Response(sound.status, sound.body[: len(sound.body) // 2], {**sound.headers, "Content-Type": JSON_TYPE})


_SPOILED = {
    FaultKind.RATE_LIMITED: _rate_limited,
    FaultKind.QUEUE_FULL: _queue_full,
    FaultKind.CANCELLED_ERROR: _error_in_200,
    FaultKind.CANCELLED_RESULT: _string_in_200,
    FaultKind.CANCELLED_TAIL: _tail_in_200,
    FaultKind.DROPPED: lambda _fault, _sound: Response(202, b"", {}),
    FaultKind.MAINTENANCE: lambda _fault, _sound: Response(200, MAINTENANCE_PAGE, {"Content-Type": HTML_TYPE}),
    FaultKind.HIBERNATING: lambda _fault, _sound: Response(200, HIBERNATING_PAGE, {"Content-Type": HTML_TYPE}),
    FaultKind.SERVER_ERROR: _server_error,
    FaultKind.GATEWAY_ERROR: _gateway_error,
    FaultKind.BROKEN_BODY: _broken_body,
}
