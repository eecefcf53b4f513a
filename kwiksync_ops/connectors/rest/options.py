"""The `rest:` options of a system and its tables: checked all at once, then as values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kwiksync_ops.connectors.http.address import guard_for
from kwiksync_ops.connectors.http.authentication import Scheme
from kwiksync_ops.connectors.http.json_path import Path as JsonPath
from kwiksync_ops.connectors.http.json_path import parse_path
from kwiksync_ops.connectors.http.json_records import RecordLimits
from kwiksync_ops.connectors.http.signing import HEADER_NAMES, TEXT_NAMES, SigningOptions
from kwiksync_ops.connectors.http.template import names_in, template_faults
from kwiksync_ops.connectors.http.timeouts import Timeouts
from kwiksync_ops.connectors.rest.auth_options import LOGIN_NAMES, OAuthOptions, SessionOptions, parse_session
from kwiksync_ops.connectors.rest.pagination import VALUES, PaginationType
from kwiksync_ops.connectors.rest.push_options import DELIVERY_NAMES, PushOptions, parse_push
from kwiksync_ops.connectors.time_format import notation_fault
from kwiksync_ops.declared.fault import DeclaredFile, Fault, KeyPath
from kwiksync_ops.declared.schema import schema_faults
from kwiksync_ops.declared.secrets import secret_faults
from kwiksync_ops.errors import ConfigurationError

SCHEMA = "connectors/rest/options.schema.json"
READ_NAMES = ("since", "until", *VALUES)
_PATHS = frozenset({"records_path", "error_path", "cursor_path", "next_path", "has_more_path", "total_path"})


@dataclass(frozen=True)
class PaginationOptions:
    type: PaginationType = "none"
    size_param: str = "limit"
    page_size: int | None = None
    page_param: str = "page"
    first_page: int = 1
    offset_param: str = "offset"
    cursor_param: str = "cursor"
    cursor_path: JsonPath = ()
    next_path: JsonPath = ()
    after_param: str = "changed_after"
    after_id_param: str = "after_id"
    short_page_is_last: bool = False
    has_more_path: JsonPath | None = None
    total_path: JsonPath | None = None
    total_header: str | None = None


@dataclass(frozen=True)
class RequestOptions:
    """How pages are asked for: with a body its template says where the position stands, and no parameter does."""

    method: str = "GET"
    body: Any = None


@dataclass(frozen=True)
class ErrorCodes:
    """What the codes of errors mean that come in an answer with status 200."""

    path: JsonPath = ()
    denied: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    conflict: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class RestOptions:
    """What each one means stands in options.schema.json."""

    auth: Scheme | None = None
    oauth: OAuthOptions = field(default_factory=OAuthOptions)
    hmac: SigningOptions = field(default_factory=SigningOptions)
    session: SessionOptions = field(default_factory=SessionOptions)
    api_key_header: str = "X-API-Key"
    customer_key_header: str = "X-Customer-Key"
    customer_key_required: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    records_path: JsonPath = ()
    request: RequestOptions = field(default_factory=RequestOptions)
    error_path: JsonPath | None = None
    error_codes: ErrorCodes = field(default_factory=ErrorCodes)
    pagination: PaginationOptions = field(default_factory=PaginationOptions)
    since_param: str | None = None
    until_param: str | None = None
    time_format: str | None = None
    timezone: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry_after_cap_s: float = 120.0
    limits: RecordLimits = field(default_factory=RecordLimits)
    allow_hosts: tuple[str, ...] = ()
    allow_insecure_loopback: bool = False
    check_path: str = ""
    check_body: Any = None
    push: PushOptions | None = None

    @property
    def value_params(self) -> dict[str, str]:
        """The query parameter of each of `READ_NAMES`; empty where it has none."""
        paging = self.pagination
        return {
            "since": self.since_param or "",
            "until": self.until_param or "",
            "size": paging.size_param,
            "page": paging.page_param,
            "offset": paging.offset_param,
            "cursor": paging.cursor_param,
            "after": paging.after_param,
            "after_id": paging.after_id_param,
        }


def merge_options(system: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """A table's options over its system's; `headers`, `params`, `pagination`, … are merged key by key."""
    merged = dict(system)
    for name, value in table.items():
        inherited = merged.get(name)
        is_section = isinstance(value, Mapping) and isinstance(inherited, Mapping)
        merged[name] = {**inherited, **value} if is_section else value  # type: ignore[dict-item]  # both are mappings
    return merged


def parse_options(options: Mapping[str, Any]) -> RestOptions:
    """The options as values, with defaults.

    Raises:
        ConfigurationError: with every fault, a line each.
    """
    faults = option_faults(options)
    if faults:
        raise ConfigurationError(
            "The rest options are not valid:", faults=faults, remedy="Correct them in the system's YAML file."
        )
    values = {name: _value(name, value) for name, value in options.items()}
    return RestOptions(**values)


def option_faults(options: Mapping[str, Any]) -> tuple[str, ...]:
    """All that is wrong, one line each, with the path of the option; empty when the options are valid."""
    file = DeclaredFile(Path("rest"), dict(options), {})
    faults = schema_faults(file, SCHEMA) or secret_faults(file, by_name=True) or list(_semantic_faults(file))
    return tuple(str(fault) for fault in faults)


def _value(name: str, value: Any) -> Any:
    if name in _PATHS:
        return parse_path(value)
    if name in _SECTIONS:
        return _SECTIONS[name](**value)
    if name in _PARSERS:
        return _PARSERS[name](value)
    return tuple(value) if isinstance(value, list) else value


def _pagination(value: Mapping[str, Any]) -> PaginationOptions:
    return PaginationOptions(**{key: _value(key, item) for key, item in value.items()})


def _request(value: Mapping[str, Any]) -> RequestOptions:
    body = value.get("body")
    return RequestOptions(value.get("method", "GET" if body is None else "POST"), body)


def _error_codes(value: Mapping[str, Any]) -> ErrorCodes:
    codes = {name: tuple(str(code) for code in given) for name, given in value.items() if name != "path"}
    return ErrorCodes(parse_path(value["path"]), **codes)


_SECTIONS: Mapping[str, Callable[..., Any]] = {
    "timeouts": Timeouts,
    "limits": RecordLimits,
    "oauth": OAuthOptions,
    "hmac": SigningOptions,
}
_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "pagination": _pagination,
    "push": parse_push,
    "request": _request,
    "error_codes": _error_codes,
    "session": parse_session,
    "check_body": lambda value: value,
}


def _semantic_faults(file: DeclaredFile) -> Iterator[Fault]:
    """What a schema can't say."""
    options = file.value
    if "time_format" in options and (problem := notation_fault(options["time_format"])):
        yield file.fault(("time_format",), problem)
    if "timezone" in options and not _is_zone(options["timezone"]):
        yield file.fault(("timezone",), f"there is no time zone {options['timezone']!r}, such as Europe/Berlin.")
    yield from _push_faults(file)
    yield from _template_faults(file)
    if options.get("auth") == "session" and "session" not in options:
        yield file.fault(("auth",), "is by a login call: say in session how to log in.")
    try:
        guard_for(options.get("allow_hosts", ()))
    except ValueError as exc:
        yield file.fault(("allow_hosts",), f"{exc}.")


