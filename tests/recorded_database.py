"""A recorded MLflow database, and what tests ask about it."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.client import ChainClient
from chain_client.events import Event
from chain_client.hosts import Finding, Scope
from chain_client.verify import read_spooled
from mlflow_chain.host import MlflowHost


@dataclass
class Recorded:
    """A database that is recorded, and what can be asked about it."""

    client: ChainClient
    uri: str
    file: Path

    def events(self) -> list[Event]:
        """Everything recorded so far, sources included."""
        found = read_spooled(self.client.folder.spool, self.client.log).events
        return list(found.values())

    def types(self) -> list[str]:
        """The types of what was recorded after the baseline."""
        skipped = ("store.", "source.")
        return [
            event.type
            for event in self.events()
            if "baseline" not in event.type and not event.type.startswith(skipped)
        ]

    def findings(self, **scope: Any) -> list[Finding]:
        """What differs from what was recorded."""
        (binding,) = self.client.folder.bindings()
        found = MlflowHost().compare(binding, self.events(), Scope(**scope), lambda *step: None)
        return [item for item in found if isinstance(item, Finding)]

    def kinds(self, **scope: Any) -> list[str]:
        """The kinds of the findings."""
        return [finding.kind for finding in self.findings(**scope)]

    def edit(self, statement: str, *values: Any) -> int:
        """Change the database behind MLflow's back."""
        with contextlib.closing(sqlite3.connect(self.file)) as database, database:
            database.execute("pragma ignore_check_constraints = on")
            return database.execute(statement, values).rowcount
