"""`s3:` payload stores: what is asked of S3, retention, versions, and what S3 refuses.

On moto in this process. Where it is not as AWS: no signature, clock or permission is checked, so
those refusals are put into its mouth, as AWS words them; a retention may be shortened; a checksum
that is sent is kept, and not compared with the bytes.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chain_client.errors import (
    ChainError,
    ConfigurationError,
    ErasureRefused,
    PayloadDamaged,
    PayloadMissing,
    PayloadStoreUnavailable,
)
from chain_client.testing.payload_store_suite import make_payload
from chain_client.types import Digest
from mlops_chain_aws import payloads
from mlops_chain_aws.clients import LazyClient, Patience, Place
from mlops_chain_aws.payload_settings import PayloadSettings
from mlops_chain_aws.payloads import S3PayloadStore, open_s3_payloads
from mlops_chain_aws.testing.stand_in import ENVIRONMENT, REGION, in_process

SECRET = "AKIASECRETSECRET0000/presigned?X-Amz-Signature=0123456789"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "_pause", lambda attempt: None)


class S3:
    """Three buckets, with all that tests do to them."""

    def __init__(self, client: LazyClient) -> None:
        self.lazy = client
        self.client = client.get()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._registered: list[tuple[str, Callable[..., Any]]] = []

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Let botocore call it, until the test is over."""
        self.client.meta.events.register(event, handler)
        self._registered.append((event, handler))

    def close(self) -> None:
        for event, handler in self._registered:
            self.client.meta.events.unregister(event, handler)

    def note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.asked.append((model.name, dict(params)))

    def store(self, bucket: str = "plain", query: str = "") -> S3PayloadStore:
        return S3PayloadStore(PayloadSettings.of(f"s3://{bucket}/p{query}"), self.lazy)

    def versions(self, bucket: str, digest: Digest) -> list[dict[str, Any]]:
        answer = self.client.list_object_versions(Bucket=bucket, Prefix=key_of(digest))
        return [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]

    def requests(self) -> list[str]:
        """Names of the requests since the last question."""
        names = [name for name, _ in self.asked]
        self.asked.clear()
        return names

    @contextlib.contextmanager
    def saying(
        self, operation: str, status: int, code: str, times: int = 99
    ) -> Iterator[Callable[[], int]]:
        """S3 answers an operation with an error; gives how often it did."""
        said = 0

        def answer(model: Any, **_: Any) -> Any:
            nonlocal said
            if said >= times:
                return None
            said += 1
            return make_answer(status, code if model.name[:4] != "Head" else str(status))

        name = f"before-call.s3.{operation}"
        self.client.meta.events.register(name, answer)
        try:
            yield lambda: said
        finally:
            self.client.meta.events.unregister(name, answer)


def make_answer(status: int, code: str) -> Any:
    """An error, as botocore reads it; with words that must not be repeated."""
    from botocore.awsrequest import AWSResponse

    metadata = {"HTTPStatusCode": status, "RequestId": "R1", "HTTPHeaders": {}}
    parsed = {"Error": {"Code": code, "Message": SECRET}, "ResponseMetadata": metadata}
    return AWSResponse("https://s3/", status, {}, None), parsed


def key_of(digest: Digest) -> str:
    return f"p/{digest.hex()}"


@pytest.fixture(scope="module")
def shared() -> Iterator[LazyClient]:
    """One moto and one client for all tests: each uses payloads of its own."""
    with pytest.MonkeyPatch.context() as patch, in_process() as aws:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        aws.make_bucket("plain")
        aws.make_bucket("versions", versioned=True)
        aws.make_bucket("locked", locked=True)
        client = LazyClient("s3", Place(REGION), Patience(attempts=1))
        client.get()
        yield client


@pytest.fixture
def s3(shared: LazyClient) -> Iterator[S3]:
    made = S3(shared)
    made.on("provide-client-params.s3.*", made.note)
    yield made
    made.close()


COMPLIANCE = "?retention=COMPLIANCE&retain_days=30"
GOVERNANCE = "?retention=GOVERNANCE&retain_days=30"


# -- what a URI says --


