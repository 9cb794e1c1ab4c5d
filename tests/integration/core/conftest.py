"""A whole home with the toy host: recording, draining and verifying in this process."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.event_codec import decode_event
from chain_client.events import Event, Json, Subject
from chain_client.hosts import Scope, StoreBinding
from chain_client.ledger.deployment import Deployment
from chain_client.relay.service import Relay
from chain_client.verify import Evidence, Report, read_spooled, verify
from tests.faults import toy_host
from tests.faults.toy_host import STORE, ToyHost


class Site:
    """A home and the toy host's database beside it.

    Args:
        home: an existing home.
        settings: changes of its settings, by name of their variable without ``MLOPS_CHAIN_``.
    """

    def __init__(self, home: Path, **settings: object) -> None:
        self.home = home
        self.database = home.parent / "toy.db"
        self.log_file = home / "log.db"
        self.chain_file = home / "chain" / "embedded.db"
        self._settings = settings
        self._client: ChainClient | None = None

    @property
    def settings(self) -> Settings:
        environment = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
        environment |= {f"MLOPS_CHAIN_{n}": str(value) for n, value in self._settings.items()}
        return Settings.from_environment(environment, self.home.parent, home=self.home)

    @property
    def client(self) -> ChainClient:
        """Put together without a look at chain and log, as the command line does."""
        if self._client is None:
            deployment = Deployment.read(self.home / "deployment.json")
            self._client = ChainClient(self.settings, deployment)
        return self._client

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def record(self, count: int, name: str = "toy") -> None:
        """Write items through the toy host, as a source of its own."""
        toy_host.record(self.home, self.database, count, name)

    def note(self, count: int, name: str = "note", first: int = 0) -> None:
        """Record plain events, which concern no host, in the source that is open."""
        recorder = self.client.recorder
        for number in range(first, first + count):
            recorder.note("item.seen", Subject("", "item", name), {"number": number})

    def end_source(self) -> None:
        self.client.recorder.close()

    def relay(self) -> Relay:
        return self.client.relay(lambda name: ToyHost())

    def drain(self) -> None:
        relay = self.relay()
        relay.start()
        try:
            relay.drain(patience_s=20)
        finally:
            relay.close()

    def verify(self, scope: Scope | None = None, host: ToyHost | None = None) -> Report:
        client = self.client
        evidence = Evidence(
            client.deployment,
            client.ledger,
            client.log,
            lambda: read_spooled(client.folder.spool, client.log, client.deployment_id),
            client.folder.bindings(),
            lambda name: host or ToyHost(),
            cross=client.find_cross_place,
            ingester_id=client.folder.known_ingester_id(),
            patience_s=client.settings.relay_lease_s,
        )
        return verify(evidence, scope or Scope(), lambda what, done, total: None)

    def findings(self) -> list[tuple[str, str]]:
        """Kind and subject of each finding; its JSON form is the documented one."""
        report = self.verify()
        assert_documented(report.to_json())
        return [(finding.kind, finding.subject) for finding in report.findings]

    def events(self) -> list[Event]:
        return [decode_event(e.event) for e in self.client.log.entries() if e.event is not None]

    def numbers(self) -> list[Json]:
        """The numbers of the plain events, in log order."""
        return [e.payload["number"] for e in self.events() if e.type == "item.seen"]

    def sql(self, *statements: str) -> None:
        """Edit the log database behind everybody's back."""
        self.close()
        connection = sqlite3.connect(self.log_file)
        with connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()


def assert_documented(document: dict[str, Json]) -> None:
    """The JSON of a verification has exactly the documented members."""
    assert list(document) == ["ok", "checks", "findings", "explained"]
    checks, findings = document["checks"], document["findings"]
    assert isinstance(checks, list)
    assert isinstance(findings, list)
    for check in checks:
        assert isinstance(check, dict)
        assert list(check) == ["name", "ok", "detail"]
    for finding in findings:
        assert isinstance(finding, dict)
        assert list(finding) == ["kind", "subject", "expected", "actual", "detail"]
        assert finding["detail"]


@pytest.fixture
def open_site() -> Iterator[Callable[..., Site]]:
    opened: list[Site] = []

    def make(home: Path, **settings: object) -> Site:
        opened.append(Site(home, **settings))
        return opened[-1]

    yield make
    for site in opened:
        site.close()


@pytest.fixture
def site(home: Path, open_site: Callable[..., Site]) -> Site:
    """A home without entries."""
    return open_site(home)


@pytest.fixture(scope="session")
def told_home(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home of two closed sources, anchored in several heads, and the host."""
    folder = tmp_path_factory.mktemp("told")
    shutil.copytree(founded_home, folder / "home")
    told = Site(folder / "home", RELAY_MAX_BATCH=100)
    told.record(12)
    told.note(300)
    told.end_source()
    told.drain()
    assert told.findings() == []
    told.close()
    return folder


@pytest.fixture
def told(told_home: Path, tmp_path: Path, open_site: Callable[..., Site]) -> Site:
    """A copy of `told_home`."""
    folder = tmp_path / "told"
    shutil.copytree(told_home, folder)
    made = open_site(folder / "home")
    made.client.bind_store(StoreBinding(STORE, "toy", str(made.database)))
    return made
