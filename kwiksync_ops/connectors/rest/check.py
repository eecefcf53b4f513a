"""What "Test connection" finds."""

from __future__ import annotations

from kwiksync_ops.connectors.http.calls import Call
from kwiksync_ops.connectors.http.refusals import refusal
from kwiksync_ops.connectors.http.template import filled
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.rest.access import RestAccess
from kwiksync_ops.connectors.rest.body import document_of, encode_body
from kwiksync_ops.connectors.rest.told_errors import told_error
from kwiksync_ops.connectors.rest.urls import join_url


def check_system(access: RestAccess) -> str:
    """Call the system once and say what was found. Raises what a read would raise."""
    url = join_url(access.base_url, access.own.check_path)
    shown = access.redactor.url(url)
    what = f"Checking {shown}"
    answer, _ = access.caller(access.own).answer(_call(access, url, what))
    if answer.status in (404, 405):
        return f"{shown} answered {answer.status}: it is reachable. Set check_path to a path that the system has."
    if answer.status != 200:
        raise refusal(answer, what=what, redactor=access.redactor)
    _raise_told_error(access, answer, what)
    kind = answer.content_type.partition(";")[0]
    hint = " That is a web page, not an API: check the base URL." if "html" in kind else ""
    return f"{shown} answered 200 with {kind}, {len(answer.body):,} bytes.{hint}"


def _call(access: RestAccess, url: str, what: str) -> Call:
    if access.own.check_body is None:
        return Call(url, what)
    body = encode_body(filled(access.own.check_body, access.body_values()))
    return Call(url, what, method="POST", headers={"Content-Type": "application/json"}, body=body)


def _raise_told_error(access: RestAccess, answer: Answer, what: str) -> None:
    try:
        document = document_of(answer)
    except ValueError:
        return
    told = told_error(document, access.own, access.redactor)
    if told is not None:
        raise told.as_read_error(what, access.own)
