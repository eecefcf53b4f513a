"""Settings and Customer Keys, for administrators."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from kwiksync_ops.api.answers import json_response
from kwiksync_ops.api.context import AdminDep, Context, ContextDep
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.services import issued_keys, keys, settings
from kwiksync_ops.services.issued_keys import GRACE
from kwiksync_ops.storage.issued_keys import IssuedKey
from kwiksync_ops.vocabulary import Role

router = APIRouter(tags=["administration"])


class SettingsAnswer(BaseModel):
    result: list[dict[str, Any]]


class SettingAnswer(BaseModel):
    key: str = Field(examples=["alerts.error_share"])
    value: bool | int | str
    default: bool | int | str
    description: str
    changed_by: str | None


class KeyAnswer(BaseModel):
    """What may be seen of an issued key."""

    sys_id: str
    name: str = Field(examples=["Acme"])
    role: str = Field(examples=[Role.USER.value])
    created_on: datetime
    created_by: str
    expires: datetime | None = Field(description="The end of its grace, once it was rotated.")
    revoked: datetime | None
    last_used: datetime | None


class NewKeyAnswer(KeyAnswer):
    key: str = Field(description="The key itself. It is not shown again.")


class SentKeyAnswer(BaseModel):
    """What may be seen of a key that is sent to a system."""

    system: str
    is_active: bool
    encrypted_with: str
    created_on: datetime
    created_by: str


class KeysAnswer(BaseModel):
    """`issued` are the keys that callers present to us, `sent` those that we present to systems."""

    issued: list[KeyAnswer]
    sent: list[SentKeyAnswer]


class Issue(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=80, examples=["Acme"])
    role: Role = Role.USER


class Rotation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    grace_hours: int = Field(default=int(GRACE.total_seconds() // 3600), ge=0, le=8_760)


@router.get("/settings", response_model=SettingsAnswer, summary="The app settings")
def list_settings(context: ContextDep, _admin: AdminDep) -> Response:
    return json_response({"result": [asdict(setting) for setting in settings.list_settings(context.hub)]})


@router.put("/settings/{key}", response_model=SettingAnswer, summary="Change a setting")
def change_setting(
    key: str, value: Annotated[bool | int | str, Body(embed=True)], context: ContextDep, admin: AdminDep
) -> Response:
    if key not in settings.KNOWN:
        raise NotFoundError(f"There is no setting {key!r}.", remedy=f"There are: {', '.join(settings.KNOWN)}.")
    changed = settings.change_setting(context.hub, key, value, who=admin.name, clock=context.clock)
    return json_response(asdict(changed))


@router.get("/keys", response_model=KeysAnswer, summary="The Customer Keys, without telling one")
def list_keys(context: ContextDep, _admin: AdminDep) -> Response:
    issued = [_shown(key) for key in issued_keys.list_issued_keys(context.hub)]
    sent = [asdict(entry) for entry in keys.list_customer_keys(context.hub)]
    return json_response({"issued": issued, "sent": [{k: v for k, v in one.items() if k != "sys_id"} for one in sent]})


@router.post("/keys", status_code=HTTPStatus.CREATED, response_model=NewKeyAnswer, summary="Issue a key; shown once")
def issue_key(body: Issue, context: ContextDep, admin: AdminDep) -> Response:
    issued = issued_keys.issue_key(
        context.hub, context.settings.secret_keys, body.name, body.role, who=admin.name, clock=context.clock
    )
    return _new(*issued)


@router.post("/keys/{name}/rotate", status_code=HTTPStatus.CREATED, response_model=NewKeyAnswer, summary="Rotate a key")
def rotate_key(name: str, body: Rotation, context: ContextDep, admin: AdminDep) -> Response:
    _check_known(context, name)
    rotated = issued_keys.rotate_key(
        context.hub,
        context.settings.secret_keys,
        name,
        grace=timedelta(hours=body.grace_hours),
        who=admin.name,
        clock=context.clock,
    )
    return _new(*rotated)


@router.delete("/keys/{name}", status_code=HTTPStatus.NO_CONTENT, summary="Revoke all keys of a customer at once")
def revoke_keys(name: str, context: ContextDep, admin: AdminDep) -> Response:
    _check_known(context, name)
    issued_keys.revoke_keys(context.hub, name, who=admin.name, clock=context.clock)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _check_known(context: Context, name: str) -> None:
    now = context.clock.now()
    if not any(key.name == name and key.is_valid(now) for key in issued_keys.list_issued_keys(context.hub)):
        raise NotFoundError(f"{name} has no valid Customer Key.", remedy="GET /keys lists them.")


def _new(key: IssuedKey, text: str) -> Response:
    return json_response({**_shown(key), "key": text}, HTTPStatus.CREATED)


def _shown(key: IssuedKey) -> dict[str, Any]:
    return {name: value for name, value in asdict(key).items() if name not in ("hash", "key_id")}
