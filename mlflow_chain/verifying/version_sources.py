"""Where the files of a registered version are: in which run or logged model."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from mlflow_chain.files.locations import Storage, to_location, upwards
from mlflow_chain.mapping.workspaces import to_key
from mlflow_chain.reading.entities import VersionView
from mlflow_chain.reading.reader import Reader
from mlflow_chain.verifying.state import State

_MODEL, _RUN = "models:/", "runs:/"

LOCATION = "location"
"""Kind of an owner that is a place outside every run and logged model, with recorded files."""

_PROMPT_TAG = "mlflow.prompt.is_prompt"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose files they are.

    Args:
        kind: ``run``, ``logged model`` or `LOCATION`.
        id: which.
    """

    kind: str
    id: str


class VersionSources:
    """Finds the owners of versions' files.

    Args:
        state: what was recorded; its roots count, not those that the database shows.
        reader: the database, to follow one version to another.
        storage: where the files are kept.
    """

    def __init__(self, state: State, reader: Reader, storage: Storage) -> None:
        self._reader = reader
        self._storage = storage
        self._files = sorted(storage.spell(location) for location in state.files)
        self._owners: dict[str, Owner] = {}
        for run_id, run in state.runs.items():
            self._add(run.fields["artifact_uri"].values(), Owner("run", run_id))
        for model_id, model in state.logged_models.items():
            roots = model.fields["artifact_location"].values()
            self._add(roots, Owner("logged model", model_id))

    def find(self, version: VersionView, model: str = "") -> Owner | None:
        """Whose files a version has; None if nobody's that we know.

        Args:
            version: which.
            model: the name of its model, as `mapping.workspaces.to_key`; models that its source
                names are in the same workspace.

        Raises:
            Unreadable: MLflow can't show a version that lies between.
        """
        source = _source(version)
        seen: set[str] = set()
        workspace = model.rpartition("/")[0]
        while source.startswith(_MODEL):
            if source in seen:
                return None
            seen.add(source)
            name, _, rest = source.removeprefix(_MODEL).strip("/").partition("/")
            model = to_key(workspace, name.partition("@")[0])
            number = rest if rest.isdecimal() else self._aliased(model, name)
            if number is None:
                return Owner("logged model", name) if name.startswith("m-") else None
            copied = self._reader.find_version(model, int(number))
            if copied is None:
                return None
            source = _source(copied)
        if "://" in source and ".." in source.split("/"):
            return None
        if source.startswith(_RUN):
            return Owner("run", source.removeprefix(_RUN).strip("/").partition("/")[0])
        location = self._storage.spell(to_location(source))
        for folder in upwards(location):
            if folder in self._owners:
                return self._owners[folder]
        return Owner(LOCATION, location) if self._is_recorded(location) else None

    def _is_recorded(self, location: str) -> bool:
        """Whether files below it were recorded, such as by a read-back."""
        below = location + "/"
        place = bisect_left(self._files, below)
        return place < len(self._files) and self._files[place].startswith(below)

    def _aliased(self, model: str, name: str) -> int | None:
        _, at, alias = name.partition("@")
        view = self._reader.find_registered_model(model) if at else None
        return None if view is None else view.aliases.get(alias)

    def _add(self, roots: Iterable[object], owner: Owner) -> None:
        for root in roots:
            if isinstance(root, str) and root:
                self._owners[self._storage.spell(to_location(root))] = owner


def is_prompt(version: VersionView) -> bool:
    """Whether a version is a text in its tags, without files."""
    return (version.tags.get(_PROMPT_TAG) or "").lower() == "true"


def _source(version: VersionView) -> str:
    return str(version.fields["source"] or version.fields["storage_location"] or "")
