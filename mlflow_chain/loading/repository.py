"""What MLflow asks for ``chain+models:/…``: a repository that gives verified copies only."""

from __future__ import annotations

import shutil
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_chain.loading.model_uris import SCHEME, ModelUri
from mlflow_chain.loading.verified import download_verified, refusals

_READ_ONLY = (
    f"{SCHEME}:/… only loads what is approved; log models with MLflow as usual, and register them"
)


class VerifiedModelsRepository(ArtifactRepository):
    """A registered model's files, each time copied, read and compared with the chain.

    MLflow gives the URI without its last part, and that part as the path.
    """

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._asked_tracking_uri = tracking_uri
        self._asked_registry_uri = registry_uri

    def _uri(self, path: str | None) -> str:
        base = str(self.artifact_uri).rstrip("/")
        whole = f"{base}/{path}" if path else base
        prefix = f"{SCHEME}:"
        return whole if whole.startswith(f"{prefix}/") else whole.replace(prefix, f"{prefix}/", 1)

    def download_artifacts(
        self, artifact_path: str | None, dst_path: str | None = None, **_: Any
    ) -> str:
        """A verified copy of what the path names; see `verified.download_verified`."""
        return download_verified(
            self._uri(artifact_path), dst_path, self._asked_tracking_uri, self._asked_registry_uri
        )

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        shutil.copyfile(self.download_artifacts(remote_file_path), local_path)

    def list_artifacts(self, path: str | None = None) -> Any:
        """The names that MLflow shows; names only, nothing is verified."""
        with refusals(self._uri(path)):
            uri = ModelUri.parse(self._uri(path))
        repository = get_artifact_repository(
            str(uri), self._asked_tracking_uri, self._asked_registry_uri
        )
        return repository.list_artifacts(uri.path or None)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Refused."""
        raise MlflowException(_READ_ONLY, INVALID_PARAMETER_VALUE)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Refused."""
        raise MlflowException(_READ_ONLY, INVALID_PARAMETER_VALUE)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Refused."""
        raise MlflowException(_READ_ONLY, INVALID_PARAMETER_VALUE)
