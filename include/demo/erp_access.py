"""Who is let in to the ERP: a bearer token everywhere, and on the tables the Customer Key as well."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from fastapi import Request

from erp_state import Erp


@dataclass(frozen=True)
class Secrets:
    """What a caller must show: a bearer token, and on the tables one of the Customer Keys that are valid."""

    token: str
    customer_keys: tuple[str, ...]

    def __repr__(self) -> str:
        return "Secrets(…)"


class RefusedError(Exception):
    """The caller is not let in; `code` is the one of the answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


async def check_token(request: Request) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not _is_same(token.strip(), request.app.state.secrets.token):
        raise RefusedError("ERR_003", "invalid token")


async def check_customer_key(request: Request) -> None:
    given = request.headers.get("X-Customer-Key", "")
    valid = [_is_same(given, key) for key in request.app.state.secrets.customer_keys]
    if not any(valid):
        raise RefusedError("ERR_001", "invalid Customer Key")


def erp_of(request: Request) -> Erp:
    erp: Erp = request.app.state.erp
    return erp
