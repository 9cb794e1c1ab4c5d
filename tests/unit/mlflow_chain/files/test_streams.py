"""Hashing what passes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
from collections.abc import AsyncIterator

import pytest

from mlflow_chain.files.uploads import HashingChunks, HashingStream
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
