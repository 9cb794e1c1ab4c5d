"""Where one call puts or removes files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.events import Json
from chain_client.shown_uri import without_userinfo
from mlflow_chain.files.locations import PROXIED, Storage, is_path, is_proxied, join, to_location
from mlflow_chain.process import served_artifacts


def kept_location() -> str | None:
    """Where this process, a server's worker, keeps its clients' files; None if it is none."""
    kept = served_artifacts()
    return None if kept is None else absolute(kept)


def absolute(uri: str) -> str:
    """The location of a repository's root, from whichever folder the process works."""
    location = to_location(uri)
    if is_path(location) or ":" in location.partition("/")[0]:
        return location
    return str(Path(location).absolute())


@dataclass(frozen=True, slots=True)
class Place:
    """Where one call puts or removes files.

    Args:
        root: location that is the event's subject.
        below: path that the call's own folder has below it.
        folder: where on this machine's file system the call's files are kept, if they are.
        kept: where this server keeps all that it takes, if the call's files are of that.
    """

    root: str
    below: str
    folder: Path | None
    kept: str | None = None

    @classmethod
    def of(cls, repository: Any, artifact_path: str | None) -> Place:
        """The place of ``artifact_path`` in a repository.

        What a server keeps for its clients has one root for all of them: there the folder is the
        subject, so that the files of a run can be asked for.
        """
        plain = absolute(str(repository.artifact_uri))
        folder = Path(plain, artifact_path or "") if is_path(plain) else None
        kept = kept_location()
        root = Storage(() if kept is None else (kept,)).spell(plain)
        if not is_proxied(root):
            kept = None
        if root == PROXIED:
            return cls(join(PROXIED, artifact_path or ""), "", folder, kept)
        return cls(root, artifact_path or "", folder, kept)

    def path(self, name: str) -> str:
        """Path of a file of the call, below the root."""
        return f"{self.below}/{name}" if self.below else name

    def to_payload(self, **parts: Json) -> dict[str, Json]:
        """The payload of a call's event: its parts, and where a server keeps the files.

        The same location lies elsewhere if the server is started with another destination.
        """
        if self.kept is not None:
            parts["kept"] = to_note(self.kept)
            if is_path(self.kept) and not Path(self.kept).exists():
                # Else whoever looks later could not tell it from one that is not mounted.
                parts["kept_is_new"] = True
        return parts

    def to_wish(self, path: str) -> dict[str, str]:
        """What asks for one file of the call to be read back; ``path`` is below the root."""
        wanted = {"location": self.root, "path": path}
        return wanted if self.kept is None else {**wanted, "kept": to_note(self.kept)}


def to_note(destination: str) -> str:
    """A destination as it stands in events: without user name and password."""
    return without_userinfo(destination)
