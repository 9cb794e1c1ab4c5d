"""Files that can't be called wrong yet: somebody has still to read them, or could not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlflow_chain.files.locations import Storage, is_proxied, join, to_location
from mlflow_chain.verifying.state import State

_GOING_ON = frozenset({"RUNNING", "SCHEDULED", "PENDING"})
"""States of a run, and of a logged model, in which its files are still written."""

_WAITING = "they wait to be read back; run `mlops-chain relay --once`, and verify again"
_WRITTEN = (
    "the server's clients write them into the storage themselves, and are not done; they are read "
    "back when the run has ended"
)


class FileDoubts:
    """Says why a file that differs from the record, or is in none, is no finding.

    Args:
        state: what was recorded.
        storage: where the files are kept.
        waiting: what waits for a read-back; see `mlflow_chain.files.read_back`.
    """

    def __init__(
        self, state: State, storage: Storage, waiting: Iterable[Mapping[str, str]]
    ) -> None:
        self._state = state
        self._storage = storage
        self._owners: set[str] = set()
        self._locations: set[str] = set()
        self._single: set[str] = set()
        for wanted in waiting:
            if "run" in wanted:
                self._owners.add(f"run {wanted['run']}")
            if "logged_model" in wanted:
                self._owners.add(f"logged model {wanted['logged_model']}")
            if "location" in wanted:
                location = join(wanted["location"], wanted.get("path", ""))
                self._single.add(storage.spell(location))
            if "source" in wanted:
                self._locations.add(storage.spell(to_location(wanted["source"])))
        self._unread = {storage.spell(known) for known in state.unverified}
        self._read_back = {storage.spell(known) for known in state.read_back}

    def is_wanted(self, owner: str, location: str) -> bool:
        """Whether a file waits to be read back."""
        if owner in self._owners and not is_proxied(location):
            return True
        if location in self._single:
            return True
        folder = location
        while folder and self._locations:
            if folder in self._locations:
                return True
            shorter = folder.rpartition("/")[0]
            folder = shorter if shorter != folder else ""
        return False

    def of_undigested(self, owner: str, location: str) -> str | None:
        """Why nobody knows the digest of a file that was recorded."""
        return self._of_waiting(owner, location)

    def of_unrecorded(self, owner: str, location: str) -> str | None:
        """Why a file is in no record."""
        return self._of_waiting(owner, location) or self._of_written(owner, location)

    def of_changed(self, owner: str, location: str) -> str | None:
        """Why a file is not the one that was recorded; what passed us stays what it was."""
        if location in self._single:
            return _WAITING
        if location not in self._read_back:
            return None
        return _WAITING if self.is_wanted(owner, location) else self._of_written(owner, location)

    def _of_waiting(self, owner: str, location: str) -> str | None:
        folder = location
        while folder and self._unread:
            if folder in self._unread:
                return f"they could not be read back ({self._reason(folder)})"
            shorter = folder.rpartition("/")[0]
            folder = shorter if shorter != folder else ""
        return _WAITING if self.is_wanted(owner, location) else None

    def _reason(self, spelled: str) -> str:
        for location, reason in self._state.unverified.items():
            if self._storage.spell(location) == spelled:
                return reason
        return "unknown"

    def _of_written(self, owner: str, location: str) -> str | None:
        if not self._storage.served or is_proxied(location):
            return None
        kind, _, entity = owner.rpartition(" ")
        states: list[object] = []
        if kind == "run" and entity in self._state.runs:
            states = self._state.runs[entity].fields["status"].values()
        elif kind == "logged model" and entity in self._state.logged_models:
            states = self._state.logged_models[entity].fields["status"].values()
        return _WRITTEN if _GOING_ON.intersection(map(str, states)) else None
