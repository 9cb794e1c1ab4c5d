"""AWS that answers byte by byte, or behind credentials that never come: nobody waits for ever."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import (
    HostUnavailable,
    PayloadStoreUnavailable,
    ShippingUnavailable,
    SignerUnavailable,
)
from chain_client.signing.eip712 import find_signer, sign_digest
from chain_client.types import Digest
from mlops_chain_aws import kms as kms_keys
from mlops_chain_aws import shipper_bucket
from mlops_chain_aws.artifact_settings import ArtifactSettings
from mlops_chain_aws.artifacts import S3Artifacts
from mlops_chain_aws.clients import LazyClient, Patience, Place
from mlops_chain_aws.kms import MOST_HANGING, MOST_REQUESTS, KmsSigner, open_kms_signer
from mlops_chain_aws.payload_settings import PayloadSettings
from mlops_chain_aws.payloads import S3PayloadStore
from mlops_chain_aws.replies import SLOWEST, keep_pace
from mlops_chain_aws.shipper import S3Shipper, open_s3_shipper
from mlops_chain_aws.testing.scripted_kms import Drip, ScriptedKms, scripted_kms
from mlops_chain_aws.testing.stand_in import REGION

DIGEST = hashlib.sha256(b"a head").digest()
REPLY_S = 0.3
"""Bytes come more often than this, so no single wait for one is too long."""
PATIENCE = Patience(connect_s=5, read_s=5, attempts=1, reply_s=REPLY_S)
PATIENCE_S = 30.0


def wait_until(reached: Callable[[], bool]) -> None:
    """Look until it is so; the test fails if it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


@pytest.fixture
def kms() -> Iterator[ScriptedKms]:
    with scripted_kms() as server:
        yield server


def hanging() -> list[threading.Thread]:
    """Threads in which AWS is asked."""
    return [thread for thread in threading.enumerate() if thread.name == "mlops-chain AWS"]


def is_signed(signer: KmsSigner) -> bool:
    return find_signer(DIGEST, sign_digest(signer, DIGEST)) == signer.address()


@pytest.mark.parametrize("in_headers", [True, False], ids=["headers", "body"])
def test_a_kms_that_answers_byte_by_byte_is_given_up_and_its_sockets_are_closed(
    kms: ScriptedKms, in_headers: bool
) -> None:
    client = LazyClient("kms", Place(REGION, kms.endpoint_url), PATIENCE)
    signer = KmsSigner("awskms:alias/w", "alias/w", client, wait=lambda _: None)
    signer.address()
    kms.will("Sign", *[Drip(in_headers)] * 50)
    with pytest.raises(SignerUnavailable, match=f"ReadTimeoutError.*; asked {MOST_REQUESTS} times"):
        signer.sign_hash(DIGEST)
    assert kms.count("Sign") == MOST_REQUESTS
    wait_until(lambda: not kms.dripping)
    kms.script.clear()
    assert is_signed(signer), "and it signs when KMS does again"


def test_a_signature_ends_at_its_deadline_whatever_hangs(
    kms: ScriptedKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kms_keys, "DEADLINE_S", 0.5)
    patient = Patience(connect_s=5, read_s=60, attempts=1, reply_s=60)
    client = LazyClient("kms", Place(REGION, kms.endpoint_url), patient)
    signer = KmsSigner("awskms:alias/w", "alias/w", client)
    kms.will("GetPublicKey", Drip())
    with pytest.raises(SignerUnavailable, match=r"no answer within 0\.5 s; asked 1 times"):
        signer.sign_hash(DIGEST)
    assert kms.asked == ["DescribeKey", "GetPublicKey"]
    monkeypatch.setattr(kms_keys, "DEADLINE_S", 20.0)
    assert is_signed(signer), "by another client, while the first request hangs still"
    assert kms.dripping


