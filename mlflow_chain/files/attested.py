"""Which files are attested, as the log says: asked before each write.

Where the log can't be asked, the files of every registered version count as attested, as MLflow's
database names them: no write slips through, and what is not registered goes on.
"""

from __future__ import annotations

import logging
import posixpath
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.attestations import KIND, find_attestation
from chain_client.client import ChainClient
from chain_client.errors import ChainError, HostUnavailable
from chain_client.events import Subject
from chain_client.hosts import StoreBinding
from mlflow_chain.files.bindings import bindings_of
from mlflow_chain.files.canonical import canonical, local_path
from mlflow_chain.files.locations import Storage, in_workspace, is_path, to_location, upwards
from mlflow_chain.files.places import kept_location
from mlflow_chain.mapping.workspaces import to_bare
from mlflow_chain.reading.connecting import engine_of
from mlflow_chain.reading.server_uri import is_server_uri

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Locations:
    """Attested locations of one store, to be asked for what lies above and below.

    Args:
        folded: each without regard to case, forms of Unicode and idle slashes, in order.
        names: the locations, by that.
        size: of the log when it was asked.
    """

    folded: list[str]
    names: dict[str, list[str]]
    size: int = -1

    @classmethod
    def of(cls, locations: Iterable[str], size: int = -1) -> Locations:
        """An index of locations."""
        names: dict[str, list[str]] = {}
        for location in locations:
            names.setdefault(_fold(location), []).append(location)
        return cls(sorted(names), names, size)

    def around(self, target: str) -> Iterator[tuple[str, str]]:
        """Each location that is the target or above it, with the part of the target that it is."""
        for folder in upwards(target):
            for location in self.names.get(_fold(folder), ()):
                yield location, folder

    def below(self, target: str) -> Iterator[tuple[str, str]]:
        """Each location below the target, with the part of it that is the target."""
        prefix = _fold(target).rstrip("/") + "/"
        place = bisect_left(self.folded, prefix)
        while place < len(self.folded) and self.folded[place].startswith(prefix):
            for location in self.names[self.folded[place]]:
                yield location, _cut(location, target)
            place += 1


class Attested:
    """What is attested of the files of one store.

    Args:
        client: the home.
        store_id: the store.
        is_own: whether this process, if it is a server's worker, keeps files for that store.
    """

    def __init__(self, client: ChainClient, store_id: str, *, is_own: bool = True) -> None:
        self._client = client
        self._store_id = store_id
        self._is_own = is_own
        self._known = Locations([], {})

    def find_inside(self, target: str, size: int | None = None) -> str | None:
        """The attested location that a target is, or lies in; None if there is none.

        Args:
            target: a location, in any spelling.
            size: of the log; None: it is asked.
        """
        locations = self._locations(size)
        if not locations.names:
            return None
        for spelling in self._spellings(target):
            for location, folder in locations.around(spelling):
                if self._is_same(location, folder):
                    return location
        return None

    def find_below(self, target: str, size: int | None = None) -> str | None:
        """An attested location that lies below a target, as `find_inside`; None if none does."""
        locations = self._locations(size)
        if not locations.names:
            return None
        for spelling in self._spellings(target):
            for location, above in locations.below(spelling):
                if self._is_same(above, spelling):
                    return location
        return None

    def _spellings(self, target: str) -> tuple[str, ...]:
        """The place that a target names, and the one that it leads to if it is a symbolic link."""
        folder, _, name = target.rstrip("/").rpartition("/")
        storage = self.storage
        ends = canonical(target, storage)
        if not folder or not name or name in (".", ".."):
            return (ends,)
        named = posixpath.join(canonical(folder, storage), name)
        return (named,) if named == ends else (named, ends)

    def name_of(self, location: str) -> str:
        """What people call the files of an attested location."""
        try:
            found = find_attestation(self._client.log, self._store_id, location)
        except ChainError:
            found = None
        if found is None:
            return "a registered version"
        return f"version {found.version} of model {found.name!r}"

    @property
    def storage(self) -> Storage:
        """Where the store's files are kept, as far as the home and this process know it now."""
        binding = self._binding()
        known = () if binding is None else binding.artifacts
        kept = kept_location()
        if kept is None or not (self._is_own or kept in known):
            return Storage(known)
        return Storage((*(d for d in known if d != kept), kept))

    def _binding(self) -> StoreBinding | None:
        found = (b for b in bindings_of(self._client) if b.store_id == self._store_id)
        return next(found, None)

    def _locations(self, size: int | None) -> Locations:
        try:
            log = self._client.log
            if size is None:
                size = log.size()
            known = self._known
            if known.size != size:
                prefix = Subject(self._store_id, KIND, "").to_key()
                keys = log.subject_keys(prefix)
                known = Locations.of((key.removeprefix(prefix) for key in keys), size)
                self._known = known
            return known
        except ChainError as exc:
            if not self._is_gate_used():
                return self._known
            _logger.warning(
                "the log does not say which files are attested (%s); until it does, the files of "
                "every registered version are write-once",
                exc,
            )
            return Locations.of(self._registered())

    def _is_gate_used(self) -> bool:
        if self._client.settings.gate_mode in ("enforce", "warn") or self._known.names:
            return True
        return self._client.gate.gates_anything() is not False

    def _registered(self) -> Iterator[str]:
        """Where the files of all registered versions lie.

        Raises:
            HostUnavailable: MLflow's database does not say.
        """
        from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
        from sqlalchemy import make_url, select
        from sqlalchemy.exc import SQLAlchemyError

        binding = self._binding()
        if binding is None:
            raise HostUnavailable("neither the log nor MLflow's database says what is registered")
        if is_server_uri(binding.uri):
            # Its server refuses by itself; here is what was known of it last.
            yield from (name for names in self._known.names.values() for name in names)
            return
        columns: list[Any] = [SqlModelVersion.storage_location, SqlModelVersion.source]
        if hasattr(SqlModelVersion, "workspace"):
            columns.append(SqlModelVersion.workspace)
        rows: Any = select(*columns).distinct()
        try:
            with engine_of(make_url(binding.uri)).connect() as connection:
                found = connection.execute(rows).all()
        except SQLAlchemyError as exc:
            raise HostUnavailable(
                f"neither the log nor MLflow's database answers ({type(exc).__name__})"
            ) from exc
        for place, source, *workspace in found:
            if place or source:
                named = to_location(str(place or source))
                scoped = in_workspace(named, to_bare(*workspace)) if workspace else named
                yield canonical(scoped or named, self.storage)

    def _is_same(self, first: str, second: str) -> bool:
        """Whether two locations of one folded spelling are one place, as far as anybody knows.

        A file system says so; what other storages take for one place, and MLflow's ways to them,
        is not known here.
        """
        if first == second:
            return True
        paths = local_path(first, self.storage), local_path(second, self.storage)
        if paths[0] is None or paths[1] is None:
            return True
        try:
            return Path(paths[0]).samefile(paths[1])
        except OSError:
            return False


def _fold(location: str) -> str:
    """The one spelling of all those that may name one place."""
    if not is_path(location):
        # hdfs:///a is hdfs:/a, and S3://b//a/../c may be s3://b/c.
        scheme, _, below = location.partition(":")
        location = scheme + ":" + posixpath.normpath("/" + below.lstrip("/"))
    return unicodedata.normalize("NFC", location).casefold()


def _cut(location: str, target: str) -> str:
    """The part of a location that has as many folders as the target."""
    return "/".join(location.split("/")[: len(target.rstrip("/").split("/"))])
