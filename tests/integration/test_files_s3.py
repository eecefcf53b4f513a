"""Files in an S3 store: read, written with one put, moved aside; over HTTPS to addresses that are allowed."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import trustme
from pyarrow import fs

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionTimeoutError,
    InsecureTransportError,
    KwikSyncError,
    SystemUnavailableError,
)
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.s3_server import S3Server, refusal

ACCESS, SECRET = "an-access-key", "a-secret-access-key"
PUSH = {"push": {"file": "assets_{time}_{digest}.jsonl", "columns": ["id", "name"]}}


@pytest.fixture(scope="module")
def server(certificate_authority: trustme.CA) -> Iterator[S3Server]:
    running = S3Server(certificate_authority)
    yield running
    running.close()


@pytest.fixture
def bucket(server: S3Server, ca_file: str, request: pytest.FixtureRequest) -> tuple[str, fs.FileSystem]:
    """The name of a new bucket, and the store as somebody else sees it."""
    store = fs.S3FileSystem(
        access_key=ACCESS,
        secret_key=SECRET,
        endpoint_override=server.url.removeprefix("https://"),
        region="us-east-1",
        tls_ca_file_path=ca_file,
        allow_bucket_creation=True,
    )
    name = "b" + "".join(sign for sign in request.node.name.lower() if sign.isalnum())[-50:]
    store.create_dir(name)
    return name, store


Credential = Callable[..., Credentials]


@pytest.fixture
def credentials(server: S3Server, ca_file: str, bucket: tuple[str, fs.FileSystem]) -> Credential:
    def given(folder: str = "in", **changes: Any) -> Credentials:
        known: dict[str, Any] = {
            "login": ACCESS,
            "password": SECRET,
            "ca_file": ca_file,
            "allow_hosts": ("127.0.0.1",),
            "extra": {"endpoint_url": server.url, "region": "us-east-1"},
        }
        return Credentials(f"s3://{bucket[0]}/{folder}", **{**known, **changes})

    return given


def opened(credentials: Credentials, limiter: Unlimited | None = None, **options: Any) -> Source:
    return open_source("files", credentials, options, limiter or Unlimited(), ManualClock())


def put(bucket: tuple[str, fs.FileSystem], name: str, content: bytes) -> None:
    with bucket[1].open_output_stream(f"{bucket[0]}/{name}") as file:
        file.write(content)


def names(bucket: tuple[str, fs.FileSystem]) -> list[str]:
    found = bucket[1].get_file_info(fs.FileSelector(bucket[0], recursive=True))
    return sorted(info.path.removeprefix(f"{bucket[0]}/") for info in found if info.is_file)


def test_objects_are_read_and_every_call_is_counted(bucket: Any, credentials: Credential) -> None:
    put(bucket, "in/2026/assets_1.csv", "id,name\nR1,Grüße\n".encode())
    put(bucket, "in/2026/assets_2.csv.gz", gzip.compress(b"id,name\nR2,x\nR3,y\n"))
    put(bucket, "in/assets_9.csv", b"id,name\nR9,not meant\n")
    put(bucket, "elsewhere/assets_8.csv", b"id,name\nR8,not ours\n")
    limiter = Unlimited()
    with closing(opened(credentials(), limiter)) as source:
        pages = list(source.read(ReadRequest("*/assets_*.csv*", "id", page_records=1)))
    assert [record["id"] for page in pages for record in page.records] == ["R1", "R2", "R3"]
    assert sum(page.calls for page in pages) == limiter.calls >= 3


def test_a_read_goes_on_in_the_middle_of_an_object(bucket: Any, credentials: Credential) -> None:
    put(bucket, "in/assets_1.csv", b"id,name\n" + b"".join(b"R%d,x\n" % number for number in range(5)))
    with closing(opened(credentials())) as source:
        first = next(source.read(ReadRequest("assets_*.csv", "id", page_records=2)))
        rest = list(source.read(ReadRequest("assets_*.csv", "id", page_records=2, resume=first.resume)))
    assert [record["id"] for page in rest for record in page.records] == ["R2", "R3", "R4"]


def test_a_check_says_what_is_there(bucket: Any, credentials: Credential) -> None:
    put(bucket, "in/assets_1.csv", b"id\n1\n")
    with closing(opened(credentials())) as source:
        assert "1 files, the newest is assets_1.csv" in source.check()
    with closing(opened(credentials("nothing"))) as source:
        assert source.check().endswith("holds no files.")


def test_a_bad_object_is_moved_with_its_reason(bucket: Any, credentials: Credential) -> None:
    put(bucket, "in/assets_1.csv", b"number\n1\n")
    with closing(opened(credentials())) as source:
        pages = list(source.read(ReadRequest("assets_*.csv", "id", known_files=lambda names: {})))
    assert [len(page.rejects) for page in pages] == [1]
    assert names(bucket) == ["in/rejected/assets_1.csv", "in/rejected/assets_1.csv.reason.json"]


def test_a_delivery_is_one_object_however_often_it_is_sent(bucket: Any, credentials: Credential) -> None:
    target = open_target("files", credentials(), PUSH, Unlimited(), ManualClock())
    delivery = Delivery("d1", Action.CREATE, None, {"name": "Grüße"}, "key-1", record_id="f" * 32)
    request = PushRequest("assets_*.csv", "id")
    with closing(target):
        for _ in range(2):
            assert target.push(request, [delivery])[0].outcome == Outcome.CONFIRMED
        assert target.look(request, [delivery])[0].outcome == Outcome.CONFIRMED
    (name,) = names(bucket)
    with bucket[1].open_input_stream(f"{bucket[0]}/{name}") as file:
        assert file.read().decode() == f'{{"id":"{"f" * 32}","name":"Grüße"}}\n'


def test_a_store_without_https_is_refused(credentials: Credential, server: S3Server) -> None:
    plain = {"endpoint_url": server.url.replace("https", "http")}
    with pytest.raises(InsecureTransportError, match="not HTTPS"):
        opened(credentials(extra=plain))


def test_a_store_whose_certificate_is_not_trusted_is_refused(
    bucket: Any, credentials: Credential, tmp_path: Any
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with closing(opened(credentials(ca_file=str(other)))) as source, pytest.raises(InsecureTransportError):
        source.check()


def test_a_store_in_a_private_network_must_be_allowed(credentials: Credential) -> None:
    with closing(opened(credentials(allow_hosts=()))) as source, pytest.raises(InsecureTransportError) as told:
        source.check()
    assert "allow_hosts" in told.value.remedy


def test_a_bucket_that_is_not_there_is_told_as_a_mistake(credentials: Credential) -> None:
    own = replace(credentials(), base_url="s3://no-such-bucket-here")
    with closing(opened(own)) as source, pytest.raises(ConfigurationError, match="no-such-bucket-here"):
        source.check()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", AuthenticationError),
        (403, "InvalidAccessKeyId", AuthenticationError),
        (403, "SignatureDoesNotMatch", AuthenticationError),
        (500, "InternalError", SystemUnavailableError),
        (503, "SlowDown", SystemUnavailableError),
        (429, "TooManyRequests", SystemUnavailableError),
    ],
)
@pytest.mark.parametrize("after_calls", [0, 1])
def test_a_refusal_ends_a_read_that_is_gone_on_with(
    bucket: Any,
    credentials: Credential,
    server: S3Server,
    status: int,
    code: str,
    expected: type[KwikSyncError],
    after_calls: int,
) -> None:
    put(bucket, "in/assets_1.csv", b"id,name\nR1,x\n")
    server.instead = [*[server.store] * after_calls, refusal(status, code)]
    with closing(opened(credentials())) as source:
        with pytest.raises(expected) as told:
            list(source.read(ReadRequest("assets_*.csv", "id")))
        ids = [record["id"] for page in source.read(ReadRequest("assets_*.csv", "id")) for record in page.records]
    assert ids == ["R1"]
    assert told.value.remedy
    assert SECRET not in str(told.value)


def test_a_store_that_is_silent_is_not_waited_for_without_end(
    bucket: Any, credentials: Credential, server: S3Server
) -> None:
    server.instead = [server.silence]
    with closing(opened(credentials(), timeouts={"read_s": 1})) as source, pytest.raises(ConnectionTimeoutError):
        source.check()


def test_a_put_that_is_refused_is_unsent_and_goes_out_later(
    bucket: Any, credentials: Credential, server: S3Server
) -> None:
    delivery = Delivery("d1", Action.CREATE, None, {"name": "x"}, "key-1", record_id="f" * 32)
    request = PushRequest("assets_*.csv", "id")
    with closing(open_target("files", credentials(), PUSH, Unlimited(), ManualClock())) as target:
        server.instead = [*[server.store] * 2, *[refusal(503, "SlowDown")] * 3]
        receipt = target.push(request, [delivery])[0]
        server.instead = []
        assert receipt.outcome in (Outcome.UNSENT, Outcome.UNKNOWN)
        assert target.push(request, [delivery])[0].outcome == Outcome.CONFIRMED
    assert len(names(bucket)) == 1


def test_no_answer_is_told_without_the_secret(credentials: Credential) -> None:
    own = credentials(extra={"endpoint_url": "https://127.0.0.1:1", "region": "us-east-1"})
    with closing(opened(own)) as source, pytest.raises(SystemUnavailableError) as told:
        source.check()
    assert SECRET not in str(told.value)
    assert ACCESS not in str(told.value)
