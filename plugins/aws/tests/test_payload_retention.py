"""`s3:` payload stores: erasing every version, and what a retention or a legal hold refuses.

On moto in this process, which lets a retention be shortened, and knows no permissions.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chain_client.errors import (
    ConfigurationError,
    ErasureRefused,
    PayloadMissing,
    PayloadStoreUnavailable,
)
from chain_client.testing.payload_store_suite import make_payload
from chain_client.types import Digest
from mlops_chain_aws.testing.watched_s3 import WatchedS3, key_of

COMPLIANCE = "?retention=COMPLIANCE&retain_days=30"
GOVERNANCE = "?retention=GOVERNANCE&retain_days=30"


# -- erasing --


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_an_erasure_removes_every_version_and_mark_and_nothing_else(
    s3: WatchedS3, page: int
) -> None:
    digest, data = make_payload()
    store = s3.store("versions")
    store.put(digest, data)
    for _ in range(2):
        s3.client.put_object(Bucket="versions", Key=key_of(digest), Body=b"other")
        s3.client.delete_object(Bucket="versions", Key=key_of(digest))
    neighbour = key_of(digest) + "0"
    s3.client.put_object(Bucket="versions", Key=neighbour, Body=b"not ours")
    assert len(s3.versions("versions", key_of(digest))) == 6

    def small_pages(params: dict[str, Any], **_: Any) -> None:
        params["MaxKeys"] = page

    s3.on("provide-client-params.s3.ListObjectVersions", small_pages)
    store.erase(digest)
    s3.close()
    (left,) = s3.versions("versions", key_of(digest))
    assert left["Key"] == neighbour
    with pytest.raises(PayloadMissing):
        store.get(digest)
    assert s3.requests()[-1] == "ListObjectVersions", "the last thing asked is a proof"


def test_what_is_written_again_during_an_erasure_is_erased_too_or_said_to_be_there(
    s3: WatchedS3,
) -> None:
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
            assert s3.versions("versions", key_of(digest)) == []
        else:
            with pytest.raises(PayloadStoreUnavailable, match="erase again"):
                store.erase(digest)
            assert s3.versions("versions", key_of(digest)) != []


def test_under_compliance_an_erasure_is_refused_with_the_date_and_removes_nothing(
    s3: WatchedS3,
) -> None:
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
    assert len(s3.versions("locked", key_of(digest))) == 3, "not even a mark was removed"
    assert store.get(digest) == data


def test_under_governance_it_is_refused_unless_the_uri_passes_over_it(s3: WatchedS3) -> None:
    digest, data = make_payload()
    s3.store("locked", GOVERNANCE).put(digest, data)
    for query in ("", GOVERNANCE):
        with pytest.raises(ErasureRefused, match="bypass_governance") as raised:
            s3.store("locked", query).erase(digest)
        assert raised.value.until is not None
        assert len(s3.versions("locked", key_of(digest))) == 1
    s3.store("locked", GOVERNANCE + "&bypass_governance=true").erase(digest)
    assert s3.versions("locked", key_of(digest)) == []


def test_under_a_legal_hold_it_is_refused_without_a_date_until_that_is_lifted(
    s3: WatchedS3,
) -> None:
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
            assert len(s3.versions("locked", key_of(digest))) == 1
    store.erase(digest)
    assert s3.versions("locked", key_of(digest)) == []


def test_the_last_of_several_dates_is_told(s3: WatchedS3) -> None:
    digest, data = make_payload()
    s3.store("locked", "?retention=COMPLIANCE&retain_days=100").put(digest, data)
    _put_locked(s3, digest, "GOVERNANCE", timedelta(days=50))
    with pytest.raises(ErasureRefused) as raised:
        s3.store("locked").erase(digest)
    assert raised.value.until is not None
    assert raised.value.until > datetime.now(UTC) + timedelta(days=99)


def test_when_the_retention_is_over_it_is_erased(s3: WatchedS3) -> None:
    digest, _ = make_payload()
    _put_locked(s3, digest, "COMPLIANCE", timedelta(seconds=-5))
    s3.store("locked").erase(digest)
    assert s3.versions("locked", key_of(digest)) == []


def test_a_lock_that_may_not_be_seen_is_named_among_the_reasons(s3: WatchedS3) -> None:
    digest, data = make_payload()
    store = s3.store("locked", GOVERNANCE)
    store.put(digest, data)

    def hide(parsed: dict[str, Any], **_: Any) -> None:
        parsed.pop("ObjectLockRetainUntilDate", None)

    s3.on("after-call.s3.HeadObject", hide)
    with pytest.raises(ConfigurationError, match="s3:GetObjectRetention") as raised:
        store.erase(digest)
    assert "s3:DeleteObjectVersion" in str(raised.value)
    assert len(s3.versions("locked", key_of(digest))) == 1


# -- retention --


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_a_payload_gets_the_retention_that_is_asked_for(s3: WatchedS3, mode: str) -> None:
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
def test_what_lay_there_with_less_retention_gets_what_is_asked_for(
    s3: WatchedS3, query: str
) -> None:
    digest, data = make_payload()
    s3.store("locked", query).put(digest, data)
    s3.store("locked", COMPLIANCE).put(digest, data)
    (version,) = s3.versions("locked", key_of(digest))
    kept = s3.client.head_object(
        Bucket="locked", Key=key_of(digest), VersionId=version["VersionId"]
    )
    assert kept["ObjectLockMode"] == "COMPLIANCE"
    assert kept["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(days=29)


@pytest.mark.parametrize(("bucket", "text"), [("plain", "keeps none"), ("versions", "object lock")])
def test_retention_in_a_bucket_that_can_not_keep_it_is_refused_before_anything_is_stored(
    s3: WatchedS3, bucket: str, text: str
) -> None:
    digest, data = make_payload()
    store = s3.store(bucket, COMPLIANCE)
    for use in (store.check, lambda: store.put(digest, data), lambda: store.put(digest, data)):
        with pytest.raises(ConfigurationError, match=text):
            use()
    assert s3.versions(bucket, key_of(digest)) == []


@pytest.mark.parametrize("away", [timedelta(hours=1), timedelta(days=-400)])
def test_a_wrong_clock_is_refused_before_it_dates_a_retention(
    s3: WatchedS3, away: timedelta
) -> None:
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
    assert s3.versions("locked", key_of(digest)) == []


def _put_locked(s3: WatchedS3, digest: Digest, mode: str, left: timedelta) -> None:
    s3.client.put_object(
        Bucket="locked",
        Key=key_of(digest),
        Body=b"any",
        ChecksumAlgorithm="SHA256",
        ObjectLockMode=mode,
        ObjectLockRetainUntilDate=(datetime.now(UTC) + left).replace(microsecond=0),
    )
