"""By which names a registered model went: its events go by the name that it had then."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from chain_client.events import Event, Subject
from chain_client.traces import MODEL_VERSION, Link, Logged, LoggedEvent, Node
from mlflow_chain.tracing.said import applied, who
from mlflow_chain.verifying.registry_order import RENAMED, WORKSPACE_DELETED, name_of, new_name_of


@dataclass(frozen=True, slots=True)
class Former:
    """The name that a version's model had before.

    Args:
        node: the version by that name.
        at_us: claimed time of the renaming.
        who: who renamed it.
        evidence: the event.
    """

    node: Node
    at_us: int
    who: str | None
    evidence: LoggedEvent


class Naming:
    """The calls of one database that gave models other names; read once.

    Args:
        store: id of the database.
        logged: gives the events.
    """

    def __init__(self, store: str, logged: Logged) -> None:
        self.store = store
        self._logged = logged

    @cached_property
    def calls(self) -> list[tuple[LoggedEvent, Event]]:
        """Renamings, and deletions of workspaces whose models went to the default one."""
        models = Subject(self.store, "registered_model", "")
        workspaces = Subject(self.store, "workspace", "")
        moved = applied(workspaces, self._logged, (WORKSPACE_DELETED,), below=True)
        return [
            *applied(models, self._logged, (RENAMED,), below=True),
            *(call for call in moved if call[1].payload.get("mode") == "SET_DEFAULT"),
        ]

    def all_of(self, model: str) -> set[str]:
        """Every name that what is named so now may have had."""
        names, fresh = {model}, [model]
        while fresh:
            name = fresh.pop()
            for _, event in self.calls:
                old = self._old_name(event, name)
                if old is not None and old not in names:
                    names.add(old)
                    fresh.append(old)
        return names

    def former(self, version_id: str) -> Former | None:
        """The name before the last call that gave the model this one; None if there was none."""
        model, _, number = version_id.rpartition("/")
        latest: Former | None = None
        for found, event in self.calls:
            old = self._old_name(event, model)
            if old is not None and (latest is None or event.time_us > latest.at_us):
                node = Node(MODEL_VERSION, self.store, f"{old}/{number}")
                latest = Former(node, event.time_us, who(event), found)
        return latest

    def later(self, model: str, version_ids: Collection[str]) -> Iterator[Link]:
        """From versions to the same by the names that the model got then."""
        for found, event in self.calls:
            if event.type == RENAMED:
                new = new_name_of(event) if name_of(event) == model else None
            else:
                prefix = f"{event.subject.id}/"
                new = model.removeprefix(prefix) if model.startswith(prefix) else None
            for version_id in sorted(version_ids) if new is not None else ():
                number = version_id.rpartition("/")[2]
                later = Node(MODEL_VERSION, self.store, f"{new}/{number}")
                earlier = Node(MODEL_VERSION, self.store, version_id)
                yield Link(later, earlier, "named before", found)

    def _old_name(self, event: Event, model: str) -> str | None:
        """The name of the model that the call gave the name ``model``; None if it gave it none."""
        if event.type == RENAMED:
            return name_of(event) if new_name_of(event) == model else None
        if "/" in model:
            return None
        old = f"{event.subject.id}/{model}"
        subject = Subject(self.store, "registered_model", old)
        return old if any(one.id == old for one in self._logged.subjects(subject)) else None
