"""Writes records into files: a call is a file, whole or not there, whose name tells which deliveries it holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.files.copies import PIECE
from kwiksync_ops.connectors.files.opening import open_place
from kwiksync_ops.connectors.files.options import FilesOptions, PushOptions, merge_options, parse_options
from kwiksync_ops.connectors.files.writers import Row, Writer, writer_of
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Repeat
from kwiksync_ops.errors import ConfigurationError, RetriableError, ValidationError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import Action

_DIGEST_SIGNS = 16
_WAIT_S = 5.0
"""How long a place that can't be written is left in peace."""


class FilesTarget:
    """The files of one folder. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._options = options
        self._place = open_place(credentials, parse_options(options), limiter)
        self._clock = clock

    def __repr__(self) -> str:
        return f"FilesTarget({self._place.url!r})"

    @property
    def calls(self) -> int:
        return self._place.calls

    def repeat(self, request: PushRequest) -> Repeat:
        """The same deliveries make the same file again."""
        return Repeat.IDEMPOTENT

    def sends(self, request: PushRequest, action: Action) -> bool:
        push = self._parsed(request).push
        return push is not None and (action != Action.DELETE or bool(push.action_column))

    def sends_changes_only(self, request: PushRequest) -> bool:
        return False

    def call_records(self, request: PushRequest, action: Action) -> int:
        return self._push_options(request)[1].records

    def push(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """One file with those of the records that it can hold. See `Target.push`."""
        options, push = self._push_options(request)
        writer = writer_of(options, push)
        faults = {delivery.id: _fault(delivery, push, request, writer) for delivery in deliveries}
        sound = [delivery for delivery in deliveries if faults[delivery.id] is None]
        rows = [_row(delivery, push, request) for delivery in sound]
        written = self._write(push, sound, writer.content(rows)) if sound else None
        return [
            _refused(delivery, fault) if (fault := faults[delivery.id]) else _receipt(delivery, request, written)
            for delivery in deliveries
        ]

    def confirm(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Nothing waits for it: a file is read back as soon as it is written."""
        return self.look(request, deliveries)

    def look(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Whether there is a file of just these deliveries. Without one nobody knows: it may have been taken."""
        _, push = self._push_options(request)
        try:
            is_there = self._existing(push, deliveries) is not None
        except RetriableError as exc:
            return [
                Receipt(each.id, Outcome.UNKNOWN, message=exc.message, retry_after_s=_WAIT_S) for each in deliveries
            ]
        outcome = Outcome.CONFIRMED if is_there else Outcome.UNKNOWN
        return [_receipt(delivery, request, Receipt("", outcome)) for delivery in deliveries]

    def check(self) -> str:
        return f"{self._place.url} can be reached, and holds {len(self._place.files('', deep=False)):,} files."

    def close(self) -> None:
        self._place.close()

    def _write(self, push: PushOptions, deliveries: Sequence[Delivery], content: bytes) -> Receipt:
        """Write the file and read it back; what that says of each of its deliveries."""
        name = ""
        try:
            name = self._existing(push, deliveries) or self._new_name(push, deliveries)
            if not self._holds(name, content):
                self._place.write(name, content)
            if self._holds(name, content) is False:
                return Receipt("", Outcome.UNKNOWN, message=f"{name} is not what was written; it is written again.")
        except RetriableError as exc:
            return Receipt("", self._after_failure(name), code=exc.code, message=exc.message, retry_after_s=_WAIT_S)
        return Receipt("", Outcome.CONFIRMED)

    def _after_failure(self, name: str) -> Outcome:
        """A file is there whole or not at all, so that it can be told whether it was written."""
        try:
            return Outcome.UNKNOWN if name and self._place.find(name) else Outcome.UNSENT
        except RetriableError:
            return Outcome.UNKNOWN

    def _holds(self, name: str, content: bytes) -> bool | None:
        """Whether the file has this content, by its hash; None where it is not there: not written, or taken."""
        read = hashlib.sha256()
        try:
            with self._place.open(name) as file:
                while piece := file.read(PIECE):
                    read.update(piece)
        except FileNotFoundError:
            return None
        return read.digest() == hashlib.sha256(content).digest()

    def _existing(self, push: PushOptions, deliveries: Sequence[Delivery]) -> str | None:
        """The file of just these deliveries, whenever it was written."""
        if "{time}" not in push.file:
            name = self._new_name(push, deliveries)
            return name if self._place.find(name) else None
        pattern = re.compile(_filled(re.escape(push.file).replace(r"\{", "{").replace(r"\}", "}"), deliveries, r"\w+"))
        folder = push.folder.strip("/")
        names = [file.name for file in self._place.files(folder, deep=False)]
        return next((name for name in names if pattern.fullmatch(name.rpartition("/")[2])), None)

    def _new_name(self, push: PushOptions, deliveries: Sequence[Delivery]) -> str:
        now = self._clock.now().astimezone(UTC)
        folder = push.folder.strip("/")
        name = _filled(push.file, deliveries, f"{now:%Y%m%dT%H%M%S%f}Z")
        return f"{folder}/{name}" if folder else name

    def _parsed(self, request: PushRequest) -> FilesOptions:
        return parse_options(merge_options(self._options, request.options))

    def _push_options(self, request: PushRequest) -> tuple[FilesOptions, PushOptions]:
        options = self._parsed(request)
        push = options.push
        if push is None:
            raise ConfigurationError(
                f"The table of {request.source} does not say how it is written.",
                remedy="Set push in its files options.",
            )
        if request.key_field not in push.columns:
            raise ConfigurationError(
                f"push.columns of {request.source} has no {request.key_field!r}, which names a record.",
                remedy="Add the table's key to its columns.",
            )
        return options, push


def _filled(name: str, deliveries: Sequence[Delivery], time: str) -> str:
    keys = "\n".join(sorted(delivery.idempotency_key for delivery in deliveries))
    digest = hashlib.sha256(keys.encode()).hexdigest()[:_DIGEST_SIGNS]
    return name.replace("{digest}", digest).replace("{action}", deliveries[0].action).replace("{time}", time)


def _key(delivery: Delivery, request: PushRequest) -> Any:
    """Files give no ids: a new record has that of its payload, or else our own."""
    return delivery.key or delivery.payload.get(request.key_field) or delivery.record_id


def _row(delivery: Delivery, push: PushOptions, request: PushRequest) -> Row:
    values = {**delivery.payload, request.key_field: _key(delivery, request)}
    if push.action_column:
        values[push.action_column] = str(delivery.action)
    return [values.get(name) for name in push.columns]


def _fault(delivery: Delivery, push: PushOptions, request: PushRequest, writer: Writer) -> str | None:
    """Why the file can't hold the record, if so."""
    if unknown := sorted(delivery.payload.keys() - set(push.columns)):
        return f"The file has no column {unknown[0]!r}: add it to push.columns, or take it out of the mapping."
    for name, value in zip(push.columns, _row(delivery, push, request), strict=True):
        try:
            writer.check(name, value)
        except (ValueError, TypeError, OverflowError) as exc:
            return f"{name} can't be written: it {exc}."
    return None


def _refused(delivery: Delivery, fault: str) -> Receipt:
    return Receipt(delivery.id, Outcome.REFUSED, code=ValidationError.code, message=fault)


def _receipt(delivery: Delivery, request: PushRequest, written: Receipt | None) -> Receipt:
    told = written or Receipt("", Outcome.UNKNOWN)
    return Receipt(
        delivery.id,
        told.outcome,
        key=str(_key(delivery, request)),
        code=told.code,
        message=told.message,
        retry_after_s=told.retry_after_s,
    )


open_target = FilesTarget
