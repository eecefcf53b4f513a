"""Settings, for administrators: what the files say of each system, its Customer Key, and the app settings."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kwiksync_ops.api.context import ContextDep
from kwiksync_ops.api.pages.access import AdminLookDep
from kwiksync_ops.api.pages.declared import systems_of
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.services import issued_keys, keys
from kwiksync_ops.services.keys import KeyEntry
from kwiksync_ops.services.settings import KNOWN, Setting, list_settings
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Role

router = APIRouter(prefix="/settings")

GROUPS = {"alerts": "Notifications", "retention": "Retention", "audit": "Audit trail"}


@dataclass(frozen=True)
class SystemSettings:
    spec: SystemSpec
    key: KeyEntry | None


@router.get("")
def read_settings(request: Request, context: ContextDep, _admin: AdminLookDep) -> HTMLResponse:
    active = {entry.system: entry for entry in keys.list_customer_keys(context.hub) if entry.is_active}
    now = context.clock.now()
    return show(
        request,
        "settings.html",
        title="Settings",
        systems=[SystemSettings(spec, active.get(spec.system)) for spec in systems_of(context)],
        groups=_groups(list_settings(context.hub)),
        known=KNOWN,
        issued=[key for key in issued_keys.list_issued_keys(context.hub) if key.is_valid(now)],
        roles=list(Role),
    )


def _groups(settings: list[Setting]) -> dict[str, list[Setting]]:
    """By what they are about, in the order of their list."""
    found: dict[str, list[Setting]] = {}
    for setting in settings:
        about = setting.key.partition(".")[0]
        found.setdefault(GROUPS.get(about, about.capitalize()), []).append(setting)
    return found
