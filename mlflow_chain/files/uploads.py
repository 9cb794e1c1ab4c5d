"""Recording files that a server takes for its clients: as a stream, or in parts that bypass it.

The bytes of a stream are hashed as they pass. Of a file in parts the server sees only that it is
whole; it is read back.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import io
import posixpath
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from chain_client.events import Json
from chain_client.recorder import Intent
from mlflow_chain.files.bracket import (
    UPLOADED,
    begin,
    find_recording_of,
    under_way,
)
from mlflow_chain.files.hashing import version_of
from mlflow_chain.files.places import Place
from mlflow_chain.stores.recording import Recording, current_call
from mlflow_chain.stores.wishing import wish


class HashingStream(io.RawIOBase):
    """A stream that can only be read once, from its beginning; hashes what is read of it.

    Args:
        inner: anything with ``read``.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._digest = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        chunk: bytes = self._inner.read(-1 if size is None else size) or b""
        self._digest.update(chunk)
        self.size += len(chunk)
        return chunk

    def readall(self) -> bytes:
        return self.read(-1)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def tell(self) -> int:
        return self.size

    def to_result(self) -> dict[str, Json]:
        """Size and digest of what has passed."""
        return {"size": self.size, "sha256": self._digest.hexdigest()}


class HashingChunks:
    """The same for chunks that arrive asynchronously.

    Args:
        chunks: gives them.
    """

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks
        self._digest = hashlib.sha256()
        self._size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        arriving = aiter(self._chunks)
        while True:
            # While it waits, the server may go on reading the connection, and does so in a copy
            # of this context for as long as the connection lasts: no call may be seen there.
            token = current_call.set(None)
            try:
                chunk = await anext(arriving)
            except StopAsyncIteration:
                return
            finally:
                current_call.reset(token)
            self._digest.update(chunk)
            self._size += len(chunk)
            yield chunk

    def to_result(self) -> dict[str, Json]:
        """Size and digest of what has passed."""
        return {"size": self._size, "sha256": self._digest.hexdigest()}


@dataclass(frozen=True, slots=True)
class _Target:
    """The file that an upload puts into its place, and what was there before.

    Args:
        place: where the upload goes.
        name: of the file.
        before: its version; None if there was none, or nobody can know.
    """

    place: Place
    name: str
    before: tuple[int, int, int] | None

    @classmethod
    def of(cls, repository: Any, name: str, folder: str | None) -> _Target:
        place = Place.of(repository, folder)
        file_name = posixpath.basename(name)
        before = None if place.folder is None else version_of(place.folder / file_name)
        return cls(place, file_name, before)

    def to_payload(self) -> dict[str, Json]:
        payload = self.place.to_payload(path=self.place.path(self.name))
        if self.place.folder is not None:
            # If this process dies, whoever looks must tell the new file from the one before.
            payload["replaces"] = None if self.before is None else list(self.before)
        return payload

    def is_untouched(self) -> bool:
        folder = self.place.folder
        return folder is not None and version_of(folder / self.name) == self.before


def _begin(
    recording: Recording, repository: Any, name: str, folder: str | None
) -> tuple[Intent, _Target]:
    target = _Target.of(repository, name, folder)
    return begin(recording, UPLOADED, target.place.root, target.to_payload()), target


def recorded_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    """`log_artifact_from_stream`, recorded."""

    @functools.wraps(original)
    def log(
        repository: Any, stream: Any, artifact_file_name: str, artifact_path: str | None = None
    ) -> Any:
        recording = find_recording_of(repository)
        if recording is None:
            return original(repository, stream, artifact_file_name, artifact_path)
        intent, target = _begin(recording, repository, artifact_file_name, artifact_path)
        hashed = HashingStream(stream)
        with under_way(recording, intent, target.is_untouched):
            value = original(repository, hashed, artifact_file_name, artifact_path)
        recording.recorder.done(intent, result=hashed.to_result())
        return value

    return log


def recorded_async_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    """`log_artifact_from_async_stream`, recorded; the intent is written in a thread."""

    @functools.wraps(original)
    async def log(
        repository: Any, chunks: Any, artifact_file_name: str, artifact_path: str | None = None
    ) -> Any:
        recording = find_recording_of(repository)
        if recording is None:
            return await original(repository, chunks, artifact_file_name, artifact_path)
        beginning = asyncio.ensure_future(
            asyncio.to_thread(_begin, recording, repository, artifact_file_name, artifact_path)
        )
        try:
            intent, target = await asyncio.shield(beginning)
        except asyncio.CancelledError as exc:
            # The thread goes on, and nobody else would settle what it begins.
            beginning.add_done_callback(functools.partial(_give_up, recording, exc))
            raise
        hashed = HashingChunks(chunks)
        with under_way(recording, intent, target.is_untouched):
            value = await original(repository, hashed, artifact_file_name, artifact_path)
        recording.recorder.done(intent, result=hashed.to_result())
        return value

    return log


def _give_up(
    recording: Recording,
    error: BaseException,
    beginning: asyncio.Future[tuple[Intent, _Target]],
) -> None:
    if not beginning.cancelled() and beginning.exception() is None:
        recording.recorder.failed(beginning.result()[0], error, in_doubt=False)


def recorded_completion(original: Callable[..., Any]) -> Callable[..., Any]:
    """`complete_multipart_upload`, recorded; its file is read back."""

    @functools.wraps(original)
    def complete(
        repository: Any,
        local_file: str,
        upload_id: str,
        parts: Any,
        artifact_path: str | None = None,
    ) -> Any:
        recording = find_recording_of(repository)
        if recording is None:
            return original(repository, local_file, upload_id, parts, artifact_path)
        place = Place.of(repository, artifact_path)
        path = place.path(posixpath.basename(local_file))
        intent = begin(
            recording, UPLOADED, place.root, place.to_payload(path=path, parts=len(parts))
        )
        with under_way(recording, intent):
            wish(recording, intent, place.to_wish(path))
            value = original(repository, local_file, upload_id, parts, artifact_path)
        recording.recorder.done(intent)
        return value

    return complete
