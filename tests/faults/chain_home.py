"""A home on a real node, founded once; each test works on a copy of both.

The chain goes back to where it was founded by a snapshot of the node, the home by a copy of its
folder.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chain_client import ChainClient, Settings
from chain_client.errors import ChainError, TransactionFailed, Unavailable
from chain_client.events import Subject
from chain_client.gate.sealed_file import Seal
from chain_client.home import OWNER_KEY, WRITER_KEY, Home
from chain_client.hosts import StoreBinding
from chain_client.ledger import event_log, open_ledger
from chain_client.ledger.deployment import deploy
from chain_client.ledger.registry_deployment import deploy_registry
from chain_client.log import Log
from chain_client.registry.identity import create_salt
from chain_client.relay.service import Relay
from chain_client.signing import create_keystore, open_signer
from chain_client.transactions import TransactionQueue, key_lease_name
from chain_client.types import Address, EventId
from tests.embedded_chains import KeyInMemory
from tests.faults.toy_host import STORE, Toy, ToyHost
from tests.running_nodes import RunningNode, running_anvil

PATIENCE_S = 25
"""What is not done by then is not done."""

_MORE_THAN_FINAL = 66
"""Blocks on top of one until a later one is final, whatever the slots of an epoch here."""


class Miner:
    """Makes a block every so often, until it is told to pause.

    Args:
        anvil: mines when it is told to.
        every_s: between two blocks.
    """

    def __init__(self, anvil: RunningNode, every_s: float = 0.1) -> None:
        self._anvil = anvil
        self._every_s = every_s
        self._end = threading.Event()
        self._mining = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="miner")
        self._thread.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No block of its own comes meanwhile."""
        with self._mining:
            yield

    def end(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._every_s):
            with self._mining:
                self._anvil.rpc("evm_mine")


@dataclass
class FoundedHome:
    """A home on a node, as it was when nothing had happened yet."""

    anvil: RunningNode
    miner: Miner
    folder: Path
    _snapshot: str = ""

    def keep(self) -> None:
        """Remember the chain as it is now."""
        self._snapshot = self.anvil.rpc("evm_snapshot")

    def copy(self, folder: Path) -> World:
        """The home and its chain as they were founded."""
        with self.miner.paused():
            assert self.anvil.rpc("evm_revert", self._snapshot) is True
            self.keep()
            self.anvil.mine(5)  # a reorg to before a snapshot takes the snapshot with it
        shutil.copytree(self.folder, folder / "home")
        return World(self.anvil, self.miner, folder / "home", folder / "toy.db")


@contextmanager
def founded_home(folder: Path, *options: str, every_s: float = 0.1) -> Iterator[FoundedHome]:
    """Found a home on an anvil of its own."""
    # By default anvil keeps the states of 500 blocks: a reorg to an older one empties the chain.
    with running_anvil("--no-mining", "--prune-history", "100000", *options) as anvil:
        anvil.mine(3)
        miner = Miner(anvil, every_s)
        try:
            found = FoundedHome(anvil, miner, folder / "home")
            found_home_on(anvil, found.folder)
            with miner.paused():
                found.keep()
            yield found
        finally:
            miner.end()


def settings_of(home: Path, *urls: str, **more: object) -> Settings:
    """Settings of a home on some endpoints, with a relay that does not wait."""
    environment = {
        "MLOPS_CHAIN_LEDGER_URL": ",".join(urls),
        "MLOPS_CHAIN_LEDGER_TIMEOUT_S": "3",
        "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
        "MLOPS_CHAIN_RELAY_MAX_BATCH": "6",
        "MLOPS_CHAIN_RELAY_MAX_WAIT_RPC_S": "0.05",
        "MLOPS_CHAIN_RELAY_IDLE_S": "0.01",
        "MLOPS_CHAIN_REGISTRY_SYNC": "false",
        "MLOPS_CHAIN_TRANSACTIONS_BUMP_AFTER_S": "2",
    }
    environment |= {f"MLOPS_CHAIN_{name.upper()}": str(value) for name, value in more.items()}
    return Settings.from_environment(environment, home.parent, home=home)


