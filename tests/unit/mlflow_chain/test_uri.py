"""URIs with our prefix, and places of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_chain.files.locations import join, relative, to_location
from mlflow_chain.process import is_server
from mlflow_chain.uri import find_refusal, is_chain_uri, to_absolute_uri, to_inner_uri


@pytest.mark.parametrize(
    ("uri", "inner"),
    [
        ("chain+sqlite:///a.db", "sqlite:///a.db"),
        ("chain:sqlite:///a.db", "sqlite:///a.db"),
        ("chain+postgresql+psycopg2://u:p@h/d", "postgresql+psycopg2://u:p@h/d"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_the_prefix_is_taken_off(uri: str, inner: str) -> None:
    assert to_inner_uri(uri) == inner
    assert is_chain_uri(uri) is (uri != inner)
    assert find_refusal(inner) is None


@pytest.mark.parametrize("inner", ["file:///x", "foo", "foo://x", ""])
def test_what_is_not_recorded_is_refused_with_a_way_out(inner: str) -> None:
    refusal = find_refusal(inner)
    assert refusal is not None
    assert "chain+sqlite" in refusal


@pytest.mark.parametrize("inner", ["foo://user:secret@host/db", "postgres://user:secret@host/db"])
def test_a_refusal_never_repeats_the_uri(inner: str) -> None:
    assert "secret" not in (find_refusal(inner) or "")


@pytest.mark.parametrize("scheme", ["postgres", "postgres+psycopg2"])
def test_the_short_name_of_postgres_is_refused_with_the_long_one(scheme: str) -> None:
    assert "use chain+postgresql://" in (find_refusal(f"{scheme}://host/db") or "")


def test_a_database_file_is_named_for_any_folder(tmp_path: Path) -> None:
    assert to_absolute_uri("sqlite:///a.db") == f"sqlite:///{tmp_path}/a.db"
    assert to_absolute_uri("sqlite:////x/a.db") == "sqlite:////x/a.db"
    assert to_absolute_uri("sqlite://") == "sqlite://"
    assert to_absolute_uri("postgresql://u:p@h/d") == "postgresql://u:p@h/d"


@pytest.mark.parametrize(
    ("environ", "argv", "expected"),
    [
        ({}, ["train.py"], False),
        ({}, ["/usr/bin/mlflow", "server", "--port", "5000"], True),
        ({}, ["/usr/bin/mlflow", "ui"], True),
        ({}, ["/usr/bin/mlflow", "gc"], False),
        ({}, ["/lib/mlflow/__main__.py", "server"], True),
        ({}, ["/lib/uvicorn/__main__.py", "mlflow.server.fastapi_app:app"], True),
        ({}, ["/bin/gunicorn", "-b", ":5000", "-w", "4", "mlflow.server:app"], True),
        ({}, ["/bin/gunicorn", "mlflow.server:create_app('x')"], True),
        ({}, ["/bin/flask", "--app", "mlflow.server", "run"], True),
        ({}, ["/bin/flask", "--app=mlflow.server", "run"], True),
        ({}, ["/bin/waitress-serve", "mlflow.server:app"], True),
        ({}, ["train.py", "--note", "mlflow.server"], False),
        ({}, ["train.py", "mlflow.server:app"], False),
        ({}, ["/bin/uvicorn", "my.mlflow.server:app"], False),
        ({"_MLFLOW_SERVER_FILE_STORE": "x"}, ["-c"], True),
        ({}, [], False),
    ],
)
def test_servers_are_told_from_scripts(
    environ: dict[str, str], argv: list[str], expected: bool
) -> None:
    assert is_server(environ, argv) is expected


def test_one_place_has_one_spelling() -> None:
    assert to_location("file:///a/b%20c/") == to_location("/a/b c") == "/a/b c"
    assert to_location("s3://bucket/x/") == "s3://bucket/x"
    assert join("/a", "b/./c") == "/a/b/c"
    assert join("s3://bucket/x", "b") == "s3://bucket/x/b"
    assert relative("/a", "/a/b/c") == "b/c"
    assert relative("/a", "/ab") is None
