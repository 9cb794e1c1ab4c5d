"""What an ``s3://`` URI says: the one place where they are read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from chain_client.errors import ConfigurationError
from mlops_chain_aws.clients import Place, Query

_OPTIONS: Final = frozenset({"region", "endpoint_url", "owner", "kms_key"})
_URI: Final = re.compile(r"s3://([a-z0-9][a-z0-9._-]{1,253}[a-z0-9])(?:/([^?#]*))?(?:\?([^#]*))?")
_ARTIFACTS: Final = re.compile(
    r"s3://([A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:/(.*))?", flags=re.DOTALL
)
_OWNER: Final = re.compile("[0-9]{12}")


@dataclass(frozen=True, slots=True)
class S3Location:
    """A place in a bucket.

    Args:
        bucket: its name.
        prefix: empty, or ending with ``/``.
        place: region and endpoint, where they are not boto3's.
        owner: the account that the bucket must belong to; None: any.
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

    @property
    def bucket_arguments(self) -> dict[str, str]:
        """What every request says of the bucket."""
        owner = {} if self.owner is None else {"ExpectedBucketOwner": self.owner}
        return {"Bucket": self.bucket, **owner}

    @property
    def encryption_arguments(self) -> dict[str, str]:
        """What a request says of the key that encrypts what it writes."""
        if self.kms_key is None:
            return {}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key}

    @classmethod
    def of(cls, uri: str) -> Self:
        """Read a URI.

        Args:
            uri: such as ``s3://bucket/prefix?region=eu-central-1``.

        Raises:
            ConfigurationError: it is none. The text shows nothing of it.
        """
        fields, _ = read_uri(uri)
        return cls(**fields)

    @classmethod
    def of_artifacts(cls, location: str, place: Place, owner: str | None) -> Self:
        """Read what MLflow names a location: it has no options, and ``?`` may stand in a key.

        Args:
            location: such as ``s3://bucket/prefix``.
            place: where S3 is asked.
            owner: the account that the bucket must belong to.

        Raises:
            ConfigurationError: it names no bucket.
        """
        found = _ARTIFACTS.fullmatch(location)
        if found is None:
            raise ConfigurationError("expected a location such as s3://bucket/prefix")
        below = (found[2] or "").rstrip("/")
        return cls(found[1], below and f"{below}/", place, owner)


def read_uri(
    uri: str, more: frozenset[str] = frozenset()
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """A URI's fields of `S3Location`, and the values of all options.

    Args:
        uri: such as ``s3://bucket/prefix?region=eu-central-1``.
        more: names of options beside those of every location.

    Raises:
        ConfigurationError: it is none, or holds other options. The text shows nothing of it.
    """
    found = _URI.fullmatch(uri)
    if found is None:
        known = ", ".join(sorted(_OPTIONS | more))
        raise ConfigurationError(
            f"expected s3://bucket/prefix, and at most {known} behind a question mark; "
            "credentials have no place in it: boto3 finds them"
        )
    query = Query.of("s3", found[3] or "", _OPTIONS | more)
    owner = query.values.get("owner")
    if owner is not None and not _OWNER.fullmatch(owner):
        raise ConfigurationError("s3: owner is no id of an AWS account; expected 12 digits")
    prefix = (found[2] or "").strip("/")
    fields = {
        "bucket": found[1],
        "prefix": prefix and f"{prefix}/",
        "place": query.place("s3"),
        "owner": owner,
        "kms_key": query.values.get("kms_key"),
    }
    return fields, query.values
