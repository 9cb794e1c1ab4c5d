"""The bytes of a spool: what is written comes back, and nothing else is taken for a frame."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import InvalidInput, SchemaTooNew
from chain_client.spool import MAX_BODY_BYTES, Kind
from chain_client.spool.frames import (
    FRAME_BYTES,
    FRAME_MAGIC,
    HEADER_BYTES,
    Frame,
    Unfinished,
    check_header,
    decode_frame,
    encode_frame,
    encode_header,
    find_frame,
    frame_seed,
)
from chain_client.types import SourceId
from tests.strategies import examples
from tests.unit.chain_client.spool.journals import SOURCE_ID

SEED = frame_seed(SOURCE_ID, 3)
numbers = st.integers(0, 2**64 - 1)


@settings(max_examples=examples(100))
@given(st.sampled_from(Kind), numbers, numbers, st.binary(max_size=300), st.binary(max_size=9))
def test_a_frame_comes_back(
    kind: Kind, sequence: int, mark: int, body: bytes, before: bytes
) -> None:
    data = before + encode_frame(kind, sequence, mark, body, SEED)
    frame = decode_frame(memoryview(data), len(before), SEED)
    assert frame == Frame(kind, sequence, mark, body, len(data))


def test_the_layout_is_the_documented_one() -> None:
    frame = encode_frame(Kind.INTENT, 7, 0, b"body", SEED)
    assert (HEADER_BYTES, FRAME_BYTES, len(frame)) == (44, 28, 32)
    assert frame[:3] == b"\xff\xc5\x01"
    assert frame[4:8] == (4).to_bytes(4, "little")
    assert frame[12:20] == (7).to_bytes(8, "little")
    assert frame[28:] == b"body"
    header = encode_header(SOURCE_ID, 3, 9)
    assert header[:12] == b"mlcspool\x01\x00\x00\x00"
    assert header[12:28] == SOURCE_ID
    assert header[28:40] == (3).to_bytes(4, "little") + (9).to_bytes(8, "little")


def test_every_shorter_part_of_a_frame_is_unfinished() -> None:
    frame = encode_frame(Kind.NOTE, 1, 2, b"some body", SEED)
    for length in range(len(frame)):
        found = decode_frame(memoryview(frame[:length]), 0, SEED)
        needed = FRAME_BYTES if length < FRAME_BYTES else len(frame)
        assert found == Unfinished(needed), length


def test_no_flipped_bit_leaves_a_valid_frame() -> None:
    frame = encode_frame(Kind.OUTCOME, 5, 6, b"body", SEED)
    for bit in range(len(frame) * 8):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not isinstance(decode_frame(memoryview(flipped), 0, SEED), Frame), bit


@pytest.mark.parametrize(
    "seed",
    [frame_seed(SOURCE_ID, 4), frame_seed(SourceId(bytes(16)), 3)],
    ids=["another segment", "another source"],
)
def test_a_frame_from_elsewhere_is_not_valid(seed: int) -> None:
    frame = encode_frame(Kind.NOTE, 1, 2, b"copied", seed)
    assert decode_frame(memoryview(frame), 0, SEED) is None


def test_a_kind_that_is_not_known_is_damage() -> None:
    assert decode_frame(memoryview(encode_frame(9, 1, 0, b"", SEED)), 0, SEED) is None


def test_a_body_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidInput, match=str(MAX_BODY_BYTES)):
        encode_frame(Kind.NOTE, 0, 1, bytes(MAX_BODY_BYTES + 1), SEED)


def test_the_next_frame_is_found_behind_false_magic() -> None:
    frame = encode_frame(Kind.NOTE, 1, 2, b"x", SEED)
    rubbish = b"\xff" + FRAME_MAGIC + b"rubbish" + FRAME_MAGIC
    assert find_frame(rubbish + frame, 0, SEED) == len(rubbish)
    assert find_frame(rubbish + frame[:-1], 0, SEED) is None
    assert find_frame(frame + frame, 1, SEED) == len(frame)


def test_a_header_is_checked() -> None:
    header = encode_header(SOURCE_ID, 3, 9)
    assert check_header(header, SOURCE_ID, 3) is None
    assert check_header(header, SOURCE_ID, 4) == "segment belongs to another source or place"
    assert check_header(header, SourceId(bytes(16)), 3) is not None
    for index in range(HEADER_BYTES):
        flipped = bytearray(header)
        flipped[index] ^= 0x40
        assert check_header(bytes(flipped), SOURCE_ID, 3) == "segment header is damaged", index


def test_a_sound_header_of_a_later_version_asks_for_an_upgrade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as later:
        later.setattr("chain_client.spool.frames.VERSION", 2)
        header = encode_header(SOURCE_ID, 0, 0)
    with pytest.raises(SchemaTooNew, match="version 2; this mlops-chain reads 1"):
        check_header(header, SOURCE_ID, 0)
