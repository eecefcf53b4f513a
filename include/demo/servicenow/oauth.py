"""`/oauth_token.do`: access tokens by password, refresh token or client credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from servicenow.access import is_same
from servicenow.messages import Request, Response, json_response

if TYPE_CHECKING:
    from servicenow.access import OAuthClient
    from servicenow.instance import Instance

FORM_TYPE = "application/x-www-form-urlencoded"
SCOPE = "useraccount"


class _RefusedError(Exception):
    """No token is given out; the text is RFC 6749's word for why."""


def answer(instance: Instance, request: Request) -> Response:
    is_form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE
    form = dict(parse_qsl(request.body.decode(errors="replace"))) if is_form else {}
    try:
        if request.method != "POST" or not form:
            raise _RefusedError("invalid_request")
        return json_response(_token(instance, form), headers={"Cache-Control": "no-store"})
    except _RefusedError as exc:
        return _refusal(instance, str(exc))


def _refusal(instance: Instance, reason: str) -> Response:
    if not instance.settings.names_oauth_errors:
        return json_response({"error_description": "access_denied", "error": "server_error"}, 401)
    status = 401 if reason == "invalid_client" else 400
    return json_response({"error_description": "access_denied", "error": reason}, status)


def _token(instance: Instance, form: Mapping[str, str]) -> dict[str, object]:
    client = _client(instance, form)
    grant = form.get("grant_type", "")
    grants = {"password": _by_password, "refresh_token": _by_refresh, "client_credentials": _by_client}
    if grant not in grants:
        raise _RefusedError("unsupported_grant_type")
    user, refresh = grants[grant](instance, client, form)
    lifetime = instance.settings.token_lifetime_s
    token: dict[str, object] = {
        "access_token": instance.accounts.issue_access(user, client.client_id, lifetime),
        "scope": SCOPE,
        "token_type": "Bearer",
        "expires_in": lifetime,
    }
    return token | ({"refresh_token": refresh} if refresh else {})


def _client(instance: Instance, form: Mapping[str, str]) -> OAuthClient:
    client = instance.accounts.clients.get(form.get("client_id", ""))
    if client is None or not is_same(client.secret, form.get("client_secret", "")):
        raise _RefusedError("invalid_client")
    return client


def _by_password(instance: Instance, client: OAuthClient, form: Mapping[str, str]) -> tuple[str, str]:
    user = instance.accounts.user_by_password(form.get("username", ""), form.get("password", ""))
    if user is None:
        raise _RefusedError("invalid_grant")
    return user.name, instance.accounts.issue_refresh(user.name, client.client_id)


def _by_refresh(instance: Instance, client: OAuthClient, form: Mapping[str, str]) -> tuple[str, str]:
    value = form.get("refresh_token", "")
    token = instance.accounts.refresh_token(value)
    if token is None or token.client_id != client.client_id:
        raise _RefusedError("invalid_grant")
    return token.user, value


def _by_client(instance: Instance, client: OAuthClient, _form: Mapping[str, str]) -> tuple[str, str]:
    if not client.user or not instance.settings.allows_client_credentials:
        raise _RefusedError("unauthorized_client")
    return client.user, ""
