"""A large parcel, brought to S3 in parts: it appears when the last request of all succeeds."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from chain_client.shipping import IsOver
from chain_client.shipping.packing import PackedSource
from chain_client.steps import step
from mlops_chain_aws.shipper_bucket import RefusedError, ShippingBucket

PART_BYTES: Final = 8 << 20
"""S3 wants 5 MiB at least, and takes 10,000 parts."""

THERE: Final = frozenset({"PreconditionFailed"})
"""Codes of a conditional write for an object that is there already."""
BUSY: Final = frozenset({"ConditionalRequestConflict"})
"""… and of one beside another write of it."""
_NO_UPLOAD: Final = frozenset({"NoSuchUpload"})


class PartedUpload:
    """Brings one object, and goes on with what an earlier process has left of it.

    Two that bring the same meet: they find each other's upload, or one is faster.

    Args:
        bucket: where to.
        key: of the object.
        source: its bytes.
        encryption: arguments that say how S3 encrypts it.
        is_over: whether the time is over.
    """

    def __init__(
        self,
        bucket: ShippingBucket,
        key: str,
        source: PackedSource,
        encryption: Mapping[str, Any],
        is_over: IsOver,
    ) -> None:
        self._bucket = bucket
        self._key = key
        self._source = source
        self._encryption = encryption
        self._is_over = is_over

    def run(self) -> None:
        """Bring it, unless another one is faster: whether it is there then shows who looks.

        Raises:
            NotInTime: the time was over before; the parts are kept for a later call.
            ShippingUnavailable: S3 does not take it now; likewise.
            SpoolUnavailable: the source can't be read.
        """
        uploads = self._uploads()
        upload_id = uploads[0] if uploads else self._begin()
        with contextlib.suppress(RefusedError):  # another one has completed or aborted it
            self._complete(upload_id, self._bring_parts(upload_id))

    def clear(self) -> None:
        """End what was begun beside an object that is there.

        Raises:
            NotInTime: the time was over before.
            ShippingUnavailable: S3 does not answer now.
        """
        for upload_id in self._uploads():
            with contextlib.suppress(RefusedError):
                self._bucket.ask(
                    "s3:AbortMultipartUpload",
                    "abort_multipart_upload",
                    self._is_over,
                    expected=_NO_UPLOAD,
                    Key=self._key,
                    UploadId=upload_id,
                )

    def _uploads(self) -> list[str]:
        """Uploads of this object that were begun and not ended, in an order that all see."""
        page = self._bucket.ask(
            "s3:ListBucketMultipartUploads",
            "list_multipart_uploads",
            self._is_over,
            Prefix=self._key,
        )
        found = [each["UploadId"] for each in page.get("Uploads", ()) if each["Key"] == self._key]
        return sorted(found)

    def _begin(self) -> str:
        answer = self._bucket.ask(
            "s3:PutObject",
            "create_multipart_upload",
            self._is_over,
            Key=self._key,
            ChecksumAlgorithm="SHA256",
            **self._encryption,
        )
        return str(answer["UploadId"])

    def _bring_parts(self, upload_id: str) -> list[dict[str, Any]]:
        held = self._held(upload_id)
        parts = []
        count = -(-self._source.size_bytes // PART_BYTES)
        for number in range(1, count + 1):
            data = self._source.read((number - 1) * PART_BYTES, PART_BYTES, self._is_over)
            checksum = checksum_of(data)
            tag = _tag_of(held.get(number), data, checksum)
            if tag is None:
                tag = self._bring(upload_id, number, data, checksum)
            parts.append({"PartNumber": number, "ETag": tag, "ChecksumSHA256": checksum})
        return parts

    def _held(self, upload_id: str) -> dict[int, dict[str, Any]]:
        held = {}
        arguments: dict[str, Any] = {"Key": self._key, "UploadId": upload_id}
        while True:
            page = self._bucket.ask(
                "s3:ListMultipartUploadParts",
                "list_parts",
                self._is_over,
                expected=_NO_UPLOAD,
                **arguments,
            )
            held.update({int(part["PartNumber"]): part for part in page.get("Parts", ())})
            if not page.get("IsTruncated"):
                return held
            arguments["PartNumberMarker"] = page["NextPartNumberMarker"]

    def _bring(self, upload_id: str, number: int, data: bytes, checksum: str) -> str:
        answer = self._bucket.ask(
            "s3:PutObject",
            "upload_part",
            self._is_over,
            expected=_NO_UPLOAD,
            Key=self._key,
            UploadId=upload_id,
            PartNumber=number,
            Body=data,
            ChecksumSHA256=checksum,
        )
        step("shipping.segment.written")
        return str(answer["ETag"])

    def _complete(self, upload_id: str, parts: list[dict[str, Any]]) -> None:
        step("shipping.before_publish")
        self._bucket.ask(
            "s3:PutObject",
            "complete_multipart_upload",
            self._is_over,
            expected=_NO_UPLOAD | THERE | BUSY,
            Key=self._key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )


def checksum_of(data: bytes) -> str:
    """SHA-256 in the form in which S3 takes it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _tag_of(part: dict[str, Any] | None, data: bytes, checksum: str) -> str | None:
    """The tag of a part that S3 holds, if it is what is to be brought; None if it is not."""
    if part is None or part["Size"] != len(data):
        return None
    tag = str(part["ETag"])
    if "ChecksumSHA256" in part:
        return tag if part["ChecksumSHA256"] == checksum else None
    # What S3 has checked it tells. Of others the tag is the MD5, against mishaps only.
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return tag if tag.strip('"') == md5 else None
