"""Spools in S3: the suites in this process, parts of large ones, and what errors say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import ConfigurationError, NotInTime, ShippingUnavailable
from chain_client.plugin_host import PluginHost
from chain_client.shipping import open_shipper
from chain_client.testing.receiver_suite import ReceiverSuite, StoreUnderTest, fetched
from chain_client.testing.shipper_suite import (
    DestinationUnderTest,
    ShipperSuite,
    content_of,
    make_shipment,
    never,
)
from mlops_chain_aws import shipper_bucket
from mlops_chain_aws.clients import LazyClient
from mlops_chain_aws.testing.s3_store import FOLDER, S3Store
from mlops_chain_aws.testing.stand_in import ENVIRONMENT, StandIn

LARGE = (9 << 20, 9 << 20, 100)
"""Three parts."""


@pytest.fixture
def s3(aws: StandIn, plugins: PluginHost, shared_session: None) -> S3Store:
    return S3Store(aws, is_shared=False)


@pytest.fixture
def destination(s3: S3Store) -> DestinationUnderTest:
    return s3.destination()


class TestShipper(ShipperSuite):
    pass


class TestReceiver(ReceiverSuite):
    @pytest.fixture
    def store(self, s3: S3Store) -> StoreUnderTest:
        return s3.store()


class Requests:
    """Counts requests by their names, and may do something at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.at: dict[str, Callable[[], object]] = {}
        asked = shipper_bucket.ShippingBucket.ask

        def ask(bucket: Any, action: str, operation: str, *rest: Any, **more: Any) -> Any:
            self.names.append(operation)
            self.at.pop(operation, lambda: None)()
            return asked(bucket, action, operation, *rest, **more)

        monkeypatch.setattr(shipper_bucket.ShippingBucket, "ask", ask)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    return Requests(monkeypatch)


def test_a_small_source_costs_two_requests_and_one_that_is_there_costs_one(
    s3: S3Store, requests: Requests, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, 1000, 20)
    shipper = open_shipper(s3.uri, base=tmp_path)
    shipper.ship(shipment, never)
    assert requests.names == ["list_objects_v2", "put_object"]
    shipper.ship(shipment, never)
    assert requests.names[2:] == ["list_objects_v2"]


def test_a_large_one_goes_in_parts_that_are_not_brought_twice_and_none_is_left(
    s3: S3Store, requests: Requests, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, *LARGE)
    is_over = threading.Event()
    requests.at["upload_part"] = lambda: requests.at.update(upload_part=is_over.set)
    with pytest.raises(NotInTime):
        open_shipper(s3.uri, base=tmp_path).ship(shipment, is_over.is_set)
    assert s3.received(shipment.source_id) is None
    assert len(s3.uploads()) == 1
    s3.begin(shipment, parts=0)  # another worker that died as soon as it had begun
    requests.names.clear()
    open_shipper(s3.uri, base=tmp_path).ship(shipment, never)
    assert s3.received(shipment.source_id) == content_of(shipment)
    assert requests.names.count("upload_part") in (2, 3)
    assert s3.uploads() == []


def test_the_parts_of_an_earlier_process_are_not_brought_again(
    s3: S3Store, requests: Requests, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, *LARGE)
    s3.begin(shipment, parts=2)
    open_shipper(s3.uri, base=tmp_path).ship(shipment, never)
    assert requests.names.count("upload_part") == 1
    assert "create_multipart_upload" not in requests.names
    assert s3.received(shipment.source_id) == content_of(shipment)


def test_an_upload_that_another_one_ended_is_no_loss(
    s3: S3Store, requests: Requests, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, *LARGE)

    def be_faster() -> None:
        open_shipper(s3.uri, base=tmp_path).ship(shipment, never)

    requests.at["complete_multipart_upload"] = be_faster
    open_shipper(s3.uri, base=tmp_path).ship(shipment, never)
    assert s3.received(shipment.source_id) == content_of(shipment)
    assert s3.uploads() == []


def test_another_writer_between_looking_and_writing_is_seen_by_the_condition(
    s3: S3Store, requests: Requests, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, 1000)
    other = S3Store(s3.aws, is_shared=False)
    open_shipper(other.uri, base=tmp_path).ship(shipment, never)
    (key,) = other.keys()
    requests.at["put_object"] = lambda: s3.put(key, other.read(key))
    open_shipper(s3.uri, base=tmp_path).ship(shipment, never)
    assert s3.received(shipment.source_id) == content_of(shipment)
    s3.take(shipment.source_id)
    requests.at["put_object"] = lambda: s3.put(key, b"something else under its name")
    with pytest.raises(ShippingUnavailable, match="another content"):
        open_shipper(s3.uri, base=tmp_path).ship(shipment, never)


