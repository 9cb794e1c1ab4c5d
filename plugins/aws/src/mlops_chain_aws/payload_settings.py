"""What a payload store's URI says of S3. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from chain_client.errors import ConfigurationError
from mlops_chain_aws.clients import Place, Query

RETENTIONS: Final = ("GOVERNANCE", "COMPLIANCE")
"""Modes of S3 Object Lock, the weaker first."""

_MOST_DAYS: Final = 36_500
_KNOWN: Final = frozenset(
    {
        *("region", "endpoint_url", "owner", "kms_key"),
        *("retention", "retain_days", "bypass_governance"),
    }
)
_URI: Final = re.compile(r"s3://([a-z0-9][a-z0-9._-]{1,253}[a-z0-9])(?:/([^?#]*))?(?:\?([^#]*))?")


@dataclass(frozen=True, slots=True)
class PayloadSettings:
    """Where payloads go in S3, and what is asked of S3 for them.

    Args:
        bucket: its name.
        prefix: empty, or ending with ``/``.
        place: region and endpoint, where they are not boto3's.
        owner: the account that the bucket must belong to, if that is checked.
        kms_key: encrypts the objects (SSE-KMS): key id, alias or ARN; None: as the bucket says.
        retention: one of `RETENTIONS`; None: as the bucket says.
        retain_days: for how long, from the moment a payload is stored.
        bypasses_governance: whether erasure may pass over a retention of the mode GOVERNANCE.
    """

    bucket: str
    prefix: str = ""
    place: Place = field(default_factory=Place)
    owner: str | None = None
    kms_key: str | None = None
    retention: str | None = None
    retain_days: int = 0
    bypasses_governance: bool = False

    @property
    def shown(self) -> str:
        """The place, for people."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @classmethod
    def of(cls, uri: str) -> PayloadSettings:
        """Read a URI.

        Args:
            uri: such as ``s3://bucket/prefix?retention=COMPLIANCE&retain_days=365``.

        Raises:
            ConfigurationError: it is none, or asks for what does not fit together. The text shows
                nothing of it.
        """
        found = _URI.fullmatch(uri)
        if found is None:
            raise ConfigurationError(
                "expected s3://bucket/prefix, and what is asked for behind a question mark; "
                "credentials have no place in it: boto3 finds them"
            )
        query = Query.of("s3", found[3] or "", _KNOWN)
        values, prefix = query.values, (found[2] or "").strip("/")
        owner = values.get("owner")
        if owner is not None and not re.fullmatch("[0-9]{12}", owner):
            raise ConfigurationError("s3: owner is no id of an AWS account; expected 12 digits")
        retention, retain_days = _read_retention(values.get("retention"), values.get("retain_days"))
        bypass = values.get("bypass_governance", "false")
        if bypass not in ("true", "false"):
            raise ConfigurationError("s3: bypass_governance is neither true nor false")
        return cls(
            found[1],
            prefix and prefix + "/",
            query.place("s3"),
            owner,
            values.get("kms_key"),
            retention,
            retain_days,
            bypass == "true",
        )


def _read_retention(mode: str | None, days: str | None) -> tuple[str | None, int]:
    if (mode is None) != (days is None):
        raise ConfigurationError("s3: retention and retain_days belong together; one is missing")
    if mode is None or days is None:
        return None, 0
    if mode not in RETENTIONS:
        raise ConfigurationError(f"s3: retention is none of {', '.join(RETENTIONS)}")
    if not re.fullmatch("[1-9][0-9]{0,4}", days) or int(days) > _MOST_DAYS:
        raise ConfigurationError(
            f"s3: retain_days is no whole number of days from 1 to {_MOST_DAYS}"
        )
    return mode, int(days)
