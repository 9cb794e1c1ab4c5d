"""MLflow that keeps its artifacts in S3: a stand-in, asked as MLflow and we ask it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from werkzeug.serving import WSGIRequestHandler

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.plugin_host import using_plugin_host
from mlflow_chain.files import write_once
from mlops_chain_aws.testing.stand_in import ENVIRONMENT, StandIn, served
from tests.governed import Registry
from tests.integration.gate_files.conftest import write_model

VERSIONED, PLAIN = "versioned-models", "plain-models"
"""Buckets: one keeps every version of an object, the other one the last."""

_numbers = count(1)


@dataclass
class Asked:
    """Requests that S3 was asked, in their order: method and path."""

    requests: list[tuple[str, str]] = field(default_factory=list)

    def read(self) -> list[str]:
        """Names of the files whose bytes were sent."""
        gets = [path for method, path in self.requests if method == "GET"]
        keys = [unquote(urlsplit(path).path).strip("/").partition("/")[2] for path in gets]
        return sorted(key.rpartition("/")[2] for key in keys if key)


@dataclass
class Model:
    """A registered model of one version, whose files are in S3.

    Args:
        name: of it.
        bucket: where they are.
        prefix: of their keys, with a slash at its end.
        module: of its code.
        source: the files as they were logged.
    """

    name: str
    bucket: str
    prefix: str
    module: str
    source: Path

    @property
    def champion(self) -> str:
        """Its alias, as a URI."""
        return f"models:/{self.name}@champion"

    def imported(self) -> bool:
        """Whether its code ran in this process."""
        return self.module in sys.modules


@dataclass
class Warehouse:
    """A governed home that records MLflow's database here; files are in S3.

    Args:
        aws: the stand-in.
        people: of the home.
        folder: for files to be logged.
        asked: what the stand-in was asked.
    """

    aws: StandIn
    people: Registry
    folder: Path
    asked: Asked

    @property
    def s3(self) -> Any:
        """A client of whoever has keys of the buckets."""
        return self.aws.client("s3")

    @contextmanager
    def watching(self) -> Iterator[Asked]:
        """What S3 is asked meanwhile."""
        self.asked.requests.clear()
        yield self.asked

    def log(self, bucket: str = VERSIONED, root: str | None = None) -> Model:
        """Log a model and register it, by MLflow's client; ``root`` is what it is told to use."""
        number = next(_numbers)
        name, module = f"fraud-{number}", f"s3_model_{os.getpid()}_{number}"
        source = write_model(self.folder / name, module)
        client = MlflowClient()
        root = f"s3://{bucket}" if root is None else root
        experiment = client.create_experiment(name, f"{root}/{name}")
        model = client.create_logged_model(experiment, name="net")
        client.log_model_artifacts(model.model_id, str(source))
        client.finalize_logged_model(model.model_id, "READY")
        client.create_registered_model(name)
        client.create_model_version(name, f"models:/{model.model_id}", model_id=model.model_id)
        prefix = model.artifact_location.removeprefix(f"{root}/")
        self.people.client.recorder.close()
        return Model(name, bucket, f"{prefix}/", module, source)

    def promote(self, model: Model) -> None:
        """On chain and in MLflow."""
        self.people.drain()
        self.people.promote(model.name, 1)
        MlflowClient().set_registered_model_alias(model.name, "champion", "1")

    def put(self, model: Model, path: str, body: bytes) -> None:
        """Overwrite a file past MLflow."""
        self.s3.put_object(
            Bucket=model.bucket, Key=model.prefix + path, Body=body, ChecksumAlgorithm="SHA256"
        )


@pytest.fixture(scope="module")
def made(
    founded_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Warehouse, dict[str, str]]]:
    """A warehouse, and the variables of its processes."""
    folder = tmp_path_factory.mktemp("warehouse")
    shutil.copytree(founded_home, folder / "home")
    asked = Asked()

    def note(handler: WSGIRequestHandler, *_: object) -> None:
        asked.requests.append((handler.command, handler.path))

    with pytest.MonkeyPatch.context() as patch, using_plugin_host():
        patch.setattr(WSGIRequestHandler, "log_request", note)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with served() as aws:
            aws.make_bucket(VERSIONED, versioned=True)
            aws.make_bucket(PLAIN)
            assert aws.endpoint_url is not None
            variables = {
                "MLOPS_CHAIN_HOME": str(folder / "home"),
                "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
                "MLFLOW_S3_ENDPOINT_URL": aws.endpoint_url,
                "MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"ChecksumAlgorithm": "SHA256"}',
            }
            for name, value in variables.items():
                patch.setenv(name, value)
            mlflow.set_tracking_uri(f"chain+sqlite:///{folder}/mlflow.db")
            MlflowClient().search_experiments()
            client = ChainClient.open(Settings(home=folder / "home", relay_autostart=False))
            people = Registry(client)
            people.govern()
            yield Warehouse(aws, people, folder, asked), variables
            client.recorder.close()
            client.close()
            write_once._known.clear()


@pytest.fixture
def warehouse(
    made: tuple[Warehouse, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """The warehouse, used by this process."""
    found, variables = made
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    yield found
    found.people.client.recorder.close()
