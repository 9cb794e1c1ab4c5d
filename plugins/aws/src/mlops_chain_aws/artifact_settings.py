"""MLflow's own settings of S3: whoever set them for MLflow need not say them again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from chain_client.errors import ConfigurationError
from mlops_chain_aws.clients import LazyClient, Patience, Place

_PATIENCE: Final = Patience(connections=32)
_KEPT_S: Final = 300
"""So long a client is used again, as MLflow's is: then new credentials count."""

_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})


@dataclass(frozen=True, slots=True)
class ArtifactSettings:
    """Where S3 is asked for artifacts.

    Args:
        place: address, and how it is spoken to.
        owner: the account that the bucket must belong to; None: any.
        boto: boto3's own variables, so that others of them are not asked with an older client.
    """

    place: Place
    owner: str | None = None
    boto: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ArtifactSettings:
        """What MLflow's variables say; all else is boto3's own affair.

        Raises:
            ConfigurationError: ``MLFLOW_S3_IGNORE_TLS`` is neither true nor false.
        """
        ignores = (environ.get("MLFLOW_S3_IGNORE_TLS") or "false").lower()
        if ignores not in _TRUE | _FALSE:
            raise ConfigurationError("MLFLOW_S3_IGNORE_TLS: expected true or false")
        place = Place(
            endpoint_url=environ.get("MLFLOW_S3_ENDPOINT_URL") or None,
            checks_tls=ignores in _FALSE,
            addressing=environ.get("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE") or "auto",
            signature=(environ.get("MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION") or "s3v4").lower(),
        )
        owner = environ.get("MLFLOW_S3_EXPECTED_BUCKET_OWNER") or None
        boto = frozenset(item for item in environ.items() if item[0].startswith("AWS_"))
        return cls(place, owner, boto)

    def client(self) -> LazyClient:
        """A client of S3, shared by all files of this process."""
        return _client(self.place, self.boto, int(time.monotonic() / _KEPT_S))


@lru_cache(maxsize=8)
def _client(place: Place, boto: frozenset[tuple[str, str]], time_slot: int) -> LazyClient:
    return LazyClient("s3", place, _PATIENCE)
