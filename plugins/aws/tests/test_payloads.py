"""`s3:` payload stores: what is asked of S3, versions, and what S3 refuses.

On moto in this process. Where it is not as AWS: no signature, clock or permission is checked, so
those refusals are put into its mouth, as AWS words them; a retention may be shortened; a checksum
that is sent is kept, and not compared with the bytes.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import (
    ChainError,
    ConfigurationError,
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
from mlops_chain_aws.testing.stand_in import REGION
from mlops_chain_aws.testing.watched_s3 import UNSPOKEN, WatchedS3, key_of


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "_pause", lambda attempt: None)


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
        f"s3://{UNSPOKEN}@bucket/p",
        f"s3://B/{UNSPOKEN}",
        f"s3://bucket/p#{UNSPOKEN}",
        f"s3://bucket?secret_access_key={UNSPOKEN}",
        f"s3://bucket?region=x&region={UNSPOKEN}",
        f"s3://bucket?owner={UNSPOKEN}",
        f"s3://bucket?endpoint_url=https://me:{UNSPOKEN}@s3.example",
        "s3://bucket?retention=COMPLIANCE",
        "s3://bucket?retain_days=5",
        f"s3://bucket?retention={UNSPOKEN}&retain_days=5",
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
    assert UNSPOKEN not in str(raised.value)


def test_a_store_asks_nobody_until_it_is_used() -> None:
    opened = open_s3_payloads("s3://no-such-bucket/p")
    assert opened.uri == "s3://no-such-bucket/p"


# -- what is asked of S3 --


def test_a_put_is_one_conditional_request_with_the_digest(s3: WatchedS3) -> None:
    digest, data = make_payload()
    s3.store().put(digest, data)
    ((name, params),) = s3.asked
    assert name == "PutObject"
    assert params["IfNoneMatch"] == "*"
    assert params["Key"] == f"p/{digest.hex()}"
    stored = s3.client.head_object(Bucket="plain", Key=key_of(digest), ChecksumMode="ENABLED")
    assert stored["ChecksumSHA256"] == params["ChecksumSHA256"]


def test_a_second_put_asks_for_the_digest_only_and_writes_nothing(s3: WatchedS3) -> None:
    digest, data = make_payload()
    for _ in range(2):
        s3.store("versions").put(digest, data)
    assert s3.requests() == ["PutObject", "PutObject", "HeadObject"]
    assert len(s3.versions("versions", key_of(digest))) == 1


def test_what_lies_there_without_its_digest_is_read_before_it_is_believed(s3: WatchedS3) -> None:
    digest, data = make_payload()
    s3.client.put_object(Bucket="versions", Key=key_of(digest), Body=data)
    s3.store("versions").put(digest, data)
    assert len(s3.versions("versions", key_of(digest))) == 1


def test_objects_are_encrypted_with_the_key_that_is_asked_for(s3: WatchedS3) -> None:
    digest, data = make_payload()
    key = "arn:aws:kms:eu-central-1:123456789012:key/any"
    store = s3.store(query=f"?kms_key={key}")
    store.put(digest, data)
    stored = s3.client.head_object(Bucket="plain", Key=key_of(digest))
    assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"]) == ("aws:kms", key)
    assert store.get(digest) == data


def test_a_store_that_does_not_encrypt_as_asked_is_refused(
    s3: WatchedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(parsed: dict[str, Any], **_: Any) -> None:
        parsed.pop("ServerSideEncryption", None)

    s3.on("after-call.s3.PutObject", forget)
    with pytest.raises(ConfigurationError, match="does not encrypt"):
        s3.store(query="?kms_key=alias/x").put(*make_payload())


def test_every_request_names_the_account_that_must_own_the_bucket(s3: WatchedS3) -> None:
    digest, data = make_payload()
    store = s3.store("versions", "?owner=123456789012")
    store.check()
    store.put(digest, data)
    store.get(digest)
    store.erase(digest)
    assert {params.get("ExpectedBucketOwner") for _, params in s3.asked} == {"123456789012"}


# -- several at once, and answers that are lost --


def test_a_conflict_with_another_request_is_asked_again(s3: WatchedS3) -> None:
    digest, data = make_payload()
    with s3.saying("PutObject", 409, "ConditionalRequestConflict", times=2) as said:
        s3.store().put(digest, data)
    assert said() == 2
    assert s3.store().get(digest) == data


def test_conflicts_without_end_are_said_to_be_no_loss(s3: WatchedS3) -> None:
    with (
        s3.saying("PutObject", 409, "ConditionalRequestConflict"),
        pytest.raises(PayloadStoreUnavailable, match="try again"),
    ):
        s3.store().put(*make_payload())


def test_a_put_whose_answer_was_lost_is_done_when_it_is_asked_again(s3: WatchedS3) -> None:
    digest, data = make_payload()
    s3.store("versions").put(digest, data)  # what S3 did; its answer is lost:
    with (
        s3.saying("PutObject", 500, "InternalError", times=1),
        pytest.raises(PayloadStoreUnavailable),
    ):
        s3.store("versions").put(digest, data)
    s3.store("versions").put(digest, data)
    assert len(s3.versions("versions", key_of(digest))) == 1


def test_what_is_erased_between_refusal_and_look_is_put_again(s3: WatchedS3) -> None:
    digest, data = make_payload()
    with s3.saying("PutObject", 412, "PreconditionFailed", times=1):
        s3.store().put(digest, data)
    assert s3.store().get(digest) == data


def test_other_bytes_in_its_place_are_replaced_only_if_they_are_still_those(
    s3: WatchedS3, caplog: pytest.LogCaptureFixture
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
    s3: WatchedS3, caplog: pytest.LogCaptureFixture, change: str
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


def test_without_a_version_that_is_whole_it_is_damaged_or_missing(s3: WatchedS3) -> None:
    digest, data = make_payload()
    store = s3.store("versions")
    for body in (data[:-1], data + b"!"):
        s3.client.put_object(Bucket="versions", Key=key_of(digest), Body=body)
    with pytest.raises(PayloadDamaged):
        store.get(digest)
    s3.client.delete_object(Bucket="versions", Key=key_of(digest))
    with pytest.raises(PayloadMissing):
        store.get(digest)


def test_bytes_that_changed_on_their_way_are_read_again(s3: WatchedS3) -> None:
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


def test_bytes_that_differ_from_s3s_own_checksum_are_damage(s3: WatchedS3) -> None:
    digest, data = make_payload()
    store = s3.store("versions")
    store.put(digest, data)
    _backend("versions", digest).value = data[:-1] + b"?"
    with pytest.raises(PayloadDamaged, match=digest.hex()):
        store.get(digest)


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
    s3: WatchedS3, status: int, code: str, text: str
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
        assert UNSPOKEN not in shown
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert store.get(digest) == data, "nothing was erased"


def test_a_request_without_an_answer_in_words_is_refused_too(s3: WatchedS3) -> None:
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


def test_a_bucket_that_is_not_there_is_named(s3: WatchedS3) -> None:
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
        settings = PayloadSettings("bucket", place=place)
        store = S3PayloadStore(settings, LazyClient("s3", place, patience))
        told = rf"s3://bucket \(at 127.0.0.1:{silent.getsockname()[1]}\): .*ReadTimeoutError"
        with pytest.raises(PayloadStoreUnavailable, match=told):
            store.put(*make_payload())


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match="boto3 finds no credentials"):
        open_s3_payloads("s3://bucket/p").put(*make_payload())


def test_an_answer_that_breaks_off_is_unavailable_and_no_damage(
    s3: WatchedS3, monkeypatch: pytest.MonkeyPatch
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
    s3: WatchedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.response import StreamingBody

    digest, data = make_payload()
    s3.store().put(digest, data)
    monkeypatch.setattr(StreamingBody, "read", lambda *_: pytest.fail("it was read"))
    with pytest.raises(PayloadDamaged):
        s3.store().get(digest, len(data) - 1)


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


def _backend(bucket: str, digest: Digest) -> Any:
    """What moto keeps of an object: its bytes can be changed behind its checksum's back."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key_of(digest))


@pytest.mark.usefixtures("plugins")
def test_other_machines_that_join_are_given_the_whole_uri(tmp_path: Path) -> None:
    from chain_client import Settings
    from chain_client.deploying.payload_setting import to_share

    uri = "s3://bucket/p?region=eu-central-1&retention=GOVERNANCE&retain_days=30"
    environment = {"MLOPS_CHAIN_LOG_PAYLOADS": uri}
    settings = Settings.from_environment(environment, tmp_path, home=tmp_path / "home")
    assert to_share(settings)["log.payloads"] == uri
    assert "?" not in open_s3_payloads(uri).uri  # what people are shown
