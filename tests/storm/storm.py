"""The storm: writers, a server, kills; then the examination."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client import ChainClient, Settings
from tests.storm import client as clients_code
from tests.storm.aftermath import Outcome, examine
from tests.storm.client import Plan
from tests.storm.killing import Killer, schedule
from tests.storm.processes import MARK, Clients, Server, end_all, relays, wait_until
from tests.storm.trace import Trace
from tests.storm.writer import Shared

DIRECT, HTTP = 4, 2
_START_S, _END_S = 300.0, 300.0
_ROWS_A_KILL, _PATIENCE_S = 20, 10.0


@dataclass(frozen=True, slots=True)
class Weather:
    """What a storm is like.

    Args:
        seed: gives all choices of the writers and the kills.
        kills: how many; the storm is over with the last of them.
        seconds: the kills are spread over this time.
    """

    seed: int
    kills: int
    seconds: float


@dataclass
class Result:
    """What a storm did, and what was found after it.

    Args:
        storm_s: from the first write to the end of the last process.
        kills: by victim.
        aimed: how many of them hit a process at a moment of its writing.
        failures: calls that MLflow refused, by error code.
    """

    weather: Weather
    outcome: Outcome
    storm_s: float
    examination_s: float
    kills: Counter[str]
    aimed: Counter[str]
    failures: Counter[str]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        outcome = self.outcome
        return {
            "ok": not outcome.findings,
            "seed": self.weather.seed,
            "kills": dict(self.kills),
            "kills_in_all": self.kills.total(),
            "kills_aimed": dict(self.aimed),
            "storm_s": round(self.storm_s, 1),
            "examination_s": round(self.examination_s, 1),
            "events": outcome.events,
            "events_per_s": round(outcome.events / self.storm_s, 1),
            "statuses": dict(outcome.statuses),
            "changes": outcome.changes,
            "rows": outcome.rows,
            "failed_calls": dict(self.failures),
            "findings": outcome.findings,
        }


class Storm:
    """One storm in a folder of its own.

    Args:
        weather: what it is like.
        folder: empty; what is left in it afterwards is for a person to look at.
        tell: called with a line about what goes on.
    """

    def __init__(self, weather: Weather, folder: Path, tell: Callable[[str], None]) -> None:
        self._weather = weather
        self._folder = folder
        self._tell = tell
        self._home = folder / "home"
        self._database = folder / "mlflow.db"
        self._environment = {
            "MLOPS_CHAIN_HOME": str(self._home),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # each call is made once
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "DO_NOT_TRACK": "true",
        }
        self._direct = f"chain+sqlite:///{self._database}"
        self._server = Server(folder, self._direct, self._environment)
        self._clients = Clients()
        self._killer = Killer(self._clients, self._server, self._database)
        self._trace = Trace(self._database)
        self._seen = 0
        self._problems: list[str] = []

    def run(self) -> Result:
        """Carry it all out; every process is ended when this returns."""
        os.environ[MARK] = secrets.token_hex(8)
        os.environ["DO_NOT_TRACK"] = "true"
        self._prepare()
        began = time.monotonic()
        try:
            self._blow()
        finally:
            self._calm_down()
        ended = time.monotonic()
        self._tell(f"calm after {ended - began:.0f} s; examining")
        outcome = examine(self._home, self._database, [self._folder / "mlruns"])
        failures, broken = failures_of(self._folder)
        self._problems += broken
        outcome.findings[:0] = self._problems
        kills = Counter({str(victim): count for victim, count in self._killer.count.items()})
        return Result(
            self._weather,
            outcome,
            ended - began,
            time.monotonic() - ended,
            kills,
            Counter({str(moment): count for moment, count in self._killer.aimed.items()}),
            failures,
        )

    def _prepare(self) -> None:
        settings = Settings.from_environment({}, self._folder, home=self._home)
        ChainClient.open(settings, create=True).close()
        create_schema(self._database)
        self._trace.begin()
        (self._folder / "files").mkdir()
        self._clients.found(self._plan(99, self._direct, None))

    def _plan(self, slot: int, uri: str, shared: Shared | None) -> Plan:
        return Plan(
            self._folder,
            uri,
            self._weather.seed,
            slot,
            0,
            shared,
            {**self._environment, "MLFLOW_TRACKING_URI": uri},
        )

    def _blow(self) -> None:
        shared = Shared(**json.loads((self._folder / "shared.json").read_text()))
        self._server.start()
        wait_until("the server answers", self._server.answers, _START_S)
        for slot in range(DIRECT):
            self._clients.start(self._plan(slot, self._direct, shared))
        for slot in range(DIRECT, DIRECT + HTTP):
            self._clients.start(self._plan(slot, self._server.url, shared))
        weather = self._weather
        self._tell(f"{DIRECT + HTTP} clients and the server are up; {weather.kills} kills begin")
        due = time.monotonic()
        mean_s = weather.seconds / weather.kills
        for number, kill in zip(range(weather.kills), schedule(weather.seed, mean_s)):
            due += kill.after_s
            time.sleep(max(0.0, due - time.monotonic()))
            self._wait_for_work()
            early = self._clients.ended_early()
            if early:
                self._problems += early
                return
            self._killer.carry_out(kill)
            if (number + 1) % 20 == 0:
                self._tell(f"{number + 1} kills, {self._seen} rows changed")

    def _wait_for_work(self) -> None:
        """On a busy machine the kills come later: what has written nothing is no victim."""
        with contextlib.suppress(TimeoutError):
            wait_until(
                "rows change", lambda: self._trace.count() >= self._seen + _ROWS_A_KILL, _PATIENCE_S
            )
        self._seen = self._trace.count()

    def _calm_down(self) -> None:
        clients_code.stop(self._folder)
        self._problems += self._clients.join(_END_S)
        self._server.stop(60)
        # Relays end when idle; what is left then is drained by `relay --once`.
        for relay in relays():
            relay.terminate()
        left = end_all(120)
        self._problems += [f"did not end: {words}" for words in left]


def failures_of(folder: Path) -> tuple[Counter[str], list[str]]:
    """Calls that MLflow refused, by error code; and what was no honest refusal, in words."""
    file = folder / "failures.jsonl"
    counted: Counter[str] = Counter()
    problems: list[str] = []
    for line in file.read_text().splitlines() if file.exists() else ():
        _, _, operation, kind, text = json.loads(line)
        counted[kind] += 1
        if (kind.startswith("!") or "not recorded" in text) and len(problems) < 5:
            problems.append(f"{operation} broke with {kind}: {text}")
    return counted, problems


def create_schema(database: Path) -> None:
    """Make MLflow's tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    store: Any = SqlAlchemyStore
    store(f"sqlite:///{database}", str(database.parent / "mlruns"))._dispose_engine()


def print_to_stderr(line: str) -> None:
    """One line of progress."""
    print(line, file=sys.stderr, flush=True)
