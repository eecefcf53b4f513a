"""Who we are to a system, where it changes in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.errors import AuthenticationError, CustomerKeyError, KwikSyncError
from kwiksync_ops.services.identity import Identity

OLD = Credentials("https://erp", password="old-password", customer_key="old-customer-key")
NEW = Credentials("https://erp", password="new-password", customer_key="new-customer-key")
NEWEST = Credentials("https://erp", password="newest-password", customer_key="new-customer-key")


def identity(*asked: Credentials) -> Identity:
    answers: Iterator[Credentials] = iter(asked)
    return Identity(lambda: next(answers))


@pytest.mark.parametrize("error", [AuthenticationError, CustomerKeyError])
def test_refused_it_goes_on_with_what_is_new_as_often_as_there_is_something_new(error: type[KwikSyncError]) -> None:
    ours, used = identity(OLD, NEW, NEWEST), []

    def work(credentials: Credentials) -> str:
        used.append(credentials)
        if credentials != NEWEST:
            raise error("refused", remedy="mend it")
        return "done"

    assert ours.use(work) == "done"
    assert used == [OLD, NEW, NEWEST]
    assert ours.credentials == NEWEST


def test_refused_as_the_same_it_fails() -> None:
    ours, used = identity(OLD, OLD), []

    def work(credentials: Credentials) -> None:
        used.append(credentials)
        raise CustomerKeyError("refused", remedy="mend it")

    with pytest.raises(CustomerKeyError, match="refused"):
        ours.use(work)
    assert used == [OLD]


def test_no_secret_that_was_ours_is_told() -> None:
    ours = identity(OLD, NEW)

    def work(credentials: Credentials) -> None:
        if credentials == OLD:
            raise CustomerKeyError("refused", remedy="mend it")

    ours.use(work)
    told = ours.redactor.text("old-customer-key and new-customer-key")
    assert "customer-key" not in told