def _push_faults(file: DeclaredFile) -> Iterator[Fault]:
    push = file.value.get("push", {})
    for name in ("update", "delete", "read"):
        call = push.get(name, {})
        path = call.get("path")
        if path is not None and "{key}" not in path and "key" not in names_in(call.get("body")):
            yield file.fault(
                ("push", name, "path"),
                "does not say which record is meant: put {key} into it, or ${key} into its body.",
            )
    confirm = push.get("confirm", {})
    if confirm.get("by") == "job" and "{job}" not in confirm.get("path", ""):
        yield file.fault(("push", "confirm"), "a job is asked at a path with {job} in it; set path.")
    needs_read = confirm.get("by") == "read" or push.get("repeat") == "look"
    if needs_read and "read" not in push:
        yield file.fault(("push",), "says how to read one record: set read, which confirm and look need.")
    if "find" in push and not push.get("correlation_field"):
        yield file.fault(("push", "find"), "finds a record by our id; set correlation_field, in which it is sent.")
    if "find" in push and not push["find"].get("param") and "record_id" not in names_in(push["find"].get("body")):
        yield file.fault(("push", "find"), "does not say where our id goes: set param, or put ${record_id} into body.")
    if push and not any(name in push for name in ("create", "update", "delete", "bulk")):
        yield file.fault(("push",), "says how to write: set create, update, delete or bulk.")


def _template_faults(file: DeclaredFile) -> Iterator[Fault]:
    """Placeholders that stand where nothing fills them in."""
    for at, names in _TEMPLATES.items():
        for problem in template_faults(_at(file.value, at), names(file.value)):
            yield file.fault(at, problem)


def _at(value: Any, key: KeyPath) -> Any:
    for step in key:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _session_names(options: Mapping[str, Any]) -> tuple[str, ...]:
    session = options.get("session", {})
    return (*LOGIN_NAMES, *session.get("values", {}), *session.get("base64", {}))


_WRITE_NAMES = (*LOGIN_NAMES, *DELIVERY_NAMES)
_TEMPLATES: Mapping[KeyPath, Callable[[Mapping[str, Any]], tuple[str, ...]]] = {
    ("params",): lambda options: READ_NAMES,
    ("headers",): lambda options: LOGIN_NAMES,
    ("request", "body"): lambda options: (*READ_NAMES, *LOGIN_NAMES),
    ("check_body",): lambda options: LOGIN_NAMES,
    ("hmac", "text"): lambda options: TEXT_NAMES,
    ("hmac", "headers"): lambda options: HEADER_NAMES,
    ("session", "body"): lambda options: LOGIN_NAMES,
    ("session", "base64"): _session_names,
    ("session", "headers"): _session_names,
    **{("push", name, "body"): lambda options: _WRITE_NAMES for name in ("create", "update", "delete", "read", "find")},
    ("push", "bulk", "body"): lambda options: (*LOGIN_NAMES, "records"),
}


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
