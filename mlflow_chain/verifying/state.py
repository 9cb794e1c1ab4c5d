"""What the entities must look like, as collections of registers and sets. Pure."""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain_client.hosts import Finding
from mlflow_chain.reading.entities import Point
from mlflow_chain.verifying.file_readings import FileReadings
from mlflow_chain.verifying.order import ABSENT, Register, Stamp

_pack = struct.Struct("<dqq").pack
_unpack = struct.Struct("<dqq").unpack


def pack_point(value: float, timestamp: Any, step: Any) -> bytes:
    """A metric point as 24 comparable bytes: one NaN, one zero; odd steps as longer text."""
    number = value + 0.0 if value == value else math.nan
    try:
        return _pack(number, timestamp, step)
    except struct.error:
        return repr((number, timestamp, step)).encode()


def unpack_point(packed: bytes) -> Point:
    """The inverse of `pack_point`, for showing."""
    if len(packed) == 24:
        return _unpack(packed)
    import ast

    value, timestamp, step = ast.literal_eval(packed.decode().replace("nan", "None"))
    return (math.nan if value is None else value, timestamp, step)


class Registers(defaultdict[str, Register]):
    """Registers by name."""

    def __init__(self) -> None:
        super().__init__(Register)

    def write_all(self, stamp: Stamp, values: dict[str, Any]) -> None:
        """Write each value to the register of its name."""
        for name, value in values.items():
            self[name].write(stamp, value)


@dataclass(slots=True)
class Existence:
    """Whether an entity is there.

    Args:
        register: True, or ABSENT after a removal.
    """

    register: Register = field(default_factory=Register)

    def must(self) -> bool:
        """Whether it has to be there."""
        return self.register.values() == [True]

    def may(self) -> bool:
        """Whether it is allowed to be there."""
        return True in self.register.values()


@dataclass(slots=True)
class ExperimentState:
    """An experiment."""

    exists: Existence = field(default_factory=Existence)
    fields: Registers = field(default_factory=Registers)
    tags: Registers = field(default_factory=Registers)
    lifecycle: list[tuple[Stamp, str]] = field(default_factory=list)
    """Deletes and restores, which cascade to its runs."""
    incarnations: list[Stamp] = field(default_factory=list)
    """SQLite gives the id of a removed experiment to the next one."""


@dataclass(slots=True)
class RunState:
    """A run; metrics are sets of packed points by key.

    Args:
        before: whether it is older than adoption, so that its files are not known.
        wild: an event about it could not be read, so nothing of it can be told for sure.
        odd_latest: latest values that were not the newest of their points when the run was
            adopted; None where there was no latest one.
    """

    exists: Existence = field(default_factory=Existence)
    fields: Registers = field(default_factory=Registers)
    tags: Registers = field(default_factory=Registers)
    params: Registers = field(default_factory=Registers)
    metrics: dict[str, set[bytes]] = field(default_factory=dict)
    maybe_metrics: dict[str, set[bytes]] = field(default_factory=dict)
    datasets: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    maybe_datasets: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    maybe_models: set[str] = field(default_factory=set)
    odd_latest: dict[str, Point | None] = field(default_factory=dict)
    outputs: set[tuple[str, Any]] = field(default_factory=set)
    maybe_outputs: set[tuple[str, Any]] = field(default_factory=set)
    before: bool = False
    wild: bool = False

    def add_metrics(self, points: Iterable[Sequence[Any]], *, sure: bool) -> None:
        """Add points ``[key, value, timestamp, step, …]``."""
        target = self.metrics if sure else self.maybe_metrics
        for point in points:
            key = point[0]
            packed = pack_point(point[1], point[2], point[3])
            found = target.get(key)
            if found is None:
                target[key] = {packed}
            else:
                found.add(packed)


@dataclass(slots=True)
class LoggedModelState:
    """A logged model; metrics by (key, timestamp, step, run), each with the values it may hold."""

    exists: Existence = field(default_factory=Existence)
    fields: Registers = field(default_factory=Registers)
    tags: Registers = field(default_factory=Registers)
    params: Registers = field(default_factory=Registers)
    metrics: dict[tuple[Any, ...], list[tuple[Any, ...]]] = field(default_factory=dict)
    maybe_metrics: dict[tuple[Any, ...], list[tuple[Any, ...]]] = field(default_factory=dict)
    before: bool = False
    wild: bool = False

    def add_metric(self, point: Sequence[Any], run_id: Any, *, sure: bool) -> None:
        """Add ``[key, value, timestamp, step, dataset name, dataset digest]``."""
        target = self.metrics if sure else self.maybe_metrics
        key = (point[0], point[2], point[3], run_id)
        target.setdefault(key, []).append((point[1] + 0.0, point[4], point[5]))


@dataclass(slots=True)
class VersionState:
    """A version of a registered model.

    Args:
        before: whether it is older than adoption, so that the files at its source are not known.
        wild: an event about it could not be read, so nothing of it can be told for sure.
    """

    exists: Existence = field(default_factory=Existence)
    fields: Registers = field(default_factory=Registers)
    tags: Registers = field(default_factory=Registers)
    before: bool = False
    wild: bool = False


@dataclass(slots=True)
class RegisteredModelState:
    """One incarnation of a registered model: a name that is deleted and made again is another.

    Args:
        touches: renames, each with the time it gave to every version.
        deleted_versions: when a version, and every alias of it, was deleted.
    """

    exists: Existence = field(default_factory=Existence)
    fields: Registers = field(default_factory=Registers)
    tags: Registers = field(default_factory=Registers)
    aliases: Registers = field(default_factory=Registers)
    versions: defaultdict[int, VersionState] = field(
        default_factory=lambda: defaultdict(VersionState)
    )
    touches: list[tuple[Stamp, object]] = field(default_factory=list)
    deleted_versions: list[tuple[Stamp, int]] = field(default_factory=list)
    wild: bool = False

    def drop_aliases(self, version: int, stamp: Stamp) -> None:
        """MLflow deletes the aliases of a version that is deleted."""
        for register in self.aliases.values():
            if version in register.values():
                register.write(stamp, ABSENT)


@dataclass(slots=True)
class State:
    """Everything that is recorded of one store.

    Args:
        files: by location, ``(size, sha256)`` or ABSENT.
        removals: locations of files or folders that were deleted, with all below them.
        unverified: locations that could not be read back, or all below them, with the reason.
        kept: in which of the servers' destinations a file was written last, by location.
        readings: what was read back.
        read_back: locations of files of which read-backs say what is expected.
        workspace_ends: when a workspace was deleted, and what became of what was in it.
        dataset_rows: what may stand in the row of a dataset, by name and digest.
        findings: what is wrong with the record itself.
    """

    experiments: defaultdict[str, ExperimentState] = field(
        default_factory=lambda: defaultdict(ExperimentState)
    )
    runs: defaultdict[str, RunState] = field(default_factory=lambda: defaultdict(RunState))
    logged_models: defaultdict[str, LoggedModelState] = field(
        default_factory=lambda: defaultdict(LoggedModelState)
    )
    models: dict[str, RegisteredModelState] = field(default_factory=dict)
    files: Registers = field(default_factory=Registers)
    removals: list[tuple[str, Stamp]] = field(default_factory=list)
    workspace_ends: list[tuple[Stamp, str, object]] = field(default_factory=list)
    unverified: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    readings: FileReadings = field(default_factory=FileReadings)
    read_back: set[str] = field(default_factory=set)
    dataset_rows: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
