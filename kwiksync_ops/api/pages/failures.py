"""What went wrong, as a page: what happened, and what to do about it."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.pages.links import links_of
from kwiksync_ops.api.problems import RefusedError, request_id, retry_after, status_of
from kwiksync_ops.errors import ConfigurationError, KwikSyncError, ValidationError

log = logging.getLogger(__name__)

TITLES = {
    HTTPStatus.UNAUTHORIZED: "Your session has ended",
    HTTPStatus.FORBIDDEN: "You have no access to this",
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.UNPROCESSABLE_ENTITY: "This can't be understood",
    HTTPStatus.BAD_REQUEST: "This can't be understood",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many pages at once",
    HTTPStatus.SERVICE_UNAVAILABLE: "The hub does not answer",
}


def add_handlers(app: FastAPI) -> None:
    app.exception_handler(KwikSyncError)(_known)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_of_http)
    app.exception_handler(Exception)(_unexpected)


def _known(request: Request, error: KwikSyncError) -> HTMLResponse:
    status = error.status if isinstance(error, RefusedError) else status_of(error)
    answer = _failure(request, status, error.code, error.message, error.remedy)
    if wait_s := retry_after(error):
        answer.headers["Retry-After"] = wait_s
    return answer


def _invalid(request: Request, error: RequestValidationError) -> HTMLResponse:
    faults = [f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}" for fault in error.errors()]
    remedy = "Correct the address, or begin again from the page's form."
    return _failure(request, HTTPStatus.UNPROCESSABLE_ENTITY, ValidationError.code, "; ".join(faults), remedy)


def _of_http(request: Request, error: HTTPException) -> HTMLResponse:
    known = {404: f"There is no page {request.url.path}.", 405: f"{request.method} is not for a page."}
    text = known.get(error.status_code, str(error.detail))
    return _failure(request, error.status_code, ConfigurationError.code, text, "The navigation leads to all pages.")


def _unexpected(request: Request, error: Exception) -> HTMLResponse:
    log.error("page %s failed unexpectedly", request_id(request), exc_info=error)
    message = "Something failed that should not. The log of the api-server holds it under this page's id."
    return _failure(request, 500, KwikSyncError.code, message, "Tell your administrator the id below.")


def _failure(request: Request, status: int, code: str, message: str, remedy: str) -> HTMLResponse:
    title = TITLES.get(HTTPStatus(status), "This did not work")
    login = links_of(request).login(request.url.path) if status == HTTPStatus.UNAUTHORIZED else None
    told = {"title": title, "code": code, "message": message, "remedy": remedy, "login": login}
    return show(request, "failure.html", status=status, request_id=request_id(request), **told)
