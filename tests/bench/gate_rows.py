"""The row of the gate: an approved alias, checked against the chain, against plain MLflow."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from tests.bench.bench_home import (
    Options,
    copy_home,
    opened,
    wait_for_relay,
    wait_until_anchored,
)
from tests.bench.comparing import Call, Comparison, compare
from tests.bench.figures import Row, p50, p90, span_text, time_text
from tests.bench.fsyncs import FsyncCount
from tests.governed import Registry

_TARGET_S = 0.005
_MODEL = "bench"


def gate_rows(options: Options, syncs: FsyncCount) -> list[Row]:
    """The row, if it is wanted."""
    if "gate_check" not in options.rows:
        return []
    template = _make_database(options)
    plain_file, gated_file = (options.work / f"gate-{side}.db" for side in ("plain", "gated"))
    for copy in (plain_file, gated_file):
        shutil.copyfile(template, copy)
    promoted = copy_home(options, "gate-promoted")
    with opened(promoted, relay=False) as client:
        _promote(client, _open_registry(gated_file))
    # A home of another path gets a recorder of its own, which starts a relay.
    home = options.work / "gate"
    shutil.copytree(promoted, home)
    # Between rounds the alias is put back past the gate, which a relay that syncs would mend.
    (home / "config.toml").write_text("[registry]\nsync = false\n", encoding="utf-8")
    with opened(home, relay=True) as client:
        import mlflow_chain

        gated = _open_registry(gated_file)
        mlflow_chain.wrap(gated, client)
        _set_alias(gated, "champion")(0)  # what is recorded first starts the relay
        wait_for_relay(client)
        found = {
            alias: compare(
                _set_alias(_open_registry(plain_file), alias),
                _set_alias(gated, alias),
                rounds=1 if options.quick else 8,
                round_s=0.05 if options.quick else 1.0,
                syncs=syncs,
                settle=lambda: wait_until_anchored(client),
                prepare=lambda: _put_back(plain_file, gated_file),
            )
            for alias in ("champion", "candidate")
        }
    return [_row(found["champion"], found["candidate"])]


def _row(gated: Comparison, ungated: Comparison) -> Row:
    over = [_over(*sides) for sides in _rounds(gated)]
    result = _over(gated.wrapped.all_s, gated.plain.all_s)
    times = gated.wrapped.all_s, gated.plain.all_s
    return Row(
        "gate_check",
        "set_registered_model_alias, gated and approved (power), wrapped - plain",
        f"≤{time_text(_TARGET_S)}",
        time_text(result),
        result <= _TARGET_S,
        p50=" / ".join(map(time_text, map(p50, times))),
        p90=" / ".join(map(time_text, map(p90, times))),
        spread=span_text([value * 1e3 for value in over]) + " ms",
        fsyncs=f"{gated.wrapped.fsyncs_a_call:.2f} / {gated.plain.fsyncs_a_call:.2f} a call",
        notes=[
            "Recording, lock, check, and the look at the chain after the write are in it; a relay "
            "anchors beside it, so that the block changes, and does not sync. An alias that no "
            "policy gates takes "
            f"{time_text(_over(ungated.wrapped.all_s, ungated.plain.all_s))} over plain in the "
            "same home."
        ],
        raw={"gated": gated.to_json(), "ungated": ungated.to_json()},
    )


def _over(wrapped_s: list[float], plain_s: list[float]) -> float:
    return p50(wrapped_s) - p50(plain_s)


def _rounds(found: Comparison) -> list[tuple[list[float], list[float]]]:
    return list(zip(found.wrapped.rounds_s, found.plain.rounds_s, strict=True))


def _set_alias(registry: Any, alias: str) -> Call:
    return lambda number: registry.set_registered_model_alias(_MODEL, alias, "1")


def _put_back(*files: Path) -> None:
    """The aliases have another version, so that setting them changes a row on both sides."""
    for file in files:
        connection = sqlite3.connect(file, timeout=30, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("UPDATE registered_model_aliases SET version = 2")
        connection.close()


def _promote(client: Any, registry: Any) -> None:
    """The first version is approved and current on chain."""
    import mlflow_chain

    mlflow_chain.wrap(registry, client)
    people = Registry(client)
    people.govern()
    people.promote(_MODEL, 1)


def _make_database(options: Options) -> Path:
    """A plain database with a model whose versions have files."""
    path = options.work / "gate-template.db"
    files = options.work / "gate-files"
    files.mkdir()
    (files / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    for number in range(8):
        (files / f"part-{number}.bin").write_bytes(bytes([number]) * 100_000)
    registry = _open_registry(path)
    registry.create_registered_model(_MODEL)
    for _ in range(2):
        registry.create_model_version(_MODEL, str(files))
    return path


def _open_registry(path: Path) -> Any:
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    return SqlAlchemyStore(f"sqlite:///{path}")
