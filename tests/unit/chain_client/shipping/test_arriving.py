"""What lies in a store is not believed: no size, no name, no count of it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import DamagedParcel
from chain_client.shipping import Parcel, arriving
from chain_client.shipping.arriving import find_parcel, name_of, take_in
from chain_client.shipping.manifest import Manifest
from chain_client.shipping.packing import PackedReader, PackedSource, pack_head
from chain_client.shipping.reading import read_manifest
from chain_client.testing.shipper_suite import content_of, make_shipment, never
from chain_client.types import SourceId

SOURCE = SourceId(b"\1" * 16)


def _manifest(segments: dict[str, Any], **changes: Any) -> bytes:
    content = {"kind": "mlops-chain parcel", "version": 1, "source": SOURCE.hex()}
    return json.dumps({**content, "segments": segments, **changes}).encode()


def _segment(size: Any, sha256: Any = "00" * 32) -> dict[str, Any]:
    return {"size": size, "sha256": sha256}


def _no_bytes(_: Manifest, name: str) -> Iterator[bytes]:
    raise AssertionError(f"{name} was asked for")


HOSTILE = {
    "no JSON": b"\xff\xfe",
    "nothing": b"",
    "a list": b"[]",
    "many levels": b"[" * 200_000,
    "another source's": _manifest({}, source="02" * 16),
    "a path": _manifest({"../00000000.spool": _segment(1)}),
    "the list itself": _manifest({"parcel.json": _segment(1)}),
    "a lock": _manifest({"owner.lock": _segment(1)}),
    "a long name": _manifest({"0" * 200 + ".spool": _segment(1)}),
    "a size below nothing": _manifest({"00000000.spool": _segment(-1)}),
    "a size without an end": _manifest({"00000000.spool": _segment(float("inf"))}),
    "a huge size": _manifest({"00000000.spool": _segment((1 << 30) + 1)}),
    "a huge sum": _manifest({f"{n:08d}.spool": _segment(1 << 30) for n in range(17)}),
    "too long": _manifest({f"{n:08d}.spool": _segment(0) for n in range(170_000)}),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=list(HOSTILE))
def test_a_list_that_can_be_nobodys_is_refused_before_a_segment_is_asked_for(
    tmp_path: Path, data: bytes
) -> None:
    parcel = Parcel(SOURCE, hashlib.sha256(data).hexdigest())
    with pytest.raises(DamagedParcel):
        take_in(parcel, tmp_path, lambda: data, _no_bytes, never)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [b"", b"abc", b"abcd" * (1 << 20)], ids=["none", "few", "many"])
def test_no_more_is_written_than_was_announced(tmp_path: Path, given: bytes) -> None:
    wanted = hashlib.sha256(b"abcd").hexdigest()
    data = _manifest({"00000000.spool": _segment(4, wanted)})
    parcel = Parcel(SOURCE, hashlib.sha256(data).hexdigest())
    with pytest.raises(DamagedParcel, match="not what was sent"):
        take_in(parcel, tmp_path, lambda: data, lambda *_: iter([given]), never)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "x", "ab" * 16, f"{'AB' * 16}-{'0' * 64}", f"{'ab' * 16}-\n"])
def test_only_a_parcels_own_name_is_one(name: str) -> None:
    assert find_parcel(name) is None
    parcel = Parcel(SOURCE, "ab" * 32)
    assert find_parcel(name_of(parcel)) == parcel


def test_what_was_taken_in_is_in_hand_until_somebody_takes_it(tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, 10, 20)
    manifest = read_manifest(shipment, never)
    parcel = Parcel(shipment.source_id, manifest.digest())
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    content = content_of(shipment)
    take_in(parcel, inbox, manifest.to_bytes, lambda _, name: iter([content[name]]), never)
    assert arriving.is_in_hand(parcel, inbox)
    assert arriving.taken_from(inbox) == []
    (inbox / parcel.source_id.hex()).rename(tmp_path / "taken")
    assert arriving.taken_from(inbox) == [parcel]
    arriving.forget(parcel, inbox)
    assert arriving.taken_from(inbox) == []
    assert not arriving.is_noted(parcel, inbox)


def test_what_was_staged_of_a_parcel_that_is_gone_is_cleared_away(tmp_path: Path) -> None:
    kept, gone = Parcel(SOURCE, "aa" * 32), Parcel(SOURCE, "bb" * 32)
    for parcel in (kept, gone):
        staged = tmp_path / f".fetching-{name_of(parcel)}"
        staged.mkdir()
        (staged / "00000000.spool").write_bytes(b"begun")
    arriving.clear_staged(tmp_path, {kept}.__contains__)
    assert [path.name for path in tmp_path.iterdir()] == [f".fetching-{name_of(kept)}"]


@pytest.mark.parametrize("sizes", [(0,), (44,), (1000, 0, 1, 300_000)])
def test_a_packed_source_can_be_read_from_anywhere(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    shipment = make_shipment(tmp_path, *sizes)
    manifest = read_manifest(shipment, never)
    packed = PackedSource(shipment, manifest)
    whole = packed.read(0, packed.size_bytes + 99, never)
    assert whole == pack_head(manifest) + b"".join(
        data for _, data in sorted(content_of(shipment).items())
    )
    for step in (7, 1000, 65_536):
        if packed.size_bytes / step < 2000:
            offsets = range(0, packed.size_bytes, step)
            assert b"".join(packed.read(offset, step, never) for offset in offsets) == whole
    reader = PackedReader(
        Parcel(shipment.source_id, manifest.digest()), lambda offset: io.BytesIO(whole[offset:])
    )
    for name, data in content_of(shipment).items():
        assert b"".join(reader.read_segment(manifest, name)) == data
    assert reader.read_manifest() == manifest.to_bytes()
    reader.close()


def _cut(whole: bytes) -> bytes:
    return whole[:-1]


def _announce_more(whole: bytes) -> bytes:
    return whole.replace(whole[21:31], b"9999999999", 1)


def _announce_less(whole: bytes) -> bytes:
    return whole.replace(whole[21:31], b"0000000010", 1)


@pytest.mark.parametrize(
    "change", [_cut, _announce_more, _announce_less, lambda _: b"", lambda _: b"x" * 100]
)
def test_a_packed_source_that_was_changed_is_damaged(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    shipment = make_shipment(tmp_path, 100)
    manifest = read_manifest(shipment, never)
    packed = PackedSource(shipment, manifest)
    data = change(packed.read(0, packed.size_bytes, never))
    parcel = Parcel(shipment.source_id, manifest.digest())
    reader = PackedReader(parcel, lambda offset: io.BytesIO(data[offset:]))
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    with pytest.raises(DamagedParcel):
        take_in(parcel, inbox, reader.read_manifest, reader.read_segment, never)
    assert list(inbox.iterdir()) == []
