"""Hashing what passes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from mlflow_chain.files.uploads import HashingChunks, HashingStream, recorded_async_stream
from mlflow_chain.stores.reclassing import RECORDING
from mlflow_chain.stores.recording import Call, current_call

DATA = bytes(range(256)) * 5_000
RESULT = {"size": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}


def test_a_stream_is_hashed_however_it_is_read() -> None:
    for read in (
        lambda stream: stream.read(),
        lambda stream: b"".join(iter(lambda: stream.read(1000), b"")),
        lambda stream: io.BufferedReader(stream).read(),
    ):
        stream = HashingStream(io.BytesIO(DATA))
        assert read(stream) == DATA
        assert stream.to_result() == RESULT


def test_a_stream_is_copied_as_mlflow_copies_it_and_cannot_be_rewound() -> None:
    stream, target = HashingStream(io.BytesIO(DATA)), io.BytesIO()
    assert stream.tell() == 0
    shutil.copyfileobj(stream, target)
    assert (target.getvalue(), stream.to_result()) == (DATA, RESULT)
    assert stream.tell() == len(DATA)
    assert not stream.seekable()


def test_a_call_is_not_seen_while_the_next_chunk_is_waited_for() -> None:
    seen = []

    async def arriving() -> AsyncIterator[bytes]:
        for start in range(0, len(DATA), 100_000):
            seen.append(current_call.get())
            yield DATA[start : start + 100_000]

    async def take() -> HashingChunks:
        chunks = HashingChunks(arriving())
        current_call.set(Call(b"", marks=False))
        async for _ in chunks:
            assert current_call.get() is not None
        return chunks

    assert asyncio.run(take()).to_result() == RESULT
    assert set(seen) == {None}


def test_an_error_of_the_sender_reaches_the_storage() -> None:
    async def arriving() -> AsyncIterator[bytes]:
        yield b"a"
        raise ConnectionResetError

    async def take() -> None:
        async for _ in HashingChunks(arriving()):
            pass

    with pytest.raises(ConnectionResetError):
        asyncio.run(take())


class Notes:
    """Takes the place of a recording whose spool is slow."""

    store_id = "s"
    actor = None

    def __init__(self) -> None:
        self.recorder = self
        self.may_begin = threading.Event()
        self.noted: list[object] = []

    def current(self) -> Notes:
        return self

    def begin(self, *given: object, **named: object) -> SimpleNamespace:
        assert self.may_begin.wait(10)
        self.noted.append("begun")
        return SimpleNamespace(event_id=b"", type="", sequence=0)

    def failed(self, intent: object, error: BaseException, *, in_doubt: bool) -> None:
        self.noted.append((type(error).__name__, in_doubt))


def test_an_upload_that_is_cancelled_while_its_intent_is_written_is_settled() -> None:
    notes = Notes()
    repository = SimpleNamespace(artifact_uri="/tmp/kept", **{RECORDING: notes})

    async def never(*given: object) -> None:
        raise AssertionError

    async def cancel() -> None:
        upload = recorded_async_stream(never)(repository, None, "f", None)
        task = asyncio.ensure_future(upload)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        notes.may_begin.set()
        async with asyncio.timeout(10):
            while len(notes.noted) < 2:
                await asyncio.sleep(0.01)

    asyncio.run(cancel())
    assert notes.noted == ["begun", ("CancelledError", False)]
