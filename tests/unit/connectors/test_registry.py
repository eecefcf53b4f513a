from __future__ import annotations

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, option_faults
from kwiksync_ops.connectors.rest.source import RestSource
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock

ERP = Credentials("https://erp.example/api")


def test_a_kind_opens_its_source_and_calls_nothing() -> None:
    source = open_source("rest", ERP, {}, Unlimited(), ManualClock())
    assert isinstance(source, RestSource)
    source.close()


def test_an_unknown_kind_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="no connector of kind 'soap'") as caught:
        open_source("soap", ERP, {}, Unlimited(), ManualClock())
    assert "rest" in caught.value.remedy


def test_an_http_url_is_refused_before_anything_is_called() -> None:
    with pytest.raises(InsecureTransportError, match="is not HTTPS"):
        open_source("rest", Credentials("http://erp.example"), {}, Unlimited(), ManualClock())


def test_option_faults_are_those_of_the_kind() -> None:
    assert option_faults("rest", {"auth": "none"}) == ()
    assert len(option_faults("rest", {"auth": "x"})) == 1


@pytest.mark.parametrize(
    ("options", "request_", "says"),
    [
        ({"allow_hosts": ["erp.example"]}, {}, "sets allow_hosts"),
        ({"pagination": {"type": "keyset"}}, {}, "has no cursor"),
        (
            {"pagination": {"type": "keyset"}, "time_format": "epoch"},
            {"cursor_field": "at"},
            "time_format 'epoch' must be the format of its cursor, 'iso'",
        ),
        ({}, {"resume": {"v": 1, "type": "offset", "at": None}}, "way of paging was changed"),
        ({}, {"resume": {"v": 99}}, "way of paging was changed"),
    ],
)
def test_a_read_that_can_not_be_done_as_configured_is_told(
    options: dict[str, object], request_: dict[str, object], says: str
) -> None:
    source = open_source("rest", ERP, {}, Unlimited(), ManualClock())
    request = ReadRequest("tickets", key="id", options=options, **request_)  # type: ignore[arg-type]  # by the table
    with pytest.raises(ConfigurationError, match=says):
        source.read(request)
    source.close()
