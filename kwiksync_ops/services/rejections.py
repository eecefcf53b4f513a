"""Rejected records as the Error Log keeps them: one entry a record, with all its faults and without its secrets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from kwiksync_ops.batch import Reject
from kwiksync_ops.errors import DuplicateRecordError, MappingError, MissingFieldError, ValidationError
from kwiksync_ops.redaction import MASK, Redactor
from kwiksync_ops.storage.error_log import ErrorEntry

MAX_PAYLOAD = 65_536

_REMEDIES = {
    MappingError.code: "Correct the mapping (look with kwiksync preview) or the record at its source, then replay it.",
    DuplicateRecordError.code: "Merge the two records at their source.",
    MissingFieldError.code: "Fill the field at the source, or give its rule a default; then replay the record.",
    ValidationError.code: "Correct the value at the source, or the rule that refuses it; then replay the record.",
}

_HIDDEN = "{} is faulty; what is wrong is not quoted, since the record holds a secret."


def error_entries(rejects: Sequence[Reject], redactor: Redactor) -> list[ErrorEntry]:
    """One entry a record: its first fault leads, all its faults are kept, secrets are removed from its payload."""
    by_record = groupby(enumerate(rejects), key=lambda numbered: _record_of(*numbered))
    return [_entry([reject for _, reject in faults], redactor) for _, faults in by_record]


def _record_of(number: int, reject: Reject) -> tuple[bool, int]:
    """Faults of one record share its payload object; a payload that is none was rejected as a whole, with one fault."""
    is_object = isinstance(reject.payload, dict)
    return is_object, id(reject.payload) if is_object else number


def _entry(faults: Sequence[Reject], redactor: Redactor) -> ErrorEntry:
    """Messages quote values, which may be cut: those of a record that holds a secret are not kept."""
    first = faults[0]
    is_secret = redactor.holds_secret(json.dumps(first.payload, default=str, ensure_ascii=False))
    messages = [_HIDDEN.format(fault.field) if is_secret else redactor.text(fault.message) for fault in faults]
    external_id = first.external_id or ""
    return ErrorEntry(
        code=first.code,
        message="; ".join(messages),
        remedy=_REMEDIES.get(first.code),
        field=first.field,
        external_id=MASK if redactor.holds_secret(external_id) else _storable(first.external_id),
        payload=_payload(first.payload, redactor),
        faults=[
            {"code": fault.code, "field": fault.field, "message": message}
            for fault, message in zip(faults, messages, strict=True)
        ],
    )


def _payload(payload: Any, redactor: Redactor) -> str | None:
    if payload is None or isinstance(payload, str):
        return _storable(payload, MAX_PAYLOAD)
    return _storable(json.dumps(redactor.payload(payload), default=str), MAX_PAYLOAD)


def _storable(text: str | None, length: int = 255) -> str | None:
    """Text that every database takes: no NUL, no lone surrogate, not too long."""
    if text is None:
        return None
    return text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()[:length]
