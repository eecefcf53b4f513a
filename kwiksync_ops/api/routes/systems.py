"""Systems, for administrators: whether one answers, and the Customer Key that is sent to it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response
from pydantic import BaseModel, Field

from kwiksync_ops.api.answers import json_response
from kwiksync_ops.api.context import AdminDep, Context, ContextDep
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.api.routes.administration import SentKeyAnswer
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.errors import ConfigurationError, CustomerKeyError, ValidationError
from kwiksync_ops.services import doctor, keys
from kwiksync_ops.services.connections import credentials_of
from kwiksync_ops.services.systems import find_system
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vault import Vault

router = APIRouter(prefix="/systems", tags=["systems"])


class CheckAnswer(BaseModel):
    """What one call of the system found; `remedy` is what to do where it does not answer."""

    ok: bool
    message: str = Field(examples=["The ERP answers, with 4 tables."])
    remedy: str


@router.post("/{system}/test", response_model=CheckAnswer, summary="Test the connection to a system")
def check_connection(system: str, context: ContextDep, _admin: AdminDep) -> Response:
    declared = _declared(context, system)
    check = doctor.check_system(context.hub, declared, credentials_for(context, declared), context.clock)
    return json_response({"ok": check.is_passed, "message": check.detail, "remedy": check.remedy})


@router.put("/{system}/customer-key", response_model=SentKeyAnswer, summary="Set the Customer Key that a system gets")
def set_customer_key(
    system: str,
    key: Annotated[str, Body(embed=True, min_length=1, max_length=keys.MAX_KEY_LENGTH)],
    context: ContextDep,
    admin: AdminDep,
) -> Response:
    """From now on this key is sent; it is kept encrypted, and never told again. A running sync is not lost."""
    _declared(context, system)
    vault = Vault(context.settings.secret_keys)
    try:
        entry = keys.set_customer_key(context.hub, vault, system, key, who=admin.name, clock=context.clock)
    except CustomerKeyError as exc:  # it is a value of the call, not who calls
        raise ValidationError(exc.message, remedy=exc.remedy) from exc
    return json_response({name: value for name, value in asdict(entry).items() if name != "sys_id"})


def credentials_for(context: Context, system: SystemSpec) -> Credentials:
    """What a system is called with. Raises ConfigurationError where Airflow has no connection to it."""
    found = context.gateway.connection(system.connection_id)
    key = keys.customer_key(context.hub, context.settings.secret_keys, system.system)
    return credentials_of(found.host, found.login, found.password, found.extra, key)


def _declared(context: Context, system: str) -> SystemSpec:
    try:
        return find_system(context.settings.include, system)
    except ConfigurationError as exc:
        raise NotFoundError(exc.message, remedy=exc.remedy) from exc
