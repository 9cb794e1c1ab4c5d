"""Run the same operations on a plain and on a wrapped store, and note all that can be seen of them.

What a run can't repeat (ids, times, folders) is replaced by the place where it was first seen.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
import re
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy
from mlflow.exceptions import MlflowException
from sqlalchemy import event

World = dict[str, Any]
"""What earlier operations left for later ones: ids."""
Operation = Callable[[Any, World], Any]

OURS = "mlops_chain_"
"""Tables that wrapping adds; nothing of MLflow's begins so."""

_ID = re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
_TIME = re.compile(r"\b1[6-9]\d{11}(?:\.\d+)?\b")
_DATE = re.compile(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?")
_ADDRESS = re.compile(r"0x[0-9a-f]{8,}")


@dataclass
class Seen:
    """Everything that is seen while operations run on one store.

    Args:
        folder: of the store; differs between the two.
        outcomes: of each operation, by name: what it returned or raised, what it logged and
            warned of, and the statements it sent.
    """

    folder: Path
    outcomes: dict[str, Any] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)

    def plain(self, value: Any) -> Any:
        """A value without what no two runs share."""
        if isinstance(value, str):
            text = _ADDRESS.sub("<address>", value.replace(str(self.folder), "<folder>"))
            text = text.replace("ChainSqlAlchemyStore", "SqlAlchemyStore")
            text = text.replace("ChainWorkspaceAware", "WorkspaceAware")
            text = _ID.sub(lambda m: self._ids.setdefault(m[0], f"<id {len(self._ids)}>"), text)
            return _DATE.sub("<time>", _TIME.sub("<time>", text))
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, Enum):
            return str(value)
        if isinstance(value, int | float):
            is_time = isinstance(value, int) and 1_600_000_000_000 < value < 2_000_000_000_000
            return "<time>" if is_time else repr(value)
        if isinstance(value, bytes):
            return f"<{len(value)} bytes>"
        if isinstance(value, dict):
            return {self.plain(k): self.plain(v) for k, v in value.items()}
        if isinstance(value, set | frozenset):
            return sorted(map(str, map(self.plain, value)))
        if isinstance(value, list | tuple):
            plain = [self.plain(item) for item in value]
            return [plain, f"token {value.token is not None}"] if hasattr(value, "token") else plain
        inside = getattr(value, "__dict__", None)
        if inside is None:
            return type(value).__name__
        shown = {k: v for k, v in inside.items() if not callable(v)}
        return [type(value).__name__, self.plain(shown)]

    def run(self, store: Any, operations: Iterable[tuple[str, Operation]]) -> None:
        """Run operations in their order."""
        world: World = {}
        with _statements(store.engine) as statements, _records() as records, _same_luck():
            for name, operation in operations:
                statements.clear()
                records.clear()
                with warnings.catch_warnings(record=True) as warned:
                    warnings.simplefilter("always")
                    try:
                        found: Any = ["returned", self.plain(operation(store, world))]
                    except MlflowException as exc:
                        found = ["raised", type(exc).__name__, exc.error_code, self.plain(str(exc))]
                    except Exception as exc:
                        found = ["raised", type(exc).__name__, self.plain(str(exc))]
                assert name not in self.outcomes
                self.outcomes[name] = {
                    "outcome": found,
                    "logged": [self.plain(text) for text in records],
                    "warned": [self.plain(str(warning.message)) for warning in warned],
                    "sent": [self.plain(text) for text in statements],
                }

    def rows(self, engine: sqlalchemy.Engine) -> dict[str, list[Any]]:
        """Every row of every table of MLflow's."""
        found: dict[str, list[Any]] = {}
        with engine.connect() as connection:
            for table in sqlalchemy.inspect(connection).get_table_names():
                if table.startswith((OURS, "alembic_")):
                    continue
                rows = connection.exec_driver_sql(f'select * from "{table}"').all()
                found[table] = sorted((self.plain(tuple(row)) for row in rows), key=repr)
        return found


@contextlib.contextmanager
def _same_luck() -> Iterator[None]:
    """The same ids, names and order of times for both: whoever draws once more is found out."""
    luck = random.Random(5)
    seconds = itertools.count(1_700_000_000)
    random.seed(5)

    def draw() -> uuid.UUID:
        return uuid.UUID(int=luck.getrandbits(128), version=4)

    def tick() -> float:
        return float(next(seconds))

    with mock.patch("uuid.uuid4", draw), mock.patch("time.time", tick):
        yield


@contextlib.contextmanager
def _statements(engine: sqlalchemy.Engine) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if OURS not in statement:
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextlib.contextmanager
def _records() -> Iterator[list[str]]:
    """What MLflow's loggers say."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(f"{record.name} {record.levelname} {record.getMessage()}")

    handler = Keep(level=logging.INFO)
    loggers = [logging.getLogger("mlflow"), logging.getLogger()]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield found
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def kept(world: World, name: str, value: Any) -> Any:
    """The value, noted in the world under a name for later operations."""
    world[name] = value
    return value