@pytest.fixture
def finder(kms: ScriptedKms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program that finds credentials, which hangs once there is this file: until it is gone."""
    hangs = tmp_path / "hangs"
    (tmp_path / "find.sh").write_text(
        f"if [ -e {hangs} ]; then while [ ! -e {hangs}.over ]; do sleep 0.02; done; fi\n"
        'echo \'{"Version": 1, "AccessKeyId": "AKIAOTHER", "SecretAccessKey": "x"}\'\n'
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = sh {tmp_path}/find.sh\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(kms_keys, "DEADLINE_S", 0.5)
    hangs.touch()
    yield hangs
    hangs.with_name("hangs.over").touch()
    wait_until(lambda: hanging() == [])


def test_credentials_that_never_come_hold_no_signature_and_collect_no_threads(
    kms: ScriptedKms, finder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = open_kms_signer(f"awskms:alias/w?region={REGION}&endpoint_url={kms.endpoint_url}")
    for _ in range(MOST_HANGING):
        with pytest.raises(SignerUnavailable, match=r"gave no answer within 0\.5 s"):
            signer.sign_hash(DIGEST)
    for _ in range(3):
        with pytest.raises(SignerUnavailable, match="looks for credentials, hang still"):
            signer.sign_hash(DIGEST)
    assert len(hanging()) == MOST_HANGING
    finder.with_name("hangs.over").touch()
    wait_until(lambda: hanging() == [])
    monkeypatch.setattr(kms_keys, "DEADLINE_S", 20.0)
    assert is_signed(signer), "and it signs with credentials that come"


def test_credentials_that_come_the_next_time_are_not_kept_by_those_that_hang(
    kms: ScriptedKms, finder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = open_kms_signer(f"awskms:alias/w?region={REGION}&endpoint_url={kms.endpoint_url}")
    with pytest.raises(SignerUnavailable, match="gave no answer within"):
        signer.sign_hash(DIGEST)
    finder.unlink()
    monkeypatch.setattr(kms_keys, "DEADLINE_S", 20.0)
    assert is_signed(signer)
    assert len(hanging()) == 1


@dataclass
class SlowS3:
    """S3 over a socket, slowly.

    Args:
        place: where it listens.
        pieces: what it sends one after the other behind ``start``; a last one of one byte for ever.
        start: the answer's first bytes.
        ended: it sends no more.
        taken: once for each connection that was closed before.
    """

    place: Place
    pieces: list[bytes] = field(default_factory=lambda: [b" "])
    start: bytes = b"HTTP/1.1 200 OK\r\nX-Long: "
    ended: threading.Event = field(default_factory=threading.Event)
    taken: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


@pytest.fixture
def slow() -> Iterator[SlowS3]:
    """It, on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def answer(self) -> None:
            self.close_connection = True
            try:
                self.wfile.write(s3.start)
                for piece in s3.pieces:
                    self.wfile.write(piece)
                    s3.ended.wait(0.02)
                while s3.pieces[-1] == b" " and not s3.ended.wait(0.02):
                    self.wfile.write(b" ")
            except OSError:
                s3.taken.release()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    s3 = SlowS3(Place(REGION, f"http://127.0.0.1:{server.server_address[1]}"))
    try:
        yield s3
    finally:
        s3.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


IN_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n<"


@pytest.mark.parametrize("start", [SlowS3(Place()).start, IN_BODY], ids=["headers", "body"])
def test_a_store_of_payloads_that_answers_byte_by_byte_is_unavailable(
    slow: SlowS3, start: bytes
) -> None:
    slow.start = start
    settings = PayloadSettings("bucket", place=slow.place)
    store = S3PayloadStore(settings, LazyClient("s3", slow.place, PATIENCE))
    data = b"payload"
    digest = Digest(hashlib.sha256(data).digest())
    uses: list[Callable[[], object]] = [lambda: store.get(digest), lambda: store.erase(digest)]
    if start != IN_BODY:  # neither answer has one
        uses += [lambda: store.put(digest, data), store.check]
    for use in uses:
        with pytest.raises(PayloadStoreUnavailable, match="ReadTimeoutError"):
            use()
        assert slow.taken.acquire(timeout=PATIENCE_S), "its socket was closed"


@pytest.mark.parametrize("start", [SlowS3(Place()).start, IN_BODY], ids=["headers", "body"])
def test_a_bucket_of_spools_that_answers_byte_by_byte_holds_no_relay(
    slow: SlowS3, start: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow.start = start
    monkeypatch.setattr(shipper_bucket, "_PATIENCE", PATIENCE)
    shipper: S3Shipper = open_s3_shipper(
        f"s3://bucket/p?region={REGION}&endpoint_url={slow.place.endpoint_url}", tmp_path
    )
    for look in (shipper.arrived, shipper.unfinished):
        with pytest.raises(ShippingUnavailable, match="ReadTimeoutError"):
            list(look())
        assert slow.taken.acquire(timeout=PATIENCE_S), "its socket was closed"


def test_artifacts_that_come_byte_by_byte_are_not_waited_for(slow: SlowS3) -> None:
    client = LazyClient("s3", slow.place, PATIENCE)
    store = S3Artifacts("s3://bucket/x", ArtifactSettings(slow.place), client)
    with pytest.raises(HostUnavailable, match="ReadTimeoutError"):
        list(store.list())
    slow.start = IN_BODY
    stream = store.open("data.bin")
    assert stream is not None
    with closing(stream), pytest.raises(HostUnavailable, match="ReadTimeoutError"):
        stream.read()


def test_a_large_object_may_take_as_long_as_it_needs(slow: SlowS3) -> None:
    piece = b"x" * (SLOWEST * 2)
    slow.pieces = [piece] * 40  # 0.8 seconds, and more
    size = len(piece) * len(slow.pieces)
    slow.start = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    client = LazyClient("s3", slow.place, PATIENCE)
    began = time.monotonic()
    with closing(client.get().get_object(Bucket="bucket", Key="k")["Body"]) as body:
        assert body.read() == piece * len(slow.pieces)
    assert time.monotonic() - began > 2 * REPLY_S


def test_who_reads_slowly_is_not_taken_for_who_sends_slowly(slow: SlowS3) -> None:
    slow.pieces = [b"x" * 1000]
    slow.start = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    client = LazyClient("s3", slow.place, PATIENCE)
    with closing(client.get().get_object(Bucket="bucket", Key="k")["Body"]) as body:
        threading.Event().wait(1.5 * REPLY_S)
        assert body.read() == b"x" * 1000


def test_a_botocore_that_is_built_otherwise_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    other: Any = object()
    keep_pace(other, 1.0)
    assert "comes byte by byte is not broken off" in caplog.text
