"""One spelling for each place at which files are kept."""

from __future__ import annotations

import pytest

from chain_client.hosts import StoreBinding
from mlflow_chain.files.locations import Spot, Storage, join, to_location, without_workspace

KEPT = Storage(("/srv/kept",), served=True)


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("/a//b/../c", "/a/c"),
        ("file:///a/b%20c/", "/a/b c"),
        ("s3://bucket/a/", "s3://bucket/a"),
        ("mlflow-artifacts:/0/run/artifacts", "mlflow-artifacts:/0/run/artifacts"),
        ("mlflow-artifacts://host:5000/0/run/", "mlflow-artifacts:/0/run"),
        ("mlflow-artifacts:/", "mlflow-artifacts:"),
        ("http://h:1/x/api/2.0/mlflow-artifacts/artifacts/0/run", "mlflow-artifacts:/0/run"),
        ("https://h/api/2.0/mlflow-artifacts/artifacts", "mlflow-artifacts:"),
        ("https://h/api/2.0/mlflow-artifacts/artifactsx/0", None),
        ("https://h/files/0/", "https://h/files/0"),
        ("mlflow-artifacts:/0/run/artifacts?x=1", "mlflow-artifacts:/0/run/artifacts"),
        ("/a/b?c#d%20", None),
        ("http://[evil/y", None),
        ("mlflow-artifacts://[x/y", None),
        ("file://[x/y", None),
    ],
)
def test_each_way_to_name_a_place_has_one_spelling(uri: str, location: str | None) -> None:
    assert to_location(uri) == (uri if location is None else location)


@pytest.mark.parametrize(
    ("uri", "spelled", "read_at"),
    [
        ("mlflow-artifacts:/0/r", "mlflow-artifacts:/0/r", "/srv/kept/0/r"),
        ("/srv/kept/0/r", "mlflow-artifacts:/0/r", "/srv/kept/0/r"),
        ("/srv/kept", "mlflow-artifacts:", "/srv/kept"),
        ("/srv/kept2/0", "/srv/kept2/0", "/srv/kept2/0"),
        ("s3://b/0", "s3://b/0", "s3://b/0"),
        ("mlflow-artifacts:/0/r?x#y%20", "mlflow-artifacts:/0/r?x#y%20", "/srv/kept/0/r?x#y%20"),
    ],
)
def test_what_a_server_keeps_is_spelled_as_behind_it_and_read_where_it_is(
    uri: str, spelled: str, read_at: str
) -> None:
    assert KEPT.spell(uri) == spelled
    (spot,) = KEPT.find(spelled)
    assert join(spot.root, spot.below) == read_at


def test_nobody_reads_behind_a_server_whose_storage_is_unknown() -> None:
    assert Storage().find("mlflow-artifacts:/0/r") == ()
    hosted = Storage.of(StoreBinding("s", "mlflow", "https://host"))
    assert hosted.find("mlflow-artifacts:/0/r") == (Spot("mlflow-artifacts:/0/r"),)


def test_a_destination_may_be_a_service() -> None:
    assert Storage(("s3://b/kept",)).find("mlflow-artifacts:/0/r") == (
        Spot("s3://b/kept", "0/r", True),
    )
    assert Storage(("s3://b/kept",)).spell("s3://b/kept/0/r") == "mlflow-artifacts:/0/r"


def test_files_of_every_destination_are_found_again() -> None:
    storage = Storage(("/a", "/a/b"))
    assert storage.spell("/a/b/0/r") == storage.spell("/a/0/r") == "mlflow-artifacts:/0/r"
    assert storage.find("mlflow-artifacts:/0") == (Spot("/a", "0", True), Spot("/a/b", "0", True))


def test_a_workspace_stands_before_what_its_members_spell() -> None:
    within = "mlflow-artifacts:/workspaces/team/0/r/f.txt"
    assert without_workspace(within) == ("mlflow-artifacts:/0/r/f.txt", "workspaces/team")
    assert without_workspace("mlflow-artifacts:/0/r/f.txt") is None
    assert join("mlflow-artifacts:", "0/r") == "mlflow-artifacts:/0/r"
