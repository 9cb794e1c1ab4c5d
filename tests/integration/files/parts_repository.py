"""A storage that takes files in parts, as S3 does: a folder that MLflow knows by a scheme only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import FileInfo
from mlflow.entities.multipart_upload import CreateMultipartUploadResponse
from mlflow.store.artifact.artifact_repo import ArtifactRepository, MultipartUploadMixin


class PartsRepository(ArtifactRepository, MultipartUploadMixin):
    """``parts://<folder>``; parts of an upload are put into ``<folder>/.parts/<upload id>``."""

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._base = Path(urlsplit(artifact_uri).path)

    def log_artifact(self, local_file: Any, artifact_path: str | None = None) -> None:
        folder = self._base / (artifact_path or "")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(local_file, folder / Path(local_file).name)

    def log_artifacts(self, local_dir: Any, artifact_path: str | None = None) -> None:
        shutil.copytree(local_dir, self._base / (artifact_path or ""), dirs_exist_ok=True)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        folder = self._base / (path or "")
        if not folder.is_dir():
            return []
        return [
            FileInfo(
                file.relative_to(self._base).as_posix(),
                file.is_dir(),
                None if file.is_dir() else file.stat().st_size,
            )
            for file in sorted(folder.iterdir())
            if file.name != ".parts"
        ]

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        shutil.copyfile(self._base / remote_file_path, local_path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        target = self._base / (artifact_path or "")
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def create_multipart_upload(
        self, local_file: str, num_parts: int = 1, artifact_path: str | None = None
    ) -> CreateMultipartUploadResponse:
        upload_id = Path(local_file).name
        (self._base / ".parts" / upload_id).mkdir(parents=True, exist_ok=True)
        return CreateMultipartUploadResponse(upload_id=upload_id, credentials=[])

    def complete_multipart_upload(
        self, local_file: str, upload_id: str, parts: Any, artifact_path: str | None = None
    ) -> None:
        folder = self._base / (artifact_path or "")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / Path(local_file).name).open("wb") as whole:
            for part in sorted((self._base / ".parts" / upload_id).iterdir()):
                whole.write(part.read_bytes())

    def abort_multipart_upload(
        self, local_file: str, upload_id: str, artifact_path: str | None = None
    ) -> None:
        shutil.rmtree(self._base / ".parts" / upload_id)
