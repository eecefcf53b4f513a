"""App settings that an administrator changes while KWikSync runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError, ValidationError
from kwiksync_ops.storage import audit, configuration
from kwiksync_ops.storage.hub import Connection, Hub


@dataclass(frozen=True)
class Known:
    """A setting that there is: its default, and what it means.

    `at_least` and `at_most` bound a number. A text that is not empty matches `form`, told to people as `form_told`.
    """

    default: Any
    description: str
    at_least: int = 0
    at_most: int = 1_000_000
    form: str = ".*"
    form_told: str = ""


KNOWN: Mapping[str, Known] = {
    "alerts.enabled": Known(True, "Whether alerts are sent, to the addresses of KWIKSYNC_ALERT_URLS."),
    "alerts.error_share": Known(20, "Share of a sync's records in percent from which rejects are an incident.", 1, 100),
    "alerts.error_growth": Known(3, "A table that rejects so many times its usual share is an incident.", 2, 100),
    "alerts.slower_than": Known(3, "A sync that takes so many times its usual time is an incident.", 2, 100),
    "alerts.late_after_minutes": Known(60, "A scheduled sync that did not begin so long after its time.", 5, 10_080),
    "alerts.link": Known(
        "",
        "Base URL of Airflow's UI, for the link in an alert.",
        form=r"https?://[^\s/?#@]+(/[^\s?#]*)?",
        form_told="a URL such as https://airflow.example.com, without a login in it",
    ),
    "retention.sync_log_days": Known(365, "Sync Log rows older than that are archived and removed.", 1, 36_500),
    "retention.error_log_days": Known(180, "The same for Error Log rows that are not open.", 1, 36_500),
    "retention.history_days": Known(365, "The same for field history; what is older can't be undone.", 1, 36_500),
    "retention.outbox_days": Known(90, "The same for deliveries that ended.", 1, 36_500),
    "retention.file_marks_days": Known(90, "So long the hub knows files that are gone from their folder.", 1, 36_500),
    "audit.anchor": Known(
        "",
        "Where the audit trail's anchors are kept: file:///folder or s3://bucket; empty: KWikSync's home.",
        form=audit.ANCHOR_PLACE,
        form_told="file:///folder or s3://bucket, without a login in it",
    ),
}


@dataclass(frozen=True)
class Setting:
    key: str
    value: Any
    default: Any
    description: str
    changed_by: str | None = None


def list_settings(hub: Hub) -> list[Setting]:
    """Every setting, as it holds now."""
    with hub.read() as connection:
        stored = {setting.key: setting for setting in configuration.list_settings(connection)}
    return [
        Setting(
            key,
            stored[key].value if key in stored else known.default,
            known.default,
            known.description,
            stored[key].updated_by if key in stored else None,
        )
        for key, known in KNOWN.items()
    ]


def read_settings_of(connection: Connection, prefix: str) -> dict[str, Any]:
    """The settings whose key begins so, by the rest of their key."""
    stored = {setting.key: setting.value for setting in configuration.list_settings(connection, prefix)}
    return {
        key.removeprefix(prefix): stored.get(key, known.default)
        for key, known in KNOWN.items()
        if key.startswith(prefix)
    }


def change_setting(hub: Hub, key: str, value: Any, *, who: str, clock: Clock) -> Setting:
    """Set it, with its old and new value in the audit trail. The same value again changes nothing.

    Raises:
        ConfigurationError: there is no such setting.
        ValidationError: the value is not of its type, or out of its bounds.
    """
    known = KNOWN.get(key)
    if known is None:
        raise ConfigurationError(
            f"There is no setting {key!r}.{did_you_mean(key, KNOWN)}", remedy=f"There are: {', '.join(KNOWN)}."
        )
    _check(key, known, value)

    def work(connection: Connection) -> None:
        old = configuration.read_setting(connection, key)
        now = clock.now()
        if configuration.write_setting(connection, key, value, who=who, now=now, description=known.description):
            details = {"old": old.value if old else known.default, "new": value}
            audit.append(connection, "setting.change", key, who=who, now=now, details=details)

    hub.write(work)
    return Setting(key, value, known.default, known.description, who)


def _check(key: str, known: Known, value: Any) -> None:
    match known.default:
        case bool():
            problem = None if isinstance(value, bool) else "true or false"
        case str():
            fits = isinstance(value, str) and len(value) <= 4_000 and value.isprintable()
            problem = None if fits else "a line of at most 4,000 characters"
            if fits and value and not re.fullmatch(known.form, value):
                problem = known.form_told
        case _:
            is_number = isinstance(value, int) and not isinstance(value, bool)
            fits = is_number and known.at_least <= value <= known.at_most
            problem = None if fits else f"a whole number from {known.at_least} to {known.at_most}"
    if problem:
        raise ValidationError(f"{key} takes {problem}, not {str(value)[:80]!a}.", remedy=known.description)
