"""What a demo does with the double itself, under `/admin/`: its switches, its faults, and the calls that it got.

A real instance has none of this. Only users with the role admin are let in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from servicenow.messages import ApiError, Request, Response, json_response, no_resource, read_json
from servicenow.rate_limit import RateLimit

if TYPE_CHECKING:
    from servicenow.access import User
    from servicenow.instance import Instance

PATH = "/admin/"


def answer(instance: Instance, request: Request, user: User) -> Response:
    if not user.is_admin:
        raise ApiError(403, "User Not Authorized", "The role admin is needed")
    routes = {
        ("GET", "settings"): _show_settings,
        ("POST", "settings"): _change_settings,
        ("GET", "calls"): _show_calls,
        ("POST", "faults"): _add_fault,
        ("DELETE", "faults"): _clear_faults,
        ("POST", "rate_limit"): _limit_rate,
        ("POST", "clock"): _advance_clock,
    }
    route = routes.get((request.method, request.path.removeprefix(PATH)))
    if route is None:
        raise no_resource()
    try:
        return json_response(route(instance, read_json(request.body or b"{}")))
    except (TypeError, ValueError) as exc:
        raise ApiError(400, "Bad settings", str(exc)) from exc


def _show_settings(instance: Instance, _body: dict[str, Any]) -> dict[str, Any]:
    return asdict(instance.settings)


def _change_settings(instance: Instance, body: dict[str, Any]) -> dict[str, Any]:
    unknown = set(body) - {field.name for field in fields(instance.settings)}
    if unknown:
        raise ValueError(f"there is no switch {', '.join(sorted(unknown))}")
    for name, value in body.items():
        setattr(instance.settings, name, value)
    return asdict(instance.settings)


def _show_calls(instance: Instance, _body: dict[str, Any]) -> dict[str, Any]:
    by_path = Counter(f"{call.method} {call.path}" for call in instance.calls)
    by_status = Counter(str(call.status) for call in instance.calls)
    return {"calls": len(instance.calls), "by_path": dict(by_path), "by_status": dict(by_status)}


def _add_fault(instance: Instance, body: dict[str, Any]) -> dict[str, Any]:
    kind = body.pop("kind", "")
    return asdict(instance.faults.add(kind, **body))


def _clear_faults(instance: Instance, _body: dict[str, Any]) -> dict[str, Any]:
    instance.faults.clear()
    return {}


def _limit_rate(instance: Instance, body: dict[str, Any]) -> dict[str, Any]:
    """`{"calls_per_window": 1000, "window_s": 3600}`; an empty body takes the limit away."""
    instance.rate_limit = RateLimit(**body) if body else None
    return body


def _advance_clock(instance: Instance, body: dict[str, Any]) -> dict[str, Any]:
    instance.clock.advance(float(body["seconds"]))
    return {"now": instance.clock.text()}
