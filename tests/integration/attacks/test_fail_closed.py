"""Whatever the gate can't see, it refuses, on a server with several workers; the rest goes on."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pytest

from chain_client.client import ChainClient
from chain_client.clock import SystemClock
from chain_client.home import OWNER_KEY
from chain_client.ledger.embedded import EmbeddedLedger
from chain_client.registry.identity import target_id
from chain_client.signing import open_signer
from chain_client.types import Digest
from chain_client.verify import read_spooled
from tests.embedded_chains import transact
from tests.governed import ALICE, BOB
from tests.integration.attacks.board import CHAMPION, PRODUCTION, Board
from tests.integration.attacks.conftest import FINAL, Fortress, fill, make_site
from tests.mlflow_server import Site, launch, serving

pytestmark = pytest.mark.filterwarnings("ignore")

ROUNDS = 8
_numbers = itertools.count(1)


@dataclass
class Alone:
    """A server without a relay, so that nobody mends what a test looks at.

    Args:
        fort: the server.
        board: decides, in this process.
        digests: of the versions that are attested.
    """

    fort: Fortress
    board: Board
    digests: dict[int, Digest] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """Its folder."""
        return self.fort.site

    def champion(self) -> int | None:
        """The version that MLflow gives the alias."""
        query = (
            "SELECT version FROM registered_model_aliases WHERE name='fraud' AND alias='champion'"
        )
        rows = self.site.rows(query)
        return rows[0][0] if rows else None

    def current(self) -> int:
        """The version that the chain gives it."""
        client = self.board.client
        registry = client.registry
        model = registry.model_id(self.board.model)
        return client.model_registry.current(model, target_id(client.salt, CHAMPION)).version

    def promote(self, version: int) -> None:
        """On chain; MLflow is not told."""
        self.board.promote(version, self.digests[version])

    @contextmanager
    def refusing(self, *words: str, deletes: bool = True) -> Iterator[None]:
        """In the block, all that is gated is refused with these words, and all else goes on."""
        before = self.fort.stands()
        yield
        fort = self.fort
        for version in (1, 3):
            fort.refused(fort.set_alias("fraud", "champion", version), *words)
            fort.refused(fort.transition("fraud", version, "Production"), *words)
        fort.refused(fort.set_alias("toy", "champion", 1), *words)
        if deletes:
            body = {"name": "fraud", "alias": "champion"}
            path = "/api/2.0/mlflow/registered-models/alias"
            fort.refused(fort.ask("DELETE", path, body), *words)
            fort.refused(fort.transition("fraud", 1, "Archived"), *words)
        assert fort.stands() == before
        self.goes_on()

    def goes_on(self) -> None:
        """What has nothing to do with a gated target."""
        fort, client = self.fort, self.fort.client
        client.log_metric(fort.run_id, "loss", next(_numbers))
        client.log_text(fort.run_id, "notes", f"notes-{next(_numbers)}.txt")
        assert fort.set_alias("fraud", "candidate", 3).status_code == 200
        client.delete_registered_model_alias("fraud", "candidate")
        assert fort.transition("toy", 1, "Staging").status_code == 200
        client.create_registered_model(fort.names("new"))

    def recovered(self) -> None:
        """What is approved passes again, and nothing else."""
        fort = self.fort
        assert fort.set_alias("fraud", "champion", 1).status_code == 200
        assert fort.transition("fraud", 1, "Production").status_code == 200
        fort.refused(fort.set_alias("fraud", "champion", 3), "it needs 2 approvals")


@pytest.fixture(scope="module")
def alone(
    founded_home: Path, empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alone]:
    """Version 1 is champion and in Production, on chain and in MLflow."""
    folder = tmp_path_factory.mktemp("alone")
    site = make_site(founded_home, folder, empty_database)
    server = launch(site, workers=2)
    try:
        fort = Fortress(server)
        mlflow.set_tracking_uri(server.url)
        fill(fort, folder / "sources")
        with fort.opened(registry_sync=False) as client:
            board = Board(client)
            board.govern()
            found = Alone(fort, board, {version: board.attest(version) for version in (1, 2)})
            for target in (CHAMPION, PRODUCTION):
                board.promote(1, found.digests[1], target)
            assert fort.set_alias("fraud", "champion", 1).status_code == 200
            assert fort.transition("fraud", 1, "Production").status_code == 200
            yield found
    finally:
        server.stop()


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    """In the block, a file or folder is not where it belongs."""
    away = path.rename(path.with_name(path.name + "-away"))
    try:
        yield
    finally:
        away.rename(path)


def test_without_the_chain(alone: Alone) -> None:
    chain = next((alone.site.home / "chain").glob("*.db"))
    with moved_away(chain), alone.refusing("the chain does not answer", "mlops-chain doctor"):
        alone.fort.refused(
            alone.fort.ask("DELETE", "/api/2.0/mlflow/registered-models/delete", {"name": "fraud"}),
            "the chain does not answer",
        )
    alone.recovered()


def test_while_the_registry_is_paused(alone: Alone) -> None:
    client = alone.board.client
    owner = open_signer(OWNER_KEY, base=client.home)
    client.registry.pause(signer=owner)
    try:
        with alone.refusing("the registry is paused", "unpause"):
            pass
    finally:
        client.registry.unpause(signer=owner)
    alone.recovered()


def test_while_the_files_can_t_be_reached(alone: Alone) -> None:
    fort = alone.fort
    before = fort.stands()["aliases"]
    with moved_away(fort.artifacts / fort.model_below):
        for answer in (
            fort.set_alias("fraud", "champion", 1),
            fort.transition("fraud", 1, "Production"),
        ):
            fort.refused(answer, "can't be reached")
        assert fort.stands()["aliases"] == before
        alone.goes_on()
    alone.recovered()


def test_while_the_files_are_not_those_that_were_attested(alone: Alone) -> None:
    fort = alone.fort
    added = fort.artifacts / fort.model_below / "added.txt"
    added.write_text("by somebody with access to the storage")
    try:
        answer = fort.set_alias("fraud", "champion", 1)
        fort.refused(answer, "were changed since they were attested", "mlops-chain verify")
        alone.goes_on()
    finally:
        added.unlink()
    alone.recovered()


def test_while_the_salt_is_gone(alone: Alone) -> None:
    with moved_away(alone.site.home / "keys" / "registry-salt"):
        # Whoever has read it goes on; a worker that has not, refuses. Nobody lets more through.
        fort = alone.fort
        for _ in range(4):
            fort.refused(fort.set_alias("fraud", "champion", 3))
    alone.recovered()


def test_a_half_finished_promotion_is_named_and_finished(alone: Alone) -> None:
    fort = alone.fort
    before = fort.stands()
    alone.promote(2)
    assert alone.champion() == 1
    for version in (1, 3):
        answer = fort.set_alias("fraud", "champion", version)
        fort.refused(answer, "version 2 is current on chain already", "mlops-chain sync")
    path = "/api/2.0/mlflow/registered-models/alias"
    answer = fort.ask("DELETE", path, {"name": "fraud", "alias": "champion"})
    fort.refused(answer, "version 2 is current on chain already", "mlops-chain sync")
    assert fort.stands() == before
    alone.goes_on()
    assert fort.set_alias("fraud", "champion", 2).status_code == 200
    assert alone.champion() == 2
    alone.promote(1)
    alone.recovered()


def test_promotions_that_race_through_different_workers_end_as_the_chain_says(
    alone: Alone,
) -> None:
    """Each side promotes on chain, and then tells MLflow; nobody mends anything afterwards."""
    fort, client = alone.fort, alone.board.client
    won = set()
    for _ in range(ROUNDS):
        sides = {1: ALICE, 2: BOB}
        documents = {v: alone.board.propose(v, alone.digests[v]) for v in sides}
        for document in documents.values():
            alone.board.approve(document)
        alone.board.settle()
        ready = threading.Barrier(len(sides))
        answers: dict[int, list[int]] = {version: [] for version in sides}

        def promote(version: int) -> None:
            call = client.model_registry.promote_call(documents[version].fields)  # noqa: B023
            ready.wait(30)  # noqa: B023
            assert transact(client.ledger, sides[version], call).succeeded  # noqa: B023
            for _ in range(3):
                told = fort.set_alias("fraud", "champion", version).status_code
                answers[version].append(told)  # noqa: B023

        with ThreadPoolExecutor(len(sides)) as pool:
            list(pool.map(promote, sides))
        assert alone.champion() == alone.current(), answers
        assert {code for codes in answers.values() for code in codes} <= {200, *FINAL}
        assert answers[alone.current()][-1] == 200
        won.add(alone.current())
    print(f"versions that ended as champion: {won}")
    if alone.current() != 1:
        alone.promote(1)
    alone.recovered()


def test_a_gate_that_only_warns_lets_pass_and_says_so(alone: Alone) -> None:
    site = alone.site
    lenient = Site(site.folder, site.home, {**site.variables, "MLOPS_CHAIN_GATE_MODE": "warn"})
    with serving(lenient) as server:
        fort = Fortress(server, model_id=alone.fort.model_id, run_id=alone.fort.run_id)
        assert fort.set_alias("fraud", "champion", 3).status_code == 200
        assert alone.champion() == 3
        # The one that enforces lets it only go back to what is approved.
        alone.recovered()
        assert alone.champion() == 1
    events = _refused(alone.board.client)
    (passed,) = [event.payload for event in events if event.payload["would_have_blocked"]]
    assert (passed["mode"], passed["model"], passed["version"]) == ("warn", "fraud", 3)
    assert "it needs 2 approvals" in str(passed["reason"])
    assert all(
        event.payload["mode"] == "enforce" for event in events if event.payload is not passed
    )


def _refused(client: ChainClient) -> list[Any]:
    found = read_spooled(client.folder.spool, client.log).events.values()
    return [event for event in found if event.type == "promotion.refused"]


class _Ahead(SystemClock):
    """A clock that is an hour fast."""

    def time_us(self) -> int:
        return super().time_us() + 3_600_000_000


def test_when_the_newest_block_is_in_the_future(alone: Alone) -> None:
    """The last test here: a block is for ever, and an hour is too long to wait."""
    client = alone.board.client
    chain = next((alone.site.home / "chain").glob("*.db"))
    ahead = EmbeddedLedger(chain, clock=_Ahead())
    owner = open_signer(OWNER_KEY, base=client.home)
    call = client.model_registry.set_policy_call(
        Digest(b"\x07" * 32), Digest(b"\x08" * 32), _nothing()
    )
    assert transact(ahead, owner, call).succeeded
    with alone.refusing("behind the newest block", "clock"):
        pass


def _nothing() -> Any:
    from chain_client.ledger.model_registry_values import Policy

    empty = Digest(bytes(32))
    return Policy(group=empty, threshold=0, min_delay_s=0, expiry_s=0, evidence_kinds=0, revision=0)
