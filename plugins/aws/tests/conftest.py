"""What holds for every test of the plugin: no credentials of anybody, a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from chain_client.plugin_host import PluginHost, using_plugin_host
from mlops_chain_aws.clients import LazyClient
from mlops_chain_aws.testing.s3_store import one_session
from mlops_chain_aws.testing.stand_in import ENVIRONMENT, StandIn, in_process, served
from mlops_chain_aws.testing.watched_s3 import WatchedS3, three_buckets

CLEANED = ("AWS_", "BOTO", "MLOPS_CHAIN_", "MLFLOW_")


@pytest.fixture(scope="session", autouse=True)
def _definitions_are_read_once() -> Iterator[None]:
    """botocore reads what it knows of AWS anew for each client: most of what a quick test costs."""
    import botocore.session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@pytest.fixture(autouse=True)
def _clean_environment(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each test starts in an empty folder, with the stand-in's credentials and no others."""
    monkeypatch.chdir(tmp_path)
    if request.node.get_closest_marker("real_aws"):
        return
    for name in list(os.environ):
        if name.startswith(CLEANED):
            monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def aws() -> Iterator[StandIn]:
    """AWS by moto in this process: quick, empty for each test, gone for forked or other ones."""
    with in_process() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def aws_server() -> Iterator[StandIn]:
    """AWS by moto as a server: for other processes, and forked ones. Not in a module with `aws`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with served() as stand_in:
            yield stand_in


@pytest.fixture(scope="module")
def shared_session() -> Iterator[None]:
    """All clients of a module's tests are made of one session of boto3."""
    with one_session():
        yield


@pytest.fixture(scope="module")
def watched_client() -> Iterator[LazyClient]:
    """One moto in this process, and one client of it, for the tests of a module: see `s3`."""
    with three_buckets() as client:
        yield client


@pytest.fixture
def s3(watched_client: LazyClient) -> Iterator[WatchedS3]:
    """Buckets that a module's tests share: each uses payloads of its own."""
    watched = WatchedS3(watched_client)
    yield watched
    watched.close()


@pytest.fixture
def plugins() -> Iterator[PluginHost]:
    """The plugin host of a process in which this plugin is installed: schemes are looked up."""
    with using_plugin_host() as host:
        yield host
