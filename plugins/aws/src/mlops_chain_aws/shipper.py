"""Spools in S3: workers that are thrown away bring them there, and a relay fetches them.

::

    s3://bucket/prefix
    …?region=…&endpoint_url=…&owner=…&kms_key=…     each at most once

Each source is one object, ``<prefix>/parcels/<source>-<digest>``, so it is there whole or not at
all, and its name says what its bytes are. It is written only where nothing has that name, with
SHA-256 checksums that S3 itself verifies.

A worker needs these IAM actions: on ``<bucket>/<prefix>/parcels/*``

* ``s3:PutObject``, ``s3:AbortMultipartUpload``, ``s3:ListMultipartUploadParts``;

and on the bucket, where a policy may demand that ``s3:prefix`` begins with ``<prefix>/parcels/``,

* ``s3:ListBucket``, ``s3:ListBucketMultipartUploads``.

A relay needs, on the objects, ``s3:GetObject``, ``s3:DeleteObject``,
``s3:ListMultipartUploadParts``, and on the bucket the same two as a worker. With a key of KMS, a
worker needs ``kms:GenerateDataKey`` and ``kms:Decrypt`` on it (S3 uses the second for uploads in
parts), a relay ``kms:Decrypt``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from chain_client.errors import ShippingUnavailable
from chain_client.shipping import IsOver, Parcel, Shipment, Unfinished
from chain_client.shipping.arriving import find_parcel, name_of, take_in
from chain_client.shipping.packing import ByteStream, PackedReader, PackedSource
from chain_client.shipping.reading import read_manifest
from chain_client.steps import step
from mlops_chain_aws.clients import aws_errors
from mlops_chain_aws.locations import S3Location
from mlops_chain_aws.shipper_bucket import RefusedError, ShippingBucket
from mlops_chain_aws.shipper_upload import BUSY, PART_BYTES, THERE, PartedUpload, checksum_of

_FOLDER: Final = "parcels/"
_MOST_PARTS: Final = 10_000
_MOST_UNFINISHED: Final = 100
_ABSENT: Final = frozenset({"NoSuchKey", "404"})
_NO_BYTES: Final = frozenset({"InvalidRange", "416"})


def open_s3_shipper(uri: str, base: Path) -> S3Shipper:
    """The shipper that a URI names; nobody is asked yet.

    Args:
        uri: such as ``s3://bucket/prefix``.
        base: no matter.

    Raises:
        ConfigurationError: the URI says nothing. The text shows nothing of it.
    """
    return S3Shipper(S3Location.of(uri))


class S3Shipper:
    """A shipper, and a receiver for relays.

    Args:
        location: what its URI says.
    """

    def __init__(self, location: S3Location) -> None:
        self.uri = location.shown
        self._bucket = ShippingBucket(location)
        self._prefix = location.prefix + _FOLDER
        self._encryption = location.encryption_arguments

    def ship(self, shipment: Shipment, is_over: IsOver) -> None:
        """As `Shipper.ship`."""
        manifest = read_manifest(shipment, is_over)
        parcel = Parcel(shipment.source_id, manifest.digest())
        source = PackedSource(shipment, manifest)
        if source.size_bytes > PART_BYTES * _MOST_PARTS:
            raise ShippingUnavailable("the source is larger than S3 takes in parts")
        if not self._is_there(parcel, source, is_over):
            step("shipping.begun")
            if source.size_bytes > PART_BYTES:
                self._bring_in_parts(parcel, source, is_over)
            else:
                self._bring(parcel, source, is_over)
        step("shipping.published")

    def arrived(self) -> Iterator[Parcel]:
        """As `Receiver.arrived`."""
        pages = self._bucket.pages(
            "s3:ListBucket", "list_objects_v2", ("ContinuationToken",), Prefix=self._prefix
        )
        for page in pages:
            for each in page.get("Contents", ()):
                parcel = find_parcel(str(each["Key"]).removeprefix(self._prefix))
                if parcel is not None:
                    yield parcel

    def unfinished(self) -> Iterator[Unfinished]:
        """As `Receiver.unfinished`: uploads that were begun, at most a hundred of them."""
        pages = self._bucket.pages(
            "s3:ListBucketMultipartUploads",
            "list_multipart_uploads",
            ("KeyMarker", "UploadIdMarker"),
            Prefix=self._prefix,
        )
        uploads = (each for page in pages for each in page.get("Uploads", ()))
        for each in itertools.islice(uploads, _MOST_UNFINISHED):
            parcel = find_parcel(str(each["Key"]).removeprefix(self._prefix))
            if parcel is None:
                continue
            try:
                parts = self._bucket.ask(
                    "s3:ListMultipartUploadParts",
                    "list_parts",
                    _never,
                    expected=frozenset({"NoSuchUpload"}),
                    Key=each["Key"],
                    UploadId=each["UploadId"],
                ).get("Parts", ())
            except RefusedError:
                continue  # it has ended
            stand = f"{each['UploadId']} {len(parts)}"
            yield Unfinished(parcel.source_id, stand, len(parts))

    def fetch(self, parcel: Parcel, folder: Path, is_over: IsOver) -> None:
        """As `Receiver.fetch`."""
        reader = PackedReader(parcel, lambda offset: self._open(parcel, offset, is_over))
        try:
            take_in(parcel, folder, reader.read_manifest, reader.read_segment, is_over)
        finally:
            reader.close()

    def remove(self, parcel: Parcel) -> None:
        """As `Receiver.remove`."""
        self._bucket.ask(
            "s3:DeleteObject", "delete_object", _never, Key=self._prefix + name_of(parcel)
        )

    def _is_there(self, parcel: Parcel, source: PackedSource, is_over: IsOver) -> bool:
        """Whether the very same source is at the destination already.

        Raises:
            ShippingUnavailable: another one is, under the same id.
        """
        page = self._bucket.ask(
            "s3:ListBucket",
            "list_objects_v2",
            is_over,
            Prefix=f"{self._prefix}{parcel.source_id.hex()}-",
        )
        sizes = {str(each["Key"]): each["Size"] for each in page.get("Contents", ())}
        size = sizes.get(self._prefix + name_of(parcel))
        if size == source.size_bytes:
            return True
        if sizes:
            raise ShippingUnavailable(
                f"{self.uri} holds source {parcel.source_id.hex()} with another content; it is "
                "shipped again when that one was taken"
            )
        return False

    def _bring(self, parcel: Parcel, source: PackedSource, is_over: IsOver) -> None:
        data = source.read(0, source.size_bytes, is_over)
        step("shipping.before_publish")
        try:
            self._bucket.ask(
                "s3:PutObject",
                "put_object",
                is_over,
                expected=THERE | BUSY,
                Key=self._prefix + name_of(parcel),
                Body=data,
                ChecksumSHA256=checksum_of(data),
                IfNoneMatch="*",
                **self._encryption,
            )
        except RefusedError:
            self._see_that_it_is_there(parcel, source, is_over)

    def _bring_in_parts(self, parcel: Parcel, source: PackedSource, is_over: IsOver) -> None:
        key = self._prefix + name_of(parcel)
        upload = PartedUpload(self._bucket, key, source, self._encryption, is_over)
        upload.run()
        self._see_that_it_is_there(parcel, source, is_over)
        # Also of one that died, or was slower: parts cost money, and nobody sees them.
        upload.clear()

    def _see_that_it_is_there(self, parcel: Parcel, source: PackedSource, is_over: IsOver) -> None:
        if not self._is_there(parcel, source, is_over):
            raise ShippingUnavailable(
                f"another process wrote into {self.uri} at the same time; it is shipped again"
            )

    def _open(self, parcel: Parcel, offset: int, is_over: IsOver) -> ByteStream:
        arguments = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            answer = self._bucket.ask(
                "s3:GetObject",
                "get_object",
                is_over,
                expected=_ABSENT | _NO_BYTES,
                Key=self._prefix + name_of(parcel),
                **arguments,
            )
        except RefusedError as exc:
            if exc.code in _NO_BYTES:
                return _Nothing()
            shown = parcel.source_id.hex()
            raise ShippingUnavailable(f"source {shown} is in {self.uri} no more") from None
        return _Body(answer["Body"], self._bucket)


class _Body:
    """An object's bytes, whose errors are ours."""

    def __init__(self, body: Any, bucket: ShippingBucket) -> None:
        self._body = body
        self._bucket = bucket

    def read(self, size: int, /) -> bytes:
        try:
            return bytes(self._body.read(size))
        except aws_errors() as exc:
            raise self._bucket.to_unavailable(exc, "s3:GetObject") from None

    def close(self) -> None:
        self._body.close()


class _Nothing:
    """Behind the end of an object."""

    def read(self, _size: int, /) -> bytes:
        return b""

    def close(self) -> None:
        """Nothing is open."""


def _never() -> bool:
    return False
