"""What the button Test connection finds: who we are to the instance, in which time zone, and what we may read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kwiksync_ops.connectors.http.calls import Call
from kwiksync_ops.connectors.http.refusals import refusal
from kwiksync_ops.connectors.servicenow.access import Instance, asked, table_path
from kwiksync_ops.connectors.servicenow.encoded_query import escaped

DELETIONS, JOURNAL = "sys_audit_delete", "sys_journal_field"
_UTC = ("UTC", "Etc/UTC", "GMT", "Etc/GMT")


def describe(instance: Instance) -> str:
    """In a sentence or three. Raises what a read would raise."""
    shown = instance.redactor.url(instance.credentials.base_url)
    user = _me(instance)
    if user is None:
        return (
            f"{shown} answered; who we are it does not tell: let the integration user read its own record in "
            f"sys_user, and see that its time zone is UTC. {_rights(instance)}"
        )
    return f"{shown} answered; we are {user.get('user_name') or 'unnamed'}. {_zone(user)} {_rights(instance)}"


def _me(instance: Instance) -> Mapping[str, Any] | None:
    """Our own record. A login names it; a client of OAuth is asked for by a script of the instance's own."""
    login = instance.credentials.login
    query = f"user_name={escaped(login)}" if login else "sys_id=javascript:gs.getUserID()"
    users = _rows(instance, "sys_user", query, "user_name,time_zone")
    return users[0] if users and len(users) == 1 else None


def _zone(user: Mapping[str, Any]) -> str:
    zone = user.get("time_zone")
    if zone in _UTC:
        return f"Its time zone is {zone}."
    if not zone:
        return "Its time zone is the instance's: set it to UTC in the user's record, unless the instance's is."
    return f"Its time zone is {zone}: set it to UTC in the user's record, since times in queries may be read in it."


def _rights(instance: Instance) -> str:
    """What the user may read beside the tables that are synced."""
    deletions, entries = (_rows(instance, name, "", "sys_id") for name in (DELETIONS, JOURNAL))
    told = [
        f"{DELETIONS} can be read, so deletions can come as a feed."
        if deletions
        else f"{DELETIONS} {'shows nothing' if deletions == [] else 'can not be read'}: "
        "use deletes: {mode: compare}, or give the user the right to read it."
    ]
    if entries is None:
        told.append(f"{JOURNAL} can not be read: a journal entry of unknown outcome would wait for a person.")
    return " ".join(told)


def _rows(instance: Instance, table: str, query: str, fields: str) -> list[Any] | None:
    """Up to two rows; None where there is nothing of that name that we may read."""
    params = {"sysparm_query": query, "sysparm_fields": fields, "sysparm_limit": "2", "sysparm_no_count": "true"}
    what = f"Checking {table} of {instance.redactor.url(instance.credentials.base_url)}"
    answer, _ = instance.caller(instance.own).answer(Call(instance.url(asked(table_path(table), params)), what))
    if answer.status in (403, 404):
        return None
    if answer.status != 200:
        raise refusal(answer, what=what, redactor=instance.redactor)
    try:
        rows = json.loads(answer.body)["result"]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise instance.nonsense(answer, what, "it has no result") from exc
    if not isinstance(rows, list):
        raise instance.nonsense(answer, what, "its result is no list")
    return [row for row in rows if isinstance(row, dict)]
