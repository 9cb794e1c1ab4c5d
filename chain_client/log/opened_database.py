"""The log's database, opened when it is first used; the base of `Log`."""

from __future__ import annotations

import os
import threading

from sqlalchemy import Engine

from chain_client.clock import Clock, SystemClock
from chain_client.errors import ConfigurationError
from chain_client.forking import tell_of_forks
from chain_client.log import schema_version
from chain_client.log.database import make_engine, make_file, parse_url, sqlite_path
from chain_client.shown_uri import to_shown_uri

_inherited: list[Engine] = []
"""Engines of a parent process: never used, and never closed, by a forked child."""


class OpenedDatabase:
    """Connection and schema.

    Args:
        url: ``sqlite:///<path>`` or ``postgresql+psycopg://…``.
        clock: as of `Log`.
        timeout_s: as of `Log`.
    """

    def __init__(self, url: str, *, clock: Clock | None = None, timeout_s: float = 5) -> None:
        self.url = url
        self._clock = clock or SystemClock()
        self._timeout_s = timeout_s
        self._opened: tuple[int, Engine] | None = None
        self._opening = threading.Lock()
        tell_of_forks(self)

    def renew_locks(self) -> None:
        """In a forked child: replace what a thread of the parent may hold."""
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        try:
            shown = to_shown_uri(str(parse_url(self.url)))
        except ConfigurationError:
            shown = "of no valid URL"
        return f"<{type(self).__name__} {shown}>"

    @property
    def engine(self) -> Engine:
        """For `database.reading` and `database.writing`; a forked child gets one of its own.

        Raises:
            ConfigurationError: the URL is none of a log, or its driver is not installed.
        """
        opened = self._opened
        if opened is not None and opened[0] == os.getpid():
            return opened[1]
        with self._opening:
            opened = self._opened
            if opened is None or opened[0] != os.getpid():
                if opened is not None:
                    _inherited.append(opened[1])
                opened = os.getpid(), make_engine(parse_url(self.url), self._timeout_s)
                self._opened = opened
            return opened[1]

    def close(self) -> None:
        """Close every connection; the next use opens them again."""
        opened, self._opened = self._opened, None
        if opened is not None and opened[0] == os.getpid():
            opened[1].dispose()
        elif opened is not None:
            _inherited.append(opened[1])

    def create(self) -> None:
        """Make the database where it is missing, and its tables; safe for two at once.

        Raises:
            SchemaTooNew: a newer version of mlops-chain made it.
            LogCorrupt: it is another program's database.
        """
        path = sqlite_path(parse_url(self.url))
        if path is not None:
            make_file(path)
        schema_version.upgrade(self.engine)

    def upgrade(self) -> None:
        """Migrate an existing database to this version's schema; nothing happens if it has it.

        Raises:
            SchemaTooNew: a newer version of mlops-chain wrote it.
        """
        schema_version.upgrade(self.engine)

    def check_schema(self) -> None:
        """See that the database has this version's schema; one SELECT.

        Raises:
            SchemaTooNew: a newer version of mlops-chain wrote it.
            SchemaTooOld: an older one did; `upgrade` migrates it.
        """
        schema_version.check(self.engine)
