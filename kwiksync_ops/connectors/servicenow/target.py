"""Writes to a ServiceNow instance: a thousand records in one call, with a receipt for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.servicenow.access import Instance
from kwiksync_ops.connectors.servicenow.finder import Finder
from kwiksync_ops.connectors.servicenow.instance_check import describe
from kwiksync_ops.connectors.servicenow.journal import Journal
from kwiksync_ops.connectors.servicenow.options import PushOptions, ServiceNowOptions
from kwiksync_ops.connectors.servicenow.payload import References
from kwiksync_ops.connectors.servicenow.sending import Sender
from kwiksync_ops.connectors.servicenow.table_writer import TableWriter, Tools
from kwiksync_ops.connectors.target import Delivery, PushRequest, Receipt, Repeat
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import Action


class ServiceNowTarget:
    """One instance over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._instance = Instance(credentials, options, limiter, clock)
        finder = Finder(self._instance)
        self._tools = Tools(Sender(self._instance), finder, References(finder), Journal(finder))

    def __repr__(self) -> str:
        return f"ServiceNowTarget({self._instance.redactor.url(self._instance.credentials.base_url)!r})"

    @property
    def calls(self) -> int:
        return self._instance.session.calls

    def repeat(self, request: PushRequest) -> Repeat:
        """An import goes out again where its map coalesces; what its staging columns became can't be looked for."""
        _, push = self._options(request)
        if push.import_set is None:
            return Repeat.LOOK
        return Repeat.UPSERT if push.import_set.coalesce else Repeat.NEVER

    def sends(self, request: PushRequest, action: Action) -> bool:
        _, push = self._options(request)
        makes_doubles = push.import_set is not None and not push.import_set.coalesce and action == Action.UPDATE
        return action in push.actions and not makes_doubles

    def sends_changes_only(self, request: PushRequest) -> bool:
        """A transform map may take what is missing for empty: it gets the whole record."""
        return self._options(request)[1].import_set is None

    def call_records(self, request: PushRequest, action: Action) -> int:
        _, push = self._options(request)
        return 1 if push.by == "record" else push.records

    def push(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """See `Target.push`. What goes beyond the size of a call goes out in a second one."""
        return self._table(request).push(deliveries)

    def confirm(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """How the rows of an import stand; the journal entries of those that are in go out then."""
        return self._table(request).confirm(deliveries)

    def look(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        return self._table(request).look(deliveries)

    def check(self) -> str:
        return describe(self._instance)

    def close(self) -> None:
        self._instance.close()

    def _table(self, request: PushRequest) -> TableWriter:
        options, push = self._options(request)
        return TableWriter(self._tools, options, push, request.source)

    def _options(self, request: PushRequest) -> tuple[ServiceNowOptions, PushOptions]:
        options = self._instance.options(request.source, request.options)
        if options.push is None:
            raise ConfigurationError(
                f"It is not said how {request.source} is written.", remedy="Set push in the table's servicenow options."
            )
        if request.key_field != "sys_id":
            raise ConfigurationError(
                f"The key of {request.source} is {request.key_field}: only a table whose key is sys_id can be written.",
                remedy="Set key: sys_id for the table.",
            )
        return options, options.push


open_target = ServiceNowTarget