def found_home_on(anvil: RunningNode, folder: Path) -> None:
    """Bring contracts to a node, and make a home of them."""
    settings = settings_of(folder, anvil.url)
    home = Home(settings.home)
    home.create_folders()
    uris = (OWNER_KEY, WRITER_KEY, settings.registry_registrar, settings.registry_submitter)
    owner, writer, registrar, submitter = (
        create_keystore(home.path / uri.removeprefix("keystore:")) for uri in uris
    )
    anvil.fund(owner, writer, registrar, submitter)
    anvil.mine(_MORE_THAN_FINAL)  # see fund()
    log = Log(settings.resolve_url(settings.log_url))
    log.create()
    ledger = open_ledger(settings)
    lease = log.acquire_lease(key_lease_name(owner), "test", 60)
    queue = TransactionQueue(
        log.engine,
        ledger,
        open_signer(OWNER_KEY, base=home.path),
        lease=lambda: lease,
        chain_id=ledger.chain_id(),
        explain=event_log.explain,
    )
    deploy(
        home.deployment_file,
        ledger=ledger,
        ledger_url=settings.ledger_url,
        queue=queue,
        writer=writer,
        complete=lambda made: deploy_registry(
            made,
            ledger=ledger,
            queue=queue,
            salt_hash=create_salt(home.registry_salt).hash(),
            registrar=registrar,
        ),
    )
    Seal(home.gate_seal).provide()
    log.release(lease)
    ledger.close()
    log.close()


@dataclass
class World:
    """A home, its host and its chain, and what was promised to the host.

    Args:
        anvil: the real node.
        miner: makes its blocks.
        home: the home's folder.
        database: the host's.
    """

    anvil: RunningNode
    miner: Miner
    home: Path
    database: Path
    acknowledged: list[EventId] = field(default_factory=list)
    approvers: list[Address] = field(default_factory=list)

    @contextmanager
    def opened(self, *urls: str, **more: object) -> Iterator[ChainClient]:
        """The home on some endpoints; by default on the real node."""
        settings = settings_of(self.home, *(urls or (self.anvil.url,)), **more)
        client = ChainClient.open(settings)
        try:
            yield client
        finally:
            client.recorder.close()
            client.close()

    def record(self, client: ChainClient, count: int = 5) -> None:
        """Let the host write, and remember what it was promised."""
        client.bind_store(StoreBinding(STORE, "toy", str(self.database)))
        toy = Toy(self.database)
        for _ in range(count):
            number = len(self.acknowledged)
            key, value = f"key-{number % 4}", str(number)
            subject = Subject(STORE, "item", key)
            intent = client.recorder.begin("item.put", subject, {"value": value}, required=True)
            toy.put(intent.event_id, key, value)
            client.recorder.done(intent, subject_id=key)
            self.acknowledged.append(intent.event_id)
        toy.close()

    def relay(self, client: ChainClient, *, patience_s: float = PATIENCE_S) -> None:
        """A relay works until nothing is left to do, as the service does."""
        client.recorder.close()  # a source that is open could still get more
        relay = client.relay(lambda name: ToyHost())
        relay.start()
        late = threading.Timer(patience_s, relay.stop)
        late.start()
        try:
            relay.run(until_idle=True)
            assert late.is_alive(), f"not idle after {patience_s} s: {_waiting(client, relay)}"
        finally:
            late.cancel()
            late.join()
            relay.close()

    @contextmanager
    def relaying(self, client: ChainClient) -> Iterator[Relay]:
        """A relay works in a thread, until the block ends; what ended it is raised."""
        client.recorder.close()
        relay = client.relay(lambda name: ToyHost())
        relay.start()
        raised: list[BaseException] = []

        def work() -> None:
            try:
                relay.run(until_idle=False)
            except BaseException as exc:
                raised.append(exc)

        thread = threading.Thread(target=work, name="relay")
        thread.start()
        try:
            yield relay
        finally:
            relay.stop()
            thread.join()
            relay.close()
        if raised:
            raise raised[0]

    def appoint(self, client: ChainClient, *, patience_s: float = PATIENCE_S) -> Address:
        """Seat one more approver, as a person does who repeats a command that failed."""
        account = KeyInMemory(1000 + len(self.approvers)).address()

        def seat() -> bool:
            client.registry.add_approver("risk", account)
            return True

        retried(seat, patience_s=patience_s)
        self.approvers.append(account)
        return account


def retried(work: Callable[[], bool], *, patience_s: float = PATIENCE_S) -> None:
    """Do something until it succeeds, as long as it fails only for now."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            if work():
                return
            failure: ChainError | None = None
        except (Unavailable, TransactionFailed) as exc:
            failure = exc
        if time.monotonic() > deadline:
            raise AssertionError(f"still refused after {patience_s} s") from failure
        time.sleep(0.05)


def until(condition: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Wait for something that has to happen."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not after {patience_s} s: {what}"
        time.sleep(0.02)


def _waiting(client: ChainClient, relay: Relay) -> str:
    alarms: Sequence[object] = client.log.alarms()
    return f"{client.log.size()} entries in the log; alarms: {alarms}"