def test_a_uri_says_where_and_what_is_asked_for() -> None:
    settings = PayloadSettings.of(
        "s3://my.bucket-1/a/b/?region=eu-west-1&endpoint_url=https://s3.example:9000"
        "&owner=123456789012&kms_key=alias/payloads&retention=COMPLIANCE&retain_days=3650"
    )
    assert settings == PayloadSettings(
        "my.bucket-1",
        "a/b/",
        Place("eu-west-1", "https://s3.example:9000"),
        "123456789012",
        "alias/payloads",
        "COMPLIANCE",
        3650,
    )
    assert settings.shown == "s3://my.bucket-1/a/b"
    assert PayloadSettings.of("s3://bucket") == PayloadSettings("bucket")


@pytest.mark.parametrize(
    "uri",
    [
        "s3:bucket",
        "s3:///prefix",
        f"s3://{SECRET}@bucket/p",
        f"s3://B/{SECRET}",
        f"s3://bucket/p#{SECRET}",
        f"s3://bucket?secret_access_key={SECRET}",
        f"s3://bucket?region=x&region={SECRET}",
        f"s3://bucket?owner={SECRET}",
        f"s3://bucket?endpoint_url=https://me:{SECRET}@s3.example",
        "s3://bucket?retention=COMPLIANCE",
        "s3://bucket?retain_days=5",
        f"s3://bucket?retention={SECRET}&retain_days=5",
        *(
            f"s3://bucket?retention=COMPLIANCE&retain_days={days}"
            for days in ("0", "-1", "1.5", "36501", "999999", "ten")
        ),
        "s3://bucket?bypass_governance=yes",
    ],
)
def test_what_is_no_such_uri_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_s3_payloads(uri)
    assert SECRET not in str(raised.value)


def test_a_store_asks_nobody_until_it_is_used() -> None:
    opened = open_s3_payloads("s3://no-such-bucket/p")
    assert opened.uri == "s3://no-such-bucket/p"


# -- what is asked of S3 --


def test_a_put_is_one_conditional_request_with_the_digest(s3: S3) -> None:
    digest, data = make_payload()
    s3.store().put(digest, data)
    ((name, params),) = s3.asked
    assert name == "PutObject"
    assert params["IfNoneMatch"] == "*"
    assert params["Key"] == f"p/{digest.hex()}"
    stored = s3.client.head_object(Bucket="plain", Key=key_of(digest), ChecksumMode="ENABLED")
    assert stored["ChecksumSHA256"] == params["ChecksumSHA256"]


def test_a_second_put_asks_for_the_digest_only_and_writes_nothing(s3: S3) -> None:
    digest, data = make_payload()
    for _ in range(2):
        s3.store("versions").put(digest, data)
    assert s3.requests() == ["PutObject", "PutObject", "HeadObject"]
    assert len(s3.versions("versions", digest)) == 1


def test_what_lies_there_without_its_digest_is_read_before_it_is_believed(s3: S3) -> None:
    digest, data = make_payload()
    s3.client.put_object(Bucket="versions", Key=key_of(digest), Body=data)
    s3.store("versions").put(digest, data)
    assert len(s3.versions("versions", digest)) == 1


def test_objects_are_encrypted_with_the_key_that_is_asked_for(s3: S3) -> None:
    digest, data = make_payload()
    key = "arn:aws:kms:eu-central-1:123456789012:key/any"
    store = s3.store(query=f"?kms_key={key}")
    store.put(digest, data)
    stored = s3.client.head_object(Bucket="plain", Key=key_of(digest))
    assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"]) == ("aws:kms", key)
    assert store.get(digest) == data


