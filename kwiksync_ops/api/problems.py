"""Errors as callers get them: `{code, message, detail, request_id}`, with the status that HTTP has for them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from kwiksync_ops.api.guard import HEADERS
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    CustomerKeyError,
    HubError,
    KwikSyncError,
    LeaseError,
    RateLimitError,
    ValidationError,
)

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """What went wrong, and what to do about it."""

    code: str = Field(examples=["ERR_014"], description="One of the product's error codes.")
    message: str = Field(examples=["There is no record table 'tikets'. Did you mean 'tickets'?"])
    detail: str = Field(examples=["Use one of: locations, projects, tickets."], description="What to do about it.")
    request_id: str = Field(examples=["5f2c7c0e8d0b4f0c9a6f1f2f3a4b5c6d"], description="Name it when you ask for help.")


class RefusedError(AuthenticationError):
    """The caller may not: `status` is 401 for nobody and for credentials that are not valid, else 403."""

    def __init__(self, message: str, *, status: HTTPStatus, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class NotFoundError(ConfigurationError):
    """There is nothing of that name."""


class TooManyCallsError(RateLimitError):
    """The caller has used up its calls."""


class KeyReusedError(ConfigurationError):
    """An Idempotency-Key came again with another body."""


_STATUS: Mapping[type[KwikSyncError], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    KeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyCallsError: HTTPStatus.TOO_MANY_REQUESTS,
    CustomerKeyError: HTTPStatus.UNAUTHORIZED,
    ConfigurationError: HTTPStatus.BAD_REQUEST,
    ValidationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ConflictError: HTTPStatus.CONFLICT,
    LeaseError: HTTPStatus.CONFLICT,
    HubError: HTTPStatus.SERVICE_UNAVAILABLE,
}

DESCRIBED: dict[int | str, dict[str, Any]] = {
    status.value: {"model": Problem, "description": status.phrase}
    for status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
}
"""The problems that any route may answer, for the OpenAPI document."""


def add_handlers(app: FastAPI) -> None:
    app.exception_handler(KwikSyncError)(_known)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_of_http)
    app.exception_handler(UnicodeEncodeError)(_half_a_character)
    app.exception_handler(Exception)(_unexpected)


def problem(request: Request, status: int, code: str, message: str, detail: str, **headers: str) -> JSONResponse:
    """The answer that tells of a problem."""
    told = Problem(code=code, message=message, detail=detail, request_id=request_id(request))
    return JSONResponse(told.model_dump(), status, headers=headers)


def request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))


def _known(request: Request, error: KwikSyncError) -> JSONResponse:
    status = error.status if isinstance(error, RefusedError) else status_of(error)
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if wait_s := retry_after(error):
        headers["Retry-After"] = wait_s
    return problem(request, status, error.code, _told(request, error), error.remedy, **headers)


def _told(request: Request, error: KwikSyncError) -> str:
    """Where the hub is, and what its database says, is not for whoever calls."""
    if not isinstance(error, HubError):
        return error.message
    log.error("request %s: %s", request_id(request), error.message)
    return "The hub database failed. The log of the api-server says how, under this request's id."


def retry_after(error: KwikSyncError) -> str | None:
    """Whole seconds, where it is known when to come again."""
    if isinstance(error, RateLimitError) and error.retry_after_s is not None:
        return str(max(1, round(error.retry_after_s + 0.5)))
    return None


def status_of(error: KwikSyncError) -> HTTPStatus:
    kinds = (kind for kind in type(error).__mro__ if kind in _STATUS)
    return _STATUS.get(next(kinds, KwikSyncError), HTTPStatus.SERVICE_UNAVAILABLE)


def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    faults = [_fault(fault) for fault in error.errors()]
    detail = "See the OpenAPI document for what is taken."
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, ValidationError.code, "; ".join(faults), detail)


def _fault(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "json_invalid":
        return f"The body is not JSON: {fault['ctx']['error']}, at character {fault['loc'][-1]}"
    return f"{'.'.join(str(part) for part in fault['loc'][1:]) or 'body'}: {fault['msg']}"


def _half_a_character(request: Request, _error: UnicodeEncodeError) -> JSONResponse:
    """JSON can write half of a surrogate pair, and nothing else can."""
    message = "A text of the call holds half a surrogate pair, which is no character."
    return problem(
        request, HTTPStatus.UNPROCESSABLE_ENTITY, ValidationError.code, message, "Write the character whole."
    )


def _of_http(request: Request, error: HTTPException) -> JSONResponse:
    message = {404: f"There is nothing at {request.url.path}.", 405: f"{request.method} is not for this address."}
    text = message.get(error.status_code, str(error.detail))
    detail = "The OpenAPI document lists what there is."
    headers = dict(error.headers or {})
    return problem(request, error.status_code, ConfigurationError.code, text, detail, **headers)


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("request %s failed unexpectedly", request_id(request), exc_info=error)
    message = "Something failed that should not. The log of the api-server holds it under this request's id."
    headers = HEADERS | {"X-Request-Id": request_id(request)}  # answered outside of the guard
    return problem(request, 500, KwikSyncError.code, message, "Tell your administrator the request_id.", **headers)
