"""Versions whose files lie in no run and no logged model that is compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from chain_client.hosts import Remark, Unchecked
from mlflow_chain.reading.entities import VersionView
from mlflow_chain.reading.reader import Unreadable
from mlflow_chain.verifying.state import State
from mlflow_chain.verifying.version_sources import LOCATION, VersionSources, is_prompt


class VersionsElsewhere:
    """Finds where their files are to be compared, and names those of which nobody knows.

    Args:
        state: what was recorded.
        sources: whose files a version has.
        add_root: takes a location, whose it is, and whether that is older than adoption.
    """

    def __init__(
        self, state: State, sources: VersionSources, add_root: Callable[[str, str, bool], None]
    ) -> None:
        self._state = state
        self._sources = sources
        self._add_root = add_root

    def find(
        self, versions: Iterable[tuple[str, VersionView]], owners: Collection[str]
    ) -> Iterator[Unchecked | Remark]:
        """What is left out; of the baseline it is counted, since nobody could have recorded it.

        Args:
            versions: each with the name of its model.
            owners: the runs and logged models whose files are compared.
        """
        older = 0
        for name, version in versions:
            if is_prompt(version):
                continue
            try:
                owner = self._sources.find(version, name)
            except Unreadable:
                owner = None
            subject = f"model {name}/version {version.version}"
            before = self._is_before(name, version)
            if owner is not None and owner.kind == LOCATION:
                self._add_root(owner.id, subject, before)
            elif owner is not None and f"{owner.kind} {owner.id}" in owners:
                continue
            elif before:
                older += 1
            else:
                reason = f"nobody recorded the files at its source {version.fields['source']}"
                yield Unchecked(subject, reason)
        if older:
            yield Remark(
                "files of 1 version" if older == 1 else f"files of {older} versions",
                "registered before the adoption; nobody recorded what is at the source, so it was "
                "not compared",
            )

    def _is_before(self, name: str, version: VersionView) -> bool:
        """Whether the baseline holds the version, with the source that it has."""
        model = self._state.models.get(name)
        known = None if model is None else model.versions.get(version.version)
        if known is None or not known.before:
            return False
        return known.fields["source"].allows(version.fields["source"])
