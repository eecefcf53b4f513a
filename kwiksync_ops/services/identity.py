"""Who we are to a system, asked for again where it refuses us: a key may be rotated in the middle of a sync."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.errors import AuthenticationError, CustomerKeyError
from kwiksync_ops.redaction import Redactor

log = logging.getLogger(__name__)

T = TypeVar("T")


class Identity:
    """`redactor` knows all secrets that were ours, so that none of them is told, old or new.

    Args:
        ask: finds the connection and the Customer Key as they are now.
    """

    def __init__(self, ask: Callable[[], Credentials]) -> None:
        self._ask = ask
        self.credentials = ask()
        self.redactor = Redactor(self.credentials.secrets)

    def use(self, work: Callable[[Credentials], T]) -> T:
        """What `work` returns; it is called again where the system refused us and we are another by now."""
        while True:
            try:
                return work(self.credentials)
            except (AuthenticationError, CustomerKeyError):
                if not self._is_renewed():
                    raise
            log.info("The Customer Key was rotated, or the connection was changed; going on with the new one")

    def _is_renewed(self) -> bool:
        before, self.credentials = self.credentials, self._ask()
        self.redactor.learn(*self.credentials.secrets)
        return self.credentials != before