def test_fetching_goes_on_behind_the_segments_that_are_here(
    s3: S3Store, requests: Requests, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, 1000, 600_000)
    store, here = s3.store(), tmp_path / "here"
    here.mkdir()
    parcel = store.ship(shipment)
    asked = iter(range(100))
    with pytest.raises(NotInTime):
        store.connect().fetch(parcel, here, lambda: next(asked) > 5)
    ranges: list[Any] = []
    client = LazyClient.get

    def note(lazy: Any) -> Any:
        found = client(lazy)
        found.meta.events.register(
            "provide-client-params.s3.GetObject",
            lambda params, **_: ranges.append(params.get("Range")),
        )
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LazyClient, "get", note)
        store.connect().fetch(parcel, here, never)
    assert fetched(here, shipment.source_id) == content_of(shipment)
    assert len(ranges) == 1
    assert ranges[0].startswith("bytes="), "the first segment was here"


def test_a_request_that_hangs_is_left_alone_when_the_time_is_over(
    s3: S3Store, requests: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, goes_on, is_over = threading.Event(), threading.Event(), threading.Event()

    def hang(lazy: Any) -> Any:
        hangs.set()
        goes_on.wait(60)
        raise SystemExit

    monkeypatch.setattr(LazyClient, "get", hang)

    def end_the_time() -> None:
        hangs.wait(60)
        is_over.set()

    threading.Thread(target=end_the_time).start()
    began = time.monotonic()
    with pytest.raises(NotInTime):
        open_shipper(s3.uri, base=tmp_path).ship(make_shipment(tmp_path, 10), is_over.is_set)
    assert time.monotonic() - began < 30
    goes_on.set()


def test_what_is_no_parcel_is_passed_over(s3: S3Store, tmp_path: Path) -> None:
    parcel = s3.store().ship(make_shipment(tmp_path, 10))
    for name in ("readme.txt", "ab" * 16, f"{'ab' * 16}-{'cd' * 31}", f"x/{'ab' * 16}"):
        s3.put(FOLDER + name, b"anything")
    assert list(s3.store().connect().arrived()) == [parcel]


def test_a_key_of_kms_encrypts_what_is_shipped(s3: S3Store, tmp_path: Path) -> None:
    uri = f"{s3.uri}&kms_key=alias/spools"
    for sizes in ((10,), LARGE):
        shipment = make_shipment(tmp_path, *sizes)
        open_shipper(uri, base=tmp_path).ship(shipment, never)
        (key,) = s3.keys(f"{FOLDER}{shipment.source_id.hex()}")
        found = s3.s3.head_object(Bucket=s3.bucket, Key=key)
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "alias/spools")


@pytest.mark.parametrize(
    "uri",
    [
        "s3:",
        "s3://",
        "s3:///x",
        "s3://AKIASECRET:secret@bucket/x",
        "s3://bucket/x#secret",
        "s3://bucket?secret",
        "s3://bucket?secret=1",
        "s3://bucket?region=a&region=b",
        "s3://bucket?owner=secret",
        "s3://bucket?endpoint_url=http://me:secret@host",
    ],
)
def test_a_uri_that_says_nothing_is_refused_without_being_shown(
    uri: str, plugins: PluginHost, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as found:
        open_shipper(uri, base=tmp_path)
    assert "secret" not in str(found.value).lower().replace("secret_", "")


@pytest.mark.parametrize(
    "code", ["AccessDenied", "ExpiredToken", "SlowDown", "RequestTimeTooSkewed"]
)
def test_what_s3_refuses_is_one_kind_of_error_without_its_words(
    s3: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    from botocore.exceptions import ClientError

    said = f"the token {ENVIRONMENT['AWS_SESSION_TOKEN']} of https://host/?X-Amz-Signature=abc"

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            def refuse(**_: Any) -> Any:
                raise ClientError({"Error": {"Code": code, "Message": said}}, name)

            return refuse

    monkeypatch.setattr(LazyClient, "get", lambda _: Refusing())
    with pytest.raises(ShippingUnavailable, match=code) as found:
        open_shipper(s3.uri, base=tmp_path).ship(make_shipment(tmp_path, 10), never)
    assert "X-Amz" not in str(found.value)
    assert ENVIRONMENT["AWS_SESSION_TOKEN"] not in str(found.value)
    assert found.value.__cause__ is None
