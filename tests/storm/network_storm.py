"""``python -m tests.storm.network_storm``: kills, pauses, faults and reorgs together, on a network.

An MLflow server and a host that writes directly feed one log on Postgres through two relays; the
chain is a real node behind faulty ones. When the faults end, the relays have to bring everything
to its end by themselves; then nothing may be wrong. Exit code 0: nothing is.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from chain_client import ChainClient, Settings
from chain_client.home import Home
from chain_client.log import EntryStatus
from tests.storm import client as clients_code
from tests.storm.aftermath import Outcome, examine
from tests.storm.chain_aftermath import examine_chain
from tests.storm.chain_weather import ChainWeather
from tests.storm.client import Plan
from tests.storm.harm import Harm
from tests.storm.network import Network, running_network
from tests.storm.processes import MARK, Clients, Server, end_all, wait_until
from tests.storm.pulse import Pulse
from tests.storm.services import RelayService, RelayServices
from tests.storm.storm import create_schema, failures_of, print_to_stderr
from tests.storm.trace import Trace
from tests.storm.writer import Shared

HTTP, DIRECT = 2, 1
WORKERS = 4
_START_S, _END_S, _DRAIN_S = 300.0, 300.0, 300.0
_WAITED = 3.0
"""Calls within an outage may take so many times as long as the others, at p50, on a busy machine:
one that waited for the chain would take a hundred times as long."""
_CALLS = 20


@dataclass
class Report:
    """What a storm on a network did and found."""

    seed: int
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "ok": not self.findings,
            "seed": self.seed,
            "seconds": self.seconds,
            **self.figures,
            "findings": self.findings,
        }


class NetworkStorm:
    """One storm in a folder of its own.

    Args:
        seed: gives all choices.
        seconds: how long it blows.
        folder: empty; what is left in it afterwards is for a person to look at.
        tell: called with a line about what goes on.
    """

    def __init__(
        self, seed: int, seconds: float, folder: Path, tell: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._tell = tell
        self._database = folder / "mlflow.db"
        self._direct = f"chain+sqlite:///{self._database}"
        self._report = Report(seed, seconds)
        self._pulses: dict[str, list[int]] = {}

    def run(self) -> Report:
        """Carry it all out; every process is ended when this returns."""
        os.environ["DO_NOT_TRACK"] = "true"
        threading.excepthook = self._note_broken_thread
        with running_network(self._folder, self._report.seed) as network:
            os.environ[MARK] = secrets.token_hex(8)
            self._tell("the deployment stands")
            self._blow(network)
            self._tell("calm; examining")
            began = time.monotonic()
            outcome = self._examine(network)
            self._report.findings += outcome.findings
            self._report.figures |= {
                "examination_s": round(time.monotonic() - began, 1),
                "events": outcome.events,
                "statuses": dict(outcome.statuses),
                "changes": outcome.changes,
                "rows": outcome.rows,
            }
        return self._report

    def _note_broken_thread(self, args: threading.ExceptHookArgs) -> None:
        """A thread of the storm itself ended by an error: what it did was not done to the end."""
        lines = traceback.format_exception(args.exc_value) if args.exc_value else ["no error"]
        self._report.findings.append(f"thread {args.thread}: {''.join(lines)[-1500:]}")

    def _blow(self, network: Network) -> None:
        seed = self._report.seed
        server = Server(self._folder, self._direct, self._environment(network, 0), WORKERS)
        clients = Clients()
        weather = ChainWeather(network, seed, self._tell)
        services = RelayServices(
            [
                RelayService(name, network.environment(host), self._folder / f"relay-{name}.out")
                for host, name in enumerate("ab")
            ],
            self._tell,
        )
        pulse = Pulse(server.url)
        harm = Harm(seed, clients, server, services, lambda: len(pulse.acknowledged))
        try:
            self._begin(network, server, clients)
            services.start()
            pulse.start()
            weather.start()
            self._tell("clients, server and relays are up; it begins")
            harm.go_on_for(self._report.seconds, clients.ended_early)
        finally:
            harm.end()
            pulse.stop()
            clients_code.stop(self._folder)
            problems = clients.join(_END_S)
            server.stop(60)
            weather.clear()
            self._tell("the faults have ended; the relays drain")
            try:
                drained_s = self._drained_s(network)
            finally:
                services.stop(60)
                left = end_all(60)
        self._report.findings += [
            *harm.problems,
            *problems,
            *weather.problems,
            *services.problems,
            *(f"could not be injected: {one}" for n in network.nodes for one in n.journal.failures),
            *(f"did not end: {words}" for words in left),
        ]
        self._report.figures |= {
            "harm": dict(harm.count),
            "relays": services.count,
            "weather": dict(weather.count),
            "injected": dict(weather.injected()),
            "drain_s": drained_s,
            "failed_calls": self._failures(),
        }
        self._pulses[pulse.run_id] = pulse.acknowledged
        self._compare_latency(pulse, weather)

    def _begin(self, network: Network, server: Server, clients: Clients) -> None:
        create_schema(self._database)
        Trace(self._database).begin()
        (self._folder / "files").mkdir()
        clients.found(self._plan(network, 99, 1, self._direct, None))
        shared = Shared(**json.loads((self._folder / "shared.json").read_text()))
        server.start()
        wait_until("the server answers", server.answers, _START_S)
        for slot in range(DIRECT):
            clients.start(self._plan(network, slot, 1, self._direct, shared))
        for slot in range(DIRECT, DIRECT + HTTP):
            clients.start(self._plan(network, slot, 0, server.url, shared))

    def _environment(self, network: Network, host: int) -> dict[str, str]:
        return {
            **network.environment(host),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # each call is made once
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }

    def _plan(
        self, network: Network, slot: int, host: int, uri: str, shared: Shared | None
    ) -> Plan:
        environment = self._environment(network, host) | {"MLFLOW_TRACKING_URI": uri}
        return Plan(self._folder, uri, self._report.seed, slot, 0, shared, environment)

    def _drained_s(self, network: Network) -> float | None:
        """Seconds until the relays, as they are, have brought everything to its end."""
        began = time.monotonic()
        with opened(network.homes[0]) as client:

            def is_done() -> bool:
                final = client.log.latest_head(EntryStatus.FINALIZED)
                spools = [Home(home).spool for home in network.homes]
                waiting = [p for s in spools for p in s.glob("*/*") if p.suffix == ".spool"]
                return not waiting and (final.size if final else 0) == client.log.size()

            try:
                wait_until("everything is final", is_done, _DRAIN_S)
            except TimeoutError as exc:
                alarms = [(a.kind, a.subject, a.detail) for a in client.log.alarms()]
                self._report.findings.append(f"{exc}; alarms: {alarms}")
                return None
        return round(time.monotonic() - began, 1)

    def _examine(self, network: Network) -> Outcome:
        first, *others = network.homes
        outcome = examine(first, self._database, [self._folder / "mlruns"], others)
        with opened(first) as client:
            outcome.findings += examine_chain(client, network.anvil, self._pulses)
        return outcome

    def _compare_latency(self, pulse: Pulse, weather: ChainWeather) -> None:
        without, within = pulse.parted(weather.outages)
        figures: dict[str, Any] = {
            "outages_s": round(sum(end - start for start, end in weather.outages), 1),
            "calls_without_outage": len(without),
            "calls_within_outage": len(within),
            "calls_refused": dict(pulse.refused),
        }
        if len(without) >= _CALLS and len(within) >= _CALLS:
            for name, part in (("p50", 0.5), ("p90", 0.9)):
                pair = [seconds[int(len(seconds) * part)] for seconds in (without, within)]
                figures[f"{name}_ms"] = [round(seconds * 1e3, 1) for seconds in pair]
                figures[f"{name}_ratio"] = round(pair[1] / pair[0], 2)
            if median(within) > _WAITED * median(without):
                self._report.findings.append(f"calls waited for the chain: {figures}")
        self._report.figures["latency"] = figures

    def _failures(self) -> dict[str, int]:
        counted: Counter[str]
        counted, problems = failures_of(self._folder)
        self._report.findings += problems
        return dict(counted)


@contextmanager
def opened(home: Path) -> Iterator[ChainClient]:
    """A home as its own file says: past all faults."""
    client = ChainClient.open(Settings.from_environment({}, home.parent, home=home))
    try:
        yield client
    finally:
        client.close()


def main() -> int:
    """Carry out one storm and report."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.storm.network_storm", description=__doc__
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--work", type=Path, help="folder in which the storm's own one is made")
    parser.add_argument("--keep", action="store_true", help="keep the folder also if all is well")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="network-storm-", dir=given.work))
    print_to_stderr(f"network storm: seed {given.seed}, {given.seconds:.0f} s")
    document = NetworkStorm(given.seed, given.seconds, folder, print_to_stderr).run().to_json()
    if document["ok"] and not given.keep:
        shutil.rmtree(folder)
    else:
        document["folder"] = str(folder)
    print(json.dumps(document, indent=2))
    repeat = f"--seed {given.seed} --seconds {given.seconds:.0f}"
    print_to_stderr(f"the same again: python -m tests.storm.network_storm {repeat}")
    return 0 if document["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
