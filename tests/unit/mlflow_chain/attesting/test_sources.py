"""Which sources of versions can be pinned to one place, and to which."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.errors import InvalidInput
from mlflow_chain.attesting.locating import location_of
from mlflow_chain.attesting.sources import why_unclear
from mlflow_chain.files.canonical import canonical
from mlflow_chain.files.locations import Storage, to_location

BY_NAME = "can be changed later"
SERVER = "names a server"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("runs:/abc/model", BY_NAME),
        ("RUNS:/abc/model", BY_NAME),
        ("Models:/m-1", BY_NAME),
        ("models:/fraud/1", BY_NAME),
        (" runs:/abc/model", "blanks"),
        ("ru\tns:/abc/model", "can't be seen"),
        ("\x00runs:/abc/model", "can't be seen"),
        ("/srv/a\u2028", "can't be seen"),
        ("/srv/a ", "blanks"),
        ("\\\\host\\share", "backslash"),
        ("http://h/api/2.0/mlflow-artifacts/artifacts/0/x", SERVER),
        ("HTTPS://h/api/2.0/mlflow-artifacts/artifacts/0/x", SERVER),
        ("mlflow-artifacts://h/0/x", SERVER),
        ("Mlflow-Artifacts://h/0/x", SERVER),
        ("Mlflow-Artifacts:/0/x", "small letters"),
        ("FILE:///etc/x", "small letters"),
        ("file:/etc/x", "small letters"),
        ("file:x", "small letters"),
        ("file://host/etc/x", "small letters"),
        ("S3://bucket/x", "small letters"),
        ("relative/dir", "small letters"),
        ("Dbfs:/x", "small letters"),
        ("dbfs:x", "small letters"),
        ("s3://Bucket/x", "capitals"),
        ("s3://bucket/x?y=1", "'?'"),
        ("s3://bucket/x#y", "'?'"),
        ("sftp://host/x;y", "'?'"),
        ("mlflow-artifacts:/0/x?y", "'?'"),
        ("s3://[x/y", "no URI"),
        ("s3://bucket/x%41", "encoded"),
        ("mlflow-artifacts:/0/x%2f..", "encoded"),
        ("/srv/a%41", "encoded"),
        ("file:///srv/a%2541", "encoded"),
        ("file:///srv/%2e%2e/a", "'..'"),
        ("mlflow-artifacts:/workspaces/../0/x", "'..'"),
        ("/srv/a/../b", "'..'"),
        ("s3://bucket/a//b", "no plain path"),
        ("s3://bucket/./a", "no plain path"),
        ("s3://bucket/a/", "no plain path"),
        ("//srv/a", "no plain path"),
        ("mlflow-artifacts:///0/x", "names a server"),
    ],
)
def test_a_source_that_some_reader_takes_for_another_place_is_refused(uri: str, why: str) -> None:
    assert why in str(why_unclear(uri))
    with pytest.raises(InvalidInput, match="the source of v "):
        location_of(uri, Storage(("/srv/kept",)), "v")


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("/srv/a b/m-1", "/srv/a b/m-1"),
        ("/srv/ä#1?", "/srv/ä#1?"),
        ("file:///srv/a%20b/m", "/srv/a b/m"),
        ("mlflow-artifacts:/0/models/m-1/artifacts", "mlflow-artifacts:/0/models/m-1/artifacts"),
        ("s3://bucket/root/m-1", "s3://bucket/root/m-1"),
        ("wasbs://box@account.blob.host/m", "wasbs://box@account.blob.host/m"),
        ("hdfs://name:8020/m", "hdfs://name:8020/m"),
        ("hdfs:///m", "hdfs:/m"),
        ("dbfs:/m", "dbfs:/m"),
        ("s3://kept/x/m", "mlflow-artifacts:/m"),
    ],
)
def test_a_plain_source_is_one_place(uri: str, location: str) -> None:
    assert location_of(uri, Storage(("s3://kept/x",)), "v") == location


@pytest.mark.parametrize("workspace", ["", "team"])
def test_what_lies_behind_a_server_is_the_workspace_s_own(workspace: str, tmp_path: Path) -> None:
    storage = Storage((str(tmp_path),))
    own = "mlflow-artifacts:/workspaces/team"
    scoped = f"{own}/foo/m" if workspace else "mlflow-artifacts:/foo/m"
    assert location_of("mlflow-artifacts:/foo/m", storage, "v", workspace) == scoped
    assert location_of(f"{own}/foo/m", storage, "v", workspace) == f"{own}/foo/m"
    assert location_of("s3://bucket/m", storage, "v", workspace) == "s3://bucket/m"
    direct = location_of(f"{tmp_path}/foo/m", storage, "v", workspace)
    assert direct == "mlflow-artifacts:/foo/m"


@pytest.mark.parametrize("place", ["other/m", "teams/m", "Team/m"])
def test_what_lies_in_another_workspace_is_refused(place: str) -> None:
    with pytest.raises(InvalidInput, match="another workspace"):
        location_of(f"mlflow-artifacts:/workspaces/{place}", Storage(), "v", "team")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/root/0/m",
        "S3://bucket/root/0/m",
        " S3://bucket/root/0/m",
        "s\t3://bucket/root/0/m",
        "s3://Bucket/root/0/m",
        "s3://bucket/root/./0/m",
        "s3://bucket/root/x/../0/m",
        "s3://bucket/root//0/m/",
        "s3://bucket/root/0/m?x=1",
        "s3://bucket/root/0/m#x",
    ],
)
def test_every_spelling_of_a_storage_s_name_is_compared_as_one(uri: str) -> None:
    assert canonical(to_location(uri), Storage()) == "s3://bucket/root/0/m"
    kept = Storage(("s3://bucket/root",))
    assert canonical(to_location(uri), kept) == "mlflow-artifacts:/0/m"
