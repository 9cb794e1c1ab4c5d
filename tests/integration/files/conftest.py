"""Servers that keep files for their clients, and what tests ask of their homes."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.event_codec import decode_event
from chain_client.events import Event
from chain_client.hosts import Scope
from chain_client.verify.report import Report
from tests.mlflow_server import Server, Site, launch


@dataclass
class Kept:
    """A site with a server, whose home is looked at without it.

    Args:
        server: started; it may be down meanwhile.
    """

    server: Server

    @property
    def site(self) -> Site:
        """Its folder."""
        return self.server.site

    @property
    def artifacts(self) -> Path:
        """Where it keeps files."""
        return self.site.folder / "artifacts"

    @contextmanager
    def opened(self) -> Iterator[ChainClient]:
        """Its home."""
        client = ChainClient.open(Settings(home=self.site.home, relay_autostart=False))
        try:
            yield client
        finally:
            client.close()

    def relay(self) -> None:
        """As `mlops-chain relay --once`."""
        with self.opened() as client:
            service = client.relay()
            service.start()
            try:
                service.drain(patience_s=30)
            finally:
                service.close()

    def report(self, **scope: str) -> Report:
        """As `mlops-chain verify`."""
        with self.opened() as client:
            return client.verify(Scope(**scope))

    def findings(self, **scope: str) -> list[tuple[str, str]]:
        """Kind and file of each finding."""
        return sorted(
            (finding.kind, finding.subject.partition("/artifact ")[2])
            for finding in self.report(**scope).findings
        )

    def left_out(self) -> str:
        """What verification says that it could not check."""
        checks = self.report().checks
        return "; ".join(check.detail for check in checks if not check.carried_out)

    def events(self, *types: str) -> list[Event]:
        """What the log has of these types."""
        with self.opened() as client:
            found = [decode_event(e.event) for e in client.log.entries() if e.event is not None]
        return [event for event in found if event.type in types]

    def wishes(self) -> int:
        """How much waits to be read back."""
        folder = self.site.home / "read-back"
        return len(list(folder.glob("*.json"))) if folder.exists() else 0


@pytest.fixture(scope="session")
def new_site(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Site]:
    """Makes an empty site; the variables are those of its processes."""

    def make(**variables: str) -> Site:
        folder = tmp_path_factory.mktemp("site")
        shutil.copytree(founded_home, folder / "home")
        return Site(folder, folder / "home", variables)

    return make


@pytest.fixture(scope="session")
def parts_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import from, in which a distribution offers the scheme ``parts``."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copy(Path(__file__).with_name("parts_repository.py"), folder / "parts_repository.py")
    info = folder / "parts_repository-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parts-repository\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        textwrap.dedent(
            """\
            [mlflow.artifact_repository]
            parts = parts_repository:PartsRepository
            """
        )
    )
    return folder


@pytest.fixture(scope="module")
def parts_server(new_site: Callable[..., Site], parts_plugin: Path) -> Iterator[Kept]:
    """A server whose storage takes files in parts, past the server; no stream, no path."""
    from mlflow.store.artifact import artifact_repository_registry as registries

    site = new_site(PYTHONPATH=str(parts_plugin), MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true")
    sys.path.insert(0, str(parts_plugin))
    from parts_repository import PartsRepository  # type: ignore[import-not-found]

    registries._artifact_repository_registry.register("parts", PartsRepository)
    server = launch(site, "--artifacts-destination", f"parts://{site.folder}/artifacts", workers=1)
    yield Kept(server)
    server.stop()
    registries._artifact_repository_registry._registry.pop("parts")
    sys.path.remove(str(parts_plugin))
