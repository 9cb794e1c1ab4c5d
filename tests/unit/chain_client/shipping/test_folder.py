"""`folder:`: the conformance suite, and what only a folder can do wrong."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from pathlib import Path

import pytest

from chain_client import mounts
from chain_client.errors import ConfigurationError, NotInTime, ShippingUnavailable
from chain_client.shipping import FolderShipper, Parcel, Shipment, Shipper, open_shipper
from chain_client.shipping.manifest import MANIFEST_NAME, STAGED_PREFIX, Manifest, Segment
from chain_client.testing.receiver_suite import ReceiverSuite, StoreUnderTest
from chain_client.testing.shipper_suite import (
    DestinationUnderTest,
    OverAfter,
    ShipperSuite,
    content_of,
    make_shipment,
    never,
)
from chain_client.types import SourceId
from tests.forked import in_fork


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir(mode=0o700)
    return folder


def _received(inbox: Path, source_id: SourceId) -> dict[str, bytes] | None:
    folder = inbox / source_id.hex()
    if not folder.exists():
        return None
    return {path.name: path.read_bytes() for path in folder.glob("*.spool")}


@pytest.fixture
def destination(inbox: Path, tmp_path: Path) -> DestinationUnderTest:
    def connect() -> Shipper:
        return open_shipper(f"folder:{inbox}", base=tmp_path)

    return DestinationUnderTest(
        connect,
        received=lambda source_id: _received(inbox, source_id),
        take=lambda source_id: shutil.rmtree(inbox / source_id.hex()),
        nowhere=lambda: open_shipper("folder:not-mounted", base=tmp_path),
    )


class TestFolderShipper(ShipperSuite):
    pass


class TestFolderReceiver(ReceiverSuite):
    @pytest.fixture
    def store(self, destination: DestinationUnderTest, inbox: Path) -> StoreUnderTest:
        def spoil(parcel: Parcel) -> None:
            segment = inbox / parcel.source_id.hex() / "00000000.spool"
            data = segment.read_bytes()
            segment.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

        def begin(shipment: Shipment) -> None:
            with pytest.raises(NotInTime):
                destination.connect().ship(shipment, OverAfter(60))

        return StoreUnderTest(destination, spoil, begin)


def test_a_folder_without_the_list_of_what_was_sent_has_not_arrived(
    inbox: Path, tmp_path: Path
) -> None:
    shipper = FolderShipper("folder:inbox", inbox)
    shipper.ship(make_shipment(tmp_path, 10), never)
    for name, manifest in (("ab" * 16, None), ("cd" * 16, os.mkfifo)):
        (inbox / name).mkdir()
        if manifest is not None:
            manifest(inbox / name / MANIFEST_NAME)
    (inbox / ("ef" * 16)).symlink_to(tmp_path)
    assert len(list(shipper.arrived())) == 1


def test_a_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ShippingUnavailable, match="No such file"):
        FolderShipper("folder:x", tmp_path / "x").ship(make_shipment(tmp_path, 10), never)
    assert not (tmp_path / "x").exists()


def test_a_file_system_over_an_object_store_is_refused(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("36 20 98:1 / / rw - fuse.s3fs s3fs rw\n")
    monkeypatch.setattr(mounts, "TABLE", table)
    with pytest.raises(ShippingUnavailable, match=r"is on fuse\.s3fs"):
        FolderShipper("folder:inbox", inbox).ship(make_shipment(tmp_path, 10), never)
    assert list(inbox.iterdir()) == []


@pytest.mark.parametrize("mode", [0o700, 0o770, 0o777])
def test_files_are_as_open_to_the_group_as_the_folder_and_never_to_others(
    inbox: Path, tmp_path: Path, mode: int
) -> None:
    inbox.chmod(mode)
    shipment = make_shipment(tmp_path, 10)
    FolderShipper("folder:inbox", inbox).ship(shipment, never)
    source = inbox / shipment.source_id.hex()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in source.iterdir()}
    assert stat.S_IMODE(source.stat().st_mode) == mode & 0o770
    assert modes == {mode & 0o660}


def test_a_disk_that_is_full_takes_nothing_and_is_left_as_it_was(
    inbox: Path, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, 1000, 300_000)

    def ship_onto_a_full_disk() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            FolderShipper("folder:inbox", inbox).ship(shipment, never)
        except ShippingUnavailable as exc:
            return f"refused: {exc}"
        return "shipped"

    assert in_fork(ship_onto_a_full_disk).startswith("refused: ")
    assert _received(inbox, shipment.source_id) is None
    assert [path.name for path in inbox.rglob("*.part")] == []
    kept = [path.name for path in inbox.rglob("*.spool")]
    assert kept == ["00000000.spool"], "what was brought is not brought again"
    FolderShipper("folder:inbox", inbox).ship(shipment, never)
    assert _received(inbox, shipment.source_id) == content_of(shipment)


def test_what_another_death_has_left_torn_is_brought_again(inbox: Path, tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, 1000, 2000)
    FolderShipper("folder:inbox", inbox).ship(shipment, never)
    whole = inbox / shipment.source_id.hex()
    manifest = Manifest.from_bytes((whole / MANIFEST_NAME).read_bytes())
    staged = inbox / f"{STAGED_PREFIX}{shipment.source_id.hex()}-{manifest.digest()[:16]}"
    whole.rename(staged)
    os.truncate(staged / "00000001.spool", 500)
    (staged / "00000000.spool").unlink()
    (staged / "00000000.spool.part").write_bytes(b"torn")
    FolderShipper("folder:inbox", inbox).ship(shipment, never)
    assert _received(inbox, shipment.source_id) == content_of(shipment)
    assert not staged.exists()


def test_two_copies_that_differ_are_never_mixed(inbox: Path, tmp_path: Path) -> None:
    first = make_shipment(tmp_path, 1000, 2000)
    other = make_shipment(tmp_path, 1000, 2000, source_id=first.source_id)
    FolderShipper("folder:inbox", inbox).ship(first, never)
    shutil.copytree(inbox / first.source_id.hex(), inbox / f"{STAGED_PREFIX}{'0' * 32}-x")
    shutil.rmtree(inbox / first.source_id.hex())
    FolderShipper("folder:inbox", inbox).ship(other, never)
    assert _received(inbox, first.source_id) == content_of(other)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("folder:", "names no folder"),
        ("s3://key:secret@bucket/x", "no shipper is known for 's3:'"),
        ("secret", "no scheme is named"),
    ],
)
def test_a_uri_that_says_nothing_is_refused_without_being_shown_whole(
    tmp_path: Path, uri: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as found:
        open_shipper(uri, base=tmp_path)
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"kind":"mlops-chain parcel","version":2,"source":"","segments":{}}',
        b'{"kind":"mlops-chain parcel","version":1,"source":"zz","segments":{}}',
        b'{"kind":"mlops-chain parcel","version":1,"source":"","segments":{"a":1}}',
        b'{"kind":"mlops-chain parcel","version":1,"source":"","segments":[]}',
    ],
)
def test_a_damaged_manifest_is_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"manifest|hexadecimal|Expecting"):
        Manifest.from_bytes(data)


def test_a_manifest_comes_back_as_it_was() -> None:
    made = Manifest(SourceId(b"\1" * 16), {"b": Segment(2, "ff"), "a": Segment(0, "00")})
    assert Manifest.from_bytes(made.to_bytes()) == made
    turned = Manifest(made.source_id, dict(reversed(list(made.segments.items()))))
    assert turned.to_bytes() == made.to_bytes()
