"""What the URI of a destination of spools says of S3. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from chain_client.errors import ConfigurationError
from mlops_chain_aws.clients import Place, Query

_KNOWN: Final = frozenset({"region", "endpoint_url", "owner", "kms_key"})
_URI: Final = re.compile(r"s3://([a-z0-9][a-z0-9._-]{1,253}[a-z0-9])(?:/([^?#]*))?(?:\?([^#]*))?")


@dataclass(frozen=True, slots=True)
class ShippingSettings:
    """Where spools are handed over in S3.

    Args:
        bucket: its name.
        prefix: empty, or ending with ``/``.
        place: region and endpoint, where they are not boto3's.
        owner: the account that the bucket must belong to, if that is checked.
        kms_key: encrypts the objects (SSE-KMS): key id, alias or ARN; None: as the bucket says.
    """

    bucket: str
    prefix: str = ""
    place: Place = field(default_factory=Place)
    owner: str | None = None
    kms_key: str | None = None

    @property
    def shown(self) -> str:
        """The place, for people; the same text for the same place."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @classmethod
    def of(cls, uri: str) -> ShippingSettings:
        """Read a URI.

        Args:
            uri: such as ``s3://bucket/prefix?region=eu-central-1``.

        Raises:
            ConfigurationError: it is none. The text shows nothing of it.
        """
        found = _URI.fullmatch(uri)
        if found is None:
            raise ConfigurationError(
                "expected s3://bucket/prefix, and at most region, endpoint_url, owner and kms_key "
                "behind a question mark; credentials have no place in it: boto3 finds them"
            )
        query = Query.of("s3", found[3] or "", _KNOWN)
        owner = query.values.get("owner")
        if owner is not None and not re.fullmatch("[0-9]{12}", owner):
            raise ConfigurationError("s3: owner is no id of an AWS account; expected 12 digits")
        prefix = (found[2] or "").strip("/")
        return cls(
            found[1],
            prefix and f"{prefix}/",
            query.place("s3"),
            owner,
            query.values.get("kms_key"),
        )
