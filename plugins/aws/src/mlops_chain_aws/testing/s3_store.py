"""A place in S3 where spools arrive, as the suites of shippers and receivers see one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chain_client.shipping import Parcel, Shipment, open_shipper
from chain_client.shipping.arriving import name_of
from chain_client.shipping.manifest import Manifest
from chain_client.shipping.packing import PackedSource
from chain_client.shipping.reading import read_manifest
from chain_client.testing.receiver_suite import StoreUnderTest
from chain_client.testing.shipper_suite import DestinationUnderTest
from chain_client.types import SourceId
from mlops_chain_aws.testing.stand_in import ENVIRONMENT, StandIn

_numbers = itertools.count()
FOLDER = "some/where/parcels/"


@contextmanager
def one_session() -> Iterator[None]:
    """Within, all clients are made of one session of boto3: a new one reads megabytes of JSON."""
    import boto3
    import moto.core.models  # noqa: F401 - sessions that are older do not ask it

    made = boto3.session.Session
    session = made(
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=ENVIRONMENT["AWS_SESSION_TOKEN"],
    )
    patched: Any = boto3.session
    patched.Session = lambda: session
    try:
        yield
    finally:
        patched.Session = made


class S3Store:
    """A bucket that nobody else uses.

    Args:
        aws: where.
        is_shared: whether forked processes see the same.
    """

    def __init__(self, aws: StandIn, *, is_shared: bool) -> None:
        self.aws = aws
        self.bucket = aws.make_bucket(f"spools-{next(_numbers)}")
        self.s3: Any = aws.client("s3")
        self._is_shared = is_shared

    @property
    def uri(self) -> str:
        """Where workers ship to."""
        return f"s3://{self.bucket}/some/where?{self.aws.query}"

    def destination(self) -> DestinationUnderTest:
        """It, for `ShipperSuite`."""
        return DestinationUnderTest(
            connect=lambda: open_shipper(self.uri, base=Path()),
            received=self.received,
            take=self.take,
            nowhere=lambda: open_shipper(f"s3://not-there?{self.aws.query}", base=Path()),
            is_shared=self._is_shared,
        )

    def store(self) -> StoreUnderTest:
        """It, for `ReceiverSuite`."""
        return StoreUnderTest(self.destination(), self.spoil, self.begin)

    def keys(self, prefix: str = FOLDER) -> list[str]:
        """Keys of what lies there."""
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", ())]

    def uploads(self) -> list[str]:
        """Keys of what was begun and not ended."""
        found = self.s3.list_multipart_uploads(Bucket=self.bucket)
        return [each["Key"] for each in found.get("Uploads", ())]

    def read(self, key: str) -> bytes:
        """An object's bytes."""
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def received(self, source_id: SourceId) -> dict[str, bytes] | None:
        """Segments that lie there of a source, read by what the format says alone."""
        keys = self.keys(f"{FOLDER}{source_id.hex()}-")
        if not keys:
            return None
        (key,) = keys
        line, _, rest = self.read(key).partition(b"\n")
        length = int(line.rpartition(b" ")[2])
        found, offset = {}, length
        for name, item in sorted(json.loads(rest[:length])["segments"].items()):
            found[name] = rest[offset : offset + item["size"]]
            offset += item["size"]
        assert offset == len(rest)
        return found

    def take(self, source_id: SourceId) -> None:
        """Remove a source."""
        for key in self.keys(f"{FOLDER}{source_id.hex()}-"):
            self.s3.delete_object(Bucket=self.bucket, Key=key)

    def spoil(self, parcel: Parcel) -> None:
        """Change the last byte of a parcel."""
        key = FOLDER + name_of(parcel)
        data = self.read(key)
        self.put(key, data[:-1] + bytes([data[-1] ^ 1]))

    def put(self, key: str, data: bytes) -> None:
        """Put anything there."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)

    def begin(self, shipment: Shipment, parts: int = 1) -> None:
        """Bring the first parts of a shipment, as a worker that dies then."""
        manifest: Manifest = read_manifest(shipment, lambda: False)
        key = FOLDER + name_of(Parcel(shipment.source_id, manifest.digest()))
        source = PackedSource(shipment, manifest)
        upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        for number in range(parts):
            data = source.read(number * (8 << 20), 8 << 20, lambda: False)
            self.s3.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number + 1, Body=data
            )
