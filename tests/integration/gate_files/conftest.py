"""Servers that keep the files of versions, and versions that are attested."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from chain_client.attestations import Attestation, find_attestation, note_attestation, recorded_in
from mlflow_chain.host import MlflowHost
from tests.integration.files import parts_repository
from tests.integration.files.conftest import Kept
from tests.mlflow_server import Site, launch

STACKS = {"fastapi": (), "flask": ("--gunicorn-opts", "--timeout 60")}

CODE = """
import pathlib

{mark}


class Model:
    def predict(self, data, params=None):
        return "{answer}"


def _load_pyfunc(path):
    return Model()
"""

MLMODEL = """
flavors:
  python_function:
    code: code
    loader_module: {module}
    python_version: 3.11.7
"""


def write_model(
    folder: Path, module: str, answer: str = "approved", *, mark: Path | None = None
) -> Path:
    """A model whose code leaves a mark when it is imported; each needs a module of its own."""
    touch = "" if mark is None else f"pathlib.Path({str(mark)!r}).touch()"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text(MLMODEL.format(module=module))
    (folder / "code" / f"{module}.py").write_text(CODE.format(answer=answer, mark=touch))
    (folder / "data.bin").write_bytes(b"d" * 100_000)
    return folder


@dataclass
class Version:
    """A version whose files are behind a server.

    Args:
        name: of its model.
        number: of the version.
        model_id: of the logged model that it is.
        folder: where the server keeps its files.
        below: path of that folder below the server's root.
    """

    name: str
    number: int
    model_id: str
    folder: Path
    below: str


@dataclass
class Keeping(Kept):
    """A server of which versions are attested."""

    def register(self, name: str, source: Path) -> Version:
        """Log a folder as a model, by a plain client, and register it."""
        client = MlflowClient(self.server.url)
        model = client.create_logged_model("0", name="net")
        client.log_model_artifacts(model.model_id, str(source))
        client.finalize_logged_model(model.model_id, "READY")
        if not any(found.name == name for found in client.search_registered_models()):
            client.create_registered_model(name)
        version = client.create_model_version(
            name, f"models:/{model.model_id}", model_id=model.model_id
        )
        below = model.artifact_location.removeprefix("mlflow-artifacts:/")
        return Version(name, int(version.version), model.model_id, self.artifacts / below, below)

    def attest(self, version: Version) -> Attestation:
        """As `mlops-chain model propose` does first."""
        self.relay()
        with self.opened() as client:
            (binding,) = client.folder.bindings()
            files = MlflowHost().attest(
                binding,
                version.name,
                version.number,
                recorded=recorded_in(client.log, binding.store_id),
            )
            note_attestation(
                client.recorder,
                binding.store_id,
                files,
                name=version.name,
                version=version.number,
            )
            client.recorder.close()
        self.relay()
        with self.opened() as client:
            found = find_attestation(client.log, binding.store_id, files.location)
        assert found is not None
        assert found.files == files
        return found


@pytest.fixture(scope="session")
def new_site(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Site]:
    """Makes an empty site; the variables are those of its processes."""

    def make(**variables: str) -> Site:
        folder = tmp_path_factory.mktemp("site")
        shutil.copytree(founded_home, folder / "home")
        return Site(folder, folder / "home", variables)

    return make


@pytest.fixture(scope="module", params=sorted(STACKS))
def keeping(request: pytest.FixtureRequest, new_site: Callable[..., Site]) -> Iterator[Keeping]:
    """A server on each stack."""
    server = launch(new_site(), *STACKS[request.param])
    yield Keeping(server)
    server.stop()


@pytest.fixture(scope="module")
def parts(
    new_site: Callable[..., Site], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Keeping]:
    """A server whose storage takes files in parts, past the server; no stream, no path."""
    from mlflow.store.artifact import artifact_repository_registry as registries

    plugin = tmp_path_factory.mktemp("plugin")
    shutil.copy(str(parts_repository.__file__), plugin / "gate_parts.py")
    info = plugin / "gate_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gate-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        textwrap.dedent(
            """\
            [mlflow.artifact_repository]
            parts = gate_parts:PartsRepository
            """
        )
    )
    site = new_site(PYTHONPATH=str(plugin), MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true")
    sys.path.insert(0, str(plugin))
    from gate_parts import PartsRepository  # type: ignore[import-not-found]

    registries._artifact_repository_registry.register("parts", PartsRepository)
    server = launch(site, "--artifacts-destination", f"parts://{site.folder}/artifacts")
    yield Keeping(server)
    server.stop()
    registries._artifact_repository_registry._registry.pop("parts")
    sys.path.remove(str(plugin))
