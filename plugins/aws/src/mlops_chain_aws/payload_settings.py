"""What a payload store's URI says of S3. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from chain_client.errors import ConfigurationError
from mlops_chain_aws.locations import S3Location, read_uri

RETENTIONS: Final = ("GOVERNANCE", "COMPLIANCE")
"""Modes of S3 Object Lock, the weaker first."""

_MOST_DAYS: Final = 36_500
_OPTIONS: Final = frozenset({"retention", "retain_days", "bypass_governance"})


@dataclass(frozen=True, slots=True)
class PayloadSettings(S3Location):
    """Where payloads go in S3, and what is asked of S3 for them.

    Args:
        retention: one of `RETENTIONS`; None: as the bucket says.
        retain_days: for how long, from the moment a payload is stored.
        bypasses_governance: whether erasure may pass over a retention of the mode GOVERNANCE.
    """

    retention: str | None = None
    retain_days: int = 0
    bypasses_governance: bool = False

    @classmethod
    def of(cls, uri: str) -> Self:
        """Read a URI.

        Args:
            uri: such as ``s3://bucket/prefix?retention=COMPLIANCE&retain_days=365``.

        Raises:
            ConfigurationError: it is none, or asks for what does not fit together. The text shows
                nothing of it.
        """
        fields, values = read_uri(uri, _OPTIONS)
        retention, retain_days = _read_retention(values.get("retention"), values.get("retain_days"))
        bypass = values.get("bypass_governance", "false")
        if bypass not in ("true", "false"):
            raise ConfigurationError("s3: bypass_governance is neither true nor false")
        return cls(
            **fields,
            retention=retention,
            retain_days=retain_days,
            bypasses_governance=bypass == "true",
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