def test_a_store_that_does_not_encrypt_as_asked_is_refused(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(parsed: dict[str, Any], **_: Any) -> None:
        parsed.pop("ServerSideEncryption", None)

    s3.on("after-call.s3.PutObject", forget)
    with pytest.raises(ConfigurationError, match="does not encrypt"):
        s3.store(query="?kms_key=alias/x").put(*make_payload())


def test_every_request_names_the_account_that_must_own_the_bucket(s3: S3) -> None:
    digest, data = make_payload()
    store = s3.store("versions", "?owner=123456789012")
    store.check()
    store.put(digest, data)
    store.get(digest)
    store.erase(digest)
    assert {params.get("ExpectedBucketOwner") for _, params in s3.asked} == {"123456789012"}


# -- several at once, and answers that are lost --


def test_a_conflict_with_another_request_is_asked_again(s3: S3) -> None:
    digest, data = make_payload()
    with s3.saying("PutObject", 409, "ConditionalRequestConflict", times=2) as said:
        s3.store().put(digest, data)
    assert said() == 2
    assert s3.store().get(digest) == data


def test_conflicts_without_end_are_said_to_be_no_loss(s3: S3) -> None:
    with (
        s3.saying("PutObject", 409, "ConditionalRequestConflict"),
        pytest.raises(PayloadStoreUnavailable, match="try again"),
    ):
        s3.store().put(*make_payload())


def test_a_put_whose_answer_was_lost_is_done_when_it_is_asked_again(s3: S3) -> None:
    digest, data = make_payload()
    s3.store("versions").put(digest, data)  # what S3 did; its answer is lost:
    with (
        s3.saying("PutObject", 500, "InternalError", times=1),
        pytest.raises(PayloadStoreUnavailable),
    ):
        s3.store("versions").put(digest, data)
    s3.store("versions").put(digest, data)
    assert len(s3.versions("versions", digest)) == 1


def test_what_is_erased_between_refusal_and_look_is_put_again(s3: S3) -> None:
    digest, data = make_payload()
    with s3.saying("PutObject", 412, "PreconditionFailed", times=1):
        s3.store().put(digest, data)
    assert s3.store().get(digest) == data


def test_other_bytes_in_its_place_are_replaced_only_if_they_are_still_those(
    s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    digest, data = make_payload()
    put = s3.client.put_object(Bucket="versions", Key=key_of(digest), Body=b"other")
    s3.store("versions").put(digest, data)
    (last,) = [params for name, params in s3.asked if "IfMatch" in params]
    assert last["IfMatch"] == put["ETag"]
    assert s3.store("versions").get(digest) == data
    assert "held other bytes" in caplog.text


# -- versions --


@pytest.mark.parametrize("change", ["overwritten", "deleted"])
def test_what_others_overwrote_or_deleted_is_still_read_where_there_are_versions(
    s3: S3, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    digest, data = make_payload()
    store = s3.store("versions")
    store.put(digest, data)
    for _ in range(3):
        if change == "overwritten":
            s3.client.put_object(Bucket="versions", Key=key_of(digest), Body=b"other")
        else:
            s3.client.delete_object(Bucket="versions", Key=key_of(digest))
    caplog.set_level(logging.WARNING)
    assert store.get(digest) == data
    assert change in caplog.text
    store.put(digest, data)
    caplog.clear()
    assert store.get(digest) == data
    assert caplog.text == "", "a put mended it"


def test_without_a_version_that_is_whole_it_is_damaged_or_missing(s3: S3) -> None:
    digest, data = make_payload()
    store = s3.store("versions")
    for body in (data[:-1], data + b"!"):
        s3.client.put_object(Bucket="versions", Key=key_of(digest), Body=body)
    with pytest.raises(PayloadDamaged):
        store.get(digest)
    s3.client.delete_object(Bucket="versions", Key=key_of(digest))
    with pytest.raises(PayloadMissing):
        store.get(digest)


def test_bytes_that_changed_on_their_way_are_read_again(s3: S3) -> None:
    digest, data = make_payload()
    store = s3.store()
    store.put(digest, data)
    backend = _backend("plain", digest)
    whole, backend.value = backend.value, data[:-1] + b"?"

    reads = 0

    def count(**_: Any) -> None:
        nonlocal reads
        reads += 1
        if reads == 2:
            backend.value = whole

    s3.on("before-call.s3.GetObject", count)
    assert store.get(digest) == data
    assert reads == 2


def test_bytes_that_differ_from_s3s_own_checksum_are_damage(s3: S3) -> None:
    digest, data = make_payload()
    store = s3.store("versions")
    store.put(digest, data)
    _backend("versions", digest).value = data[:-1] + b"?"
    with pytest.raises(PayloadDamaged, match=digest.hex()):
        store.get(digest)


# -- erasing --


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_an_erasure_removes_every_version_and_mark_and_nothing_else(s3: S3, page: int) -> None:
    digest, data = make_payload()
    store = s3.store("versions")
    store.put(digest, data)
    for _ in range(2):
        s3.client.put_object(Bucket="versions", Key=key_of(digest), Body=b"other")
        s3.client.delete_object(Bucket="versions", Key=key_of(digest))
    neighbour = key_of(digest) + "0"
    s3.client.put_object(Bucket="versions", Key=neighbour, Body=b"not ours")
    assert len(s3.versions("versions", digest)) == 6

    def small_pages(params: dict[str, Any], **_: Any) -> None:
        params["MaxKeys"] = page

    s3.on("provide-client-params.s3.ListObjectVersions", small_pages)
    store.erase(digest)
    s3.close()
    (left,) = s3.versions("versions", digest)
    assert left["Key"] == neighbour
    with pytest.raises(PayloadMissing):
        store.get(digest)
    assert s3.requests()[-1] == "ListObjectVersions", "the last thing asked is a proof"


def test_what_is_written_again_during_an_erasure_is_erased_too_or_said_to_be_there(s3: S3) -> None:
    for times in (2, 99):
        digest, data = make_payload()
        store = s3.store("versions")
        store.put(digest, data)
        left = times

        def write_again(digest: Digest = digest, data: bytes = data, **_: Any) -> None:
            nonlocal left
            left -= 1
            if left > 0:
                s3.client.put_object(Bucket="versions", Key=key_of(digest), Body=data)

        s3.on("after-call.s3.DeleteObject", write_again)
        if times == 2:
            store.erase(digest)
            assert s3.versions("versions", digest) == []
        else:
            with pytest.raises(PayloadStoreUnavailable, match="erase again"):
                store.erase(digest)
            assert s3.versions("versions", digest) != []


def test_under_compliance_an_erasure_is_refused_with_the_date_and_removes_nothing(s3: S3) -> None:
    digest, data = make_payload()
    before = datetime.now(UTC)
    store = s3.store("locked", COMPLIANCE + "&bypass_governance=true")
    store.put(digest, data)
    s3.client.put_object(Bucket="locked", Key=key_of(digest), Body=b"not locked")
    s3.client.delete_object(Bucket="locked", Key=key_of(digest))
    with pytest.raises(ErasureRefused, match=r"COMPLIANCE until .*Erasing its seed") as raised:
        store.erase(digest)
    until = raised.value.until
    assert until is not None
    assert abs(until - before - timedelta(days=30)) < timedelta(minutes=5)
    assert f"{until:%Y-%m-%d}" in str(raised.value)
    assert len(s3.versions("locked", digest)) == 3, "not even a mark was removed"
    assert store.get(digest) == data


def test_under_governance_it_is_refused_unless_the_uri_passes_over_it(s3: S3) -> None:
    digest, data = make_payload()
    s3.store("locked", GOVERNANCE).put(digest, data)
    for query in ("", GOVERNANCE):
        with pytest.raises(ErasureRefused, match="bypass_governance") as raised:
            s3.store("locked", query).erase(digest)
        assert raised.value.until is not None
        assert len(s3.versions("locked", digest)) == 1
    s3.store("locked", GOVERNANCE + "&bypass_governance=true").erase(digest)
    assert s3.versions("locked", digest) == []


def test_under_a_legal_hold_it_is_refused_without_a_date_until_that_is_lifted(s3: S3) -> None:
    digest, data = make_payload()
    store = s3.store("locked", "?bypass_governance=true")
    store.put(digest, data)
    for status in ("ON", "OFF"):
        s3.client.put_object_legal_hold(
            Bucket="locked", Key=key_of(digest), LegalHold={"Status": status}
        )
        if status == "ON":
            with pytest.raises(ErasureRefused, match="legal hold") as raised:
                store.erase(digest)
            assert raised.value.until is None
            assert len(s3.versions("locked", digest)) == 1
    store.erase(digest)
    assert s3.versions("locked", digest) == []


def test_the_last_of_several_dates_is_told(s3: S3) -> None:
    digest, data = make_payload()
    s3.store("locked", "?retention=COMPLIANCE&retain_days=100").put(digest, data)
    _put_locked(s3, digest, "GOVERNANCE", timedelta(days=50))
    with pytest.raises(ErasureRefused) as raised:
        s3.store("locked").erase(digest)
    assert raised.value.until is not None
    assert raised.value.until > datetime.now(UTC) + timedelta(days=99)


def test_when_the_retention_is_over_it_is_erased(s3: S3) -> None:
    digest, _ = make_payload()
    _put_locked(s3, digest, "COMPLIANCE", timedelta(seconds=-5))
    s3.store("locked").erase(digest)
    assert s3.versions("locked", digest) == []


def test_a_lock_that_may_not_be_seen_is_named_among_the_reasons(s3: S3) -> None:
    digest, data = make_payload()
    store = s3.store("locked", GOVERNANCE)
    store.put(digest, data)

    def hide(parsed: dict[str, Any], **_: Any) -> None:
        parsed.pop("ObjectLockRetainUntilDate", None)

    s3.on("after-call.s3.HeadObject", hide)
    with pytest.raises(ConfigurationError, match="s3:GetObjectRetention") as raised:
        store.erase(digest)
    assert "s3:DeleteObjectVersion" in str(raised.value)
    assert len(s3.versions("locked", digest)) == 1


# -- retention --


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_a_payload_gets_the_retention_that_is_asked_for(s3: S3, mode: str) -> None:
    digest, data = make_payload()
    store = s3.store("locked", f"?retention={mode}&retain_days=30")
    store.check()
    store.put(digest, data)
    stored = s3.client.head_object(Bucket="locked", Key=key_of(digest))
    assert stored["ObjectLockMode"] == mode
    until = stored["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=30) - timedelta(minutes=5) < until <= timedelta(days=30)
    s3.asked.clear()
    store.put(digest, data)
    assert "PutObjectRetention" not in s3.requests(), "a repetition prolongs nothing"


@pytest.mark.parametrize("query", ["", "?retention=GOVERNANCE&retain_days=9"])
def test_what_lay_there_with_less_retention_gets_what_is_asked_for(s3: S3, query: str) -> None:
    digest, data = make_payload()
    s3.store("locked", query).put(digest, data)
    s3.store("locked", COMPLIANCE).put(digest, data)
    (version,) = s3.versions("locked", digest)
    kept = s3.client.head_object(
        Bucket="locked", Key=key_of(digest), VersionId=version["VersionId"]
    )
    assert kept["ObjectLockMode"] == "COMPLIANCE"
    assert kept["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(days=29)


@pytest.mark.parametrize(("bucket", "text"), [("plain", "keeps none"), ("versions", "object lock")])
def test_retention_in_a_bucket_that_can_not_keep_it_is_refused_before_anything_is_stored(
    s3: S3, bucket: str, text: str
) -> None:
    digest, data = make_payload()
    store = s3.store(bucket, COMPLIANCE)
    for use in (store.check, lambda: store.put(digest, data), lambda: store.put(digest, data)):
        with pytest.raises(ConfigurationError, match=text):
            use()
    assert s3.versions(bucket, digest) == []


@pytest.mark.parametrize("away", [timedelta(hours=1), timedelta(days=-400)])
def test_a_wrong_clock_is_refused_before_it_dates_a_retention(s3: S3, away: timedelta) -> None:
    def tell(parsed: dict[str, Any], **_: Any) -> None:
        told = datetime.now(UTC) - away
        headers = parsed["ResponseMetadata"]["HTTPHeaders"]
        headers["date"] = told.strftime("%a, %d %b %Y %H:%M:%S GMT")

    s3.on("after-call.s3.*", tell)
    digest, data = make_payload()
    store = s3.store("locked", COMPLIANCE)
    for use in (store.check, lambda: store.put(digest, data), s3.store().check):
        with pytest.raises(ConfigurationError, match="clock of this machine is wrong by"):
            use()
    assert s3.versions("locked", digest) == []


# -- what S3 refuses --

AWAY = "S3 does not serve now"
UNAVAILABLE = [
    (503, "SlowDown", AWAY),
    (500, "InternalError", AWAY),
    (503, "ServiceUnavailable", AWAY),
    (400, "RequestTimeout", AWAY),
    (400, "BadDigest", "did not arrive as it was sent"),
    (400, "XAmzContentChecksumMismatch", "did not arrive as it was sent"),
]
REFUSED = [
    (403, "AccessDenied", "s3:|does not let"),
    (403, "RequestTimeTooSkewed", "clock of this machine"),
    (403, "InvalidAccessKeyId", "credentials"),
    (403, "SignatureDoesNotMatch", "credentials"),
    (400, "ExpiredToken", "credentials"),
    (404, "NoSuchBucket", "there is no bucket for s3://versions/p"),
    (400, "KMS.DisabledException", "must be enabled"),
    (400, "KMS.NotFoundException", "KMS"),
    (501, "NotImplemented", "conditional writes"),
    (400, "AuthorizationHeaderMalformed", "another region"),
    (403, "InvalidObjectState", "archive"),
    (400, "InvalidRequest", "can't do what was asked"),
]


@pytest.mark.parametrize(("status", "code", "text"), [*UNAVAILABLE, *REFUSED])
def test_each_refusal_is_one_of_our_errors_and_repeats_nothing_of_it(
    s3: S3, status: int, code: str, text: str
) -> None:
    kind = PayloadStoreUnavailable if (status, code, text) in UNAVAILABLE else ConfigurationError
    digest, data = make_payload()
    store = s3.store("versions")
    store.put(digest, data)
    for operation, use in (
        ("PutObject", lambda: store.put(*make_payload())),
        ("GetObject", lambda: store.get(digest)),
        ("ListObjectVersions", lambda: store.erase(digest)),
        ("DeleteObject", lambda: store.erase(digest)),
        ("ListObjectVersions", store.check),
    ):
        with s3.saying(operation, status, code), pytest.raises(ChainError) as raised:
            use()
        assert type(raised.value) is kind, operation
        assert raised.match(text)
        shown = str(raised.value)
        assert SECRET not in shown
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert store.get(digest) == data, "nothing was erased"


def test_a_request_without_an_answer_in_words_is_refused_too(s3: S3) -> None:
    """HEAD has no body: a status is all there is."""
    store = s3.store()
    with s3.saying("HeadBucket", 404, ""), pytest.raises(ConfigurationError, match="no bucket"):
        store.check()
    with s3.saying("HeadBucket", 403, ""), pytest.raises(ConfigurationError, match="s3:ListBucket"):
        store.check()
    with (
        s3.saying("HeadObject", 403, ""),
        pytest.raises(ConfigurationError, match="s3:ListBucket"),
    ):
        store.check()


def test_a_bucket_that_is_not_there_is_named(s3: S3) -> None:
    store = s3.store("no-such-bucket")
    digest, data = make_payload()
    for use in (
        lambda: store.put(digest, data),
        lambda: store.get(digest),
        lambda: store.erase(digest),
        store.check,
    ):
        with pytest.raises(ConfigurationError, match="there is no bucket for s3://no-such-bucket"):
            use()


def test_a_server_that_never_answers_is_unavailable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place = Place(REGION, f"http://127.0.0.1:{silent.getsockname()[1]}")
        patience = Patience(connect_s=1, read_s=0.1, attempts=1)
        store = S3PayloadStore(PayloadSettings("bucket"), LazyClient("s3", place, patience))
        with pytest.raises(PayloadStoreUnavailable, match="ReadTimeoutError"):
            store.put(*make_payload())


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match="boto3 finds no credentials"):
        open_s3_payloads("s3://bucket/p").put(*make_payload())


def test_an_answer_that_breaks_off_is_unavailable_and_no_damage(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.response import StreamingBody
    from urllib3.exceptions import ProtocolError

    digest, data = make_payload()
    s3.store().put(digest, data)

    def break_off(self: Any, amt: int | None = None) -> bytes:
        raise ProtocolError("broken")

    monkeypatch.setattr(StreamingBody, "read", break_off)
    with pytest.raises(PayloadStoreUnavailable, match="broke off"):
        s3.store().get(digest)


def test_an_object_that_is_too_long_for_a_payload_is_not_read(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, data = make_payload()
    s3.store().put(digest, data)
    monkeypatch.setattr(payloads, "MAX_PAYLOAD_BYTES", len(data) - 1)
    with pytest.raises(PayloadDamaged):
        s3.store().get(digest)


def test_the_docstring_names_every_iam_action_that_errors_name() -> None:
    import inspect
    import re

    from mlops_chain_aws import payload_bucket, payload_erasing

    used = set()
    for module in (payloads, payload_erasing, payload_bucket):
        source = inspect.getsource(module).replace(payloads.__doc__ or "", "")
        used |= set(re.findall(r"(?:s3|kms):[A-Z][A-Za-z]+", source))
    assert used
    assert {action for action in used if action not in (payloads.__doc__ or "")} == set()


def _put_locked(s3: S3, digest: Digest, mode: str, left: timedelta) -> None:
    s3.client.put_object(
        Bucket="locked",
        Key=key_of(digest),
        Body=b"any",
        ChecksumAlgorithm="SHA256",
        ObjectLockMode=mode,
        ObjectLockRetainUntilDate=(datetime.now(UTC) + left).replace(microsecond=0),
    )


def _backend(bucket: str, digest: Digest) -> Any:
    """What moto keeps of an object: its bytes can be changed behind its checksum's back."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key_of(digest))
