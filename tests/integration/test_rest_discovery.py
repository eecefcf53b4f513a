"""An API that nobody described, found out by a few calls: what was found out reads all of its records."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_discovery, open_source
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import AuthenticationError, ConfigurationError, InsecureTransportError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from tests.support.https_server import HttpsServer, Request, Response, json_response
from tests.support.paged_api import PATH, PagedApi, sample_records

OPTIONS = {"allow_hosts": ["127.0.0.0/8"]}
RECORDS = sample_records(40)
MOST_CALLS = 20


@pytest.fixture
def server(https_server: Callable[[], HttpsServer]) -> HttpsServer:
    return https_server()


@pytest.fixture
def credentials(server: HttpsServer, ca_file: str) -> Credentials:
    return Credentials(server.url(), token="a-token", ca_file=ca_file)


def discovered(credentials: Credentials, path: str = PATH, **given: Any) -> dict[str, Any]:
    """The options that were found; at most 20 calls are made."""
    limiter = Unlimited()
    discovery = open_discovery("rest", credentials, OPTIONS, limiter, ManualClock())
    found = dict(discovery.options(path, given))
    discovery.close()
    assert limiter.calls <= MOST_CALLS
    return found


def read_all(credentials: Credentials, options: dict[str, Any], path: str = PATH) -> list[str]:
    source = open_source("rest", credentials, {**OPTIONS, **options}, Unlimited(), ManualClock())
    pages = source.read(ReadRequest(path, "id", "updated_at", page_records=100))
    keys = [record["id"] for page in pages for record in page.records]
    source.close()
    return keys


@pytest.mark.parametrize("style", ["none", "offset", "cursor", "next_link", "link_header", "keyset"])
def test_what_is_found_out_about_paging_reads_every_record(
    server: HttpsServer, credentials: Credentials, style: str
) -> None:
    api = PagedApi(style, RECORDS)
    server.on(PATH, lambda request: api(replace(request, query={"offset": "0", **request.query})))
    found = discovered(credentials)
    assert found["pagination"]["type"] == style
    assert list(dict.fromkeys(read_all(credentials, found))) == [record["id"] for record in RECORDS]


def numbered(request: Request) -> Response:
    size, page = int(request.query.get("per_page", "10")), int(request.query.get("page", "1"))
    if not set(request.query) <= {"per_page", "page", "modified_since"}:
        return json_response({"error": "unknown parameter"}, 400)
    changed = [record for record in RECORDS if record["updated_at"] > request.query.get("modified_since", "")]
    return json_response(changed[(page - 1) * size : page * size])


def test_a_bare_list_shows_by_a_second_page_and_by_the_future_what_it_takes(
    server: HttpsServer, credentials: Credentials
) -> None:
    server.on("/rows", numbered)
    found = discovered(credentials, "/rows")
    assert found == {
        "pagination": {"type": "page_number", "page_param": "page", "size_param": "per_page"},
        "since_param": "modified_since",
        "time_format": "iso",
        "check_path": "/rows",
    }
    assert read_all(credentials, found, "/rows") == [record["id"] for record in RECORDS]


def test_a_second_object_is_asked_with_what_the_first_has_shown(server: HttpsServer, credentials: Credentials) -> None:
    server.on("/rows", numbered)
    server.on("/others", numbered)
    limiter = Unlimited()
    discovery = open_discovery("rest", credentials, OPTIONS, limiter, ManualClock())
    first = discovery.options("/rows", {})
    calls = limiter.calls
    second = discovery.options("/others", {})
    discovery.close()
    assert first == second
    assert limiter.calls - calls < calls


def test_what_is_given_is_kept_and_not_asked_for(server: HttpsServer, credentials: Credentials) -> None:
    given = {"records_path": "data", "pagination": {"type": "offset"}, "since_param": "since"}
    assert discovered(credentials, **given) == given
    assert server.requests == []


def test_more_records_without_a_way_to_them_are_an_error_and_no_short_read(
    server: HttpsServer, credentials: Credentials
) -> None:
    server.on(PATH, json_response({"data": RECORDS[:5], "has_more": True}))
    with pytest.raises(ConfigurationError, match="does not tell how its pages follow") as caught:
        discovered(credentials)
    assert "--option" in caught.value.remedy


def test_a_sample_is_the_first_page_and_says_whether_there_are_others(
    server: HttpsServer, credentials: Credentials
) -> None:
    PagedApi("next_link", RECORDS).install(server)
    server.on("/all", json_response(RECORDS))
    discovery = open_discovery("rest", credentials, OPTIONS, Unlimited(), ManualClock())
    some = discovery.sample(PATH, 1000, discovery.options(PATH, {}))
    all_ = discovery.sample("/all", 1000, discovery.options("/all", {}))
    discovery.close()
    assert (len(some.records), some.is_complete) == (7, False)
    assert (len(all_.records), all_.is_complete) == (40, True)


def test_a_keyset_is_sampled_before_its_keys_are_known(server: HttpsServer, credentials: Credentials) -> None:
    PagedApi("keyset", RECORDS).install(server)
    discovery = open_discovery("rest", credentials, OPTIONS, Unlimited(), ManualClock())
    sample = discovery.sample(PATH, 1000, discovery.options(PATH, {}))
    discovery.close()
    assert (len(sample.records), sample.is_complete) == (7, False)


def test_a_sick_record_is_told_and_left_out_of_the_sample(server: HttpsServer, credentials: Credentials) -> None:
    server.on("/sick", Response(200, b'[{"id": 1}, {"id": NaN}]', {"Content-Type": "application/json"}))
    discovery = open_discovery("rest", credentials, OPTIONS, Unlimited(), ManualClock())
    sample = discovery.sample("/sick", 10, {"pagination": {"type": "none"}})
    discovery.close()
    assert sample.records == [{"id": 1}]
    assert "NaN" in sample.problem


def test_an_openapi_document_lists_objects_fields_and_parameters(
    server: HttpsServer, credentials: Credentials, tmp_path: Path
) -> None:
    record = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "updated_at": {"type": "string", "format": "date-time"}},
    }
    get = {
        "summary": "Rows",
        "parameters": [{"name": name, "in": "query"} for name in ("per_page", "page", "modified_since")],
        "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": record}}}}},
    }
    document = {"openapi": "3.1.0", "paths": {"/rows": {"get": get}}}
    server.on("/rows", numbered)
    server.on("/openapi.json", json_response(document))
    (tmp_path / "api.yaml").write_text(json.dumps(document, indent=1))
    for catalogue in ("/openapi.json", server.url("/openapi.json"), str(tmp_path / "api.yaml")):
        limiter = Unlimited()
        discovery = open_discovery("rest", credentials, OPTIONS, limiter, ManualClock())
        assert [(info.name, info.label) for info in discovery.objects(catalogue)] == [("/rows", "Rows")]
        assert [field.name for field in discovery.fields("/rows", {})] == ["id", "updated_at"]
        found = discovery.options("/rows", {})
        assert found["since_param"] == "modified_since"
        assert found["pagination"]["type"] == "page_number"
        discovery.close()


def test_a_base_address_that_is_not_for_us_leaves_it_to_the_objects(
    server: HttpsServer, credentials: Credentials
) -> None:
    server.on("/", json_response({"message": "Missing Authentication Token"}, 403))
    discovery = open_discovery("rest", credentials, OPTIONS, Unlimited(), ManualClock())
    assert "The objects will tell" in discovery.check()
    discovery.close()
    told = open_discovery("rest", credentials, {**OPTIONS, "check_path": "/"}, Unlimited(), ManualClock())
    with pytest.raises(AuthenticationError):
        told.check()
    told.close()


def test_a_password_without_a_login_is_a_token(server: HttpsServer, ca_file: str) -> None:
    server.on("/rows", numbered)
    credentials = Credentials(server.url(), password="a-token", ca_file=ca_file)
    assert "auth" not in discovered(credentials, "/rows")
    assert {request.headers.get("Authorization") for request in server.requests} == {"Bearer a-token"}


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "openapi: 3.1.0"])
def test_a_catalogue_that_is_none_is_named(credentials: Credentials, tmp_path: Path, text: str) -> None:
    (tmp_path / "api.yaml").write_text(text)
    discovery = open_discovery("rest", credentials, OPTIONS, Unlimited(), ManualClock())
    with pytest.raises(ConfigurationError, match="catalogue"):
        discovery.objects(str(tmp_path / "api.yaml"))
    discovery.close()


def test_a_catalogue_of_another_host_is_not_called(server: HttpsServer, credentials: Credentials) -> None:
    discovery = open_discovery("rest", credentials, OPTIONS, Unlimited(), ManualClock())
    with pytest.raises(InsecureTransportError):
        discovery.objects("https://elsewhere.example.com/openapi.json")
    discovery.close()
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (json_response({"error": "who"}, 401), AuthenticationError, "credentials were refused"),
        (json_response({"error": "no"}, 404), ConfigurationError, "404"),
        (Response(200, b"<html>log in</html>", {"Content-Type": "text/html"}), ConfigurationError, "can't be used"),
        (json_response({"id": 1}), ConfigurationError, "no list of records"),
    ],
)
def test_a_path_that_has_no_records_says_so(
    server: HttpsServer, credentials: Credentials, answer: Response, error: type[Exception], said: str
) -> None:
    server.on(PATH, answer)
    with pytest.raises(error, match=said):
        discovered(credentials)
