"""`seize`: a source whose owner is dead, held so that nobody else hands it over or removes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from chain_client.errors import SpoolUnavailable
from chain_client.spool import ownership
from chain_client.spool.journal import segment_name
from chain_client.spool.opening import remove_folder
from chain_client.spool.reader import TAKEN_PREFIX, SourceReader
from chain_client.steps import step


class SeizedSource:
    """A source that is seized; made by `seize`.

    Args:
        reader: of the source.
    """

    def __init__(self, reader: SourceReader) -> None:
        self.source_id = reader.source_id
        self._reader = reader

    def segments(self) -> tuple[Path, ...]:
        """Its files, the oldest first.

        Raises:
            SpoolUnavailable: the disk refuses.
        """
        try:
            numbers = self._reader.segment_numbers()
        except OSError as exc:
            raise SpoolUnavailable(f"can't list the spool: {exc.strerror}") from exc
        return tuple(self._reader.directory / segment_name(number) for number in numbers)

    def remove(self) -> None:
        """Remove it, so that it is there whole or gone.

        Raises:
            SpoolUnavailable: the disk refuses; it may be there still.
        """
        directory = self._reader.directory
        target = directory.with_name(f"{TAKEN_PREFIX}{directory.name}")
        try:
            if target.exists():
                remove_folder(target)
            directory.rename(target)
            step("shipping.taken")
            remove_folder(target)
        except OSError as exc:
            raise SpoolUnavailable(f"can't remove the spool: {exc.strerror}") from exc


@contextlib.contextmanager
def seize(reader: SourceReader) -> Iterator[SeizedSource | None]:
    """Hold a dead source's lock meanwhile; None if its owner lives, or it is held or gone.

    The lock says so only as far as `chain_client.owners` says that it does.

    Raises:
        SpoolUnavailable: the disk refuses.
    """
    try:
        fd = ownership.seize_lock(reader.directory)
    except FileNotFoundError:
        fd = None
    except OSError as exc:
        raise SpoolUnavailable(f"can't take over the spool: {exc.strerror}") from exc
    if fd is None:
        yield None
        return
    try:
        yield SeizedSource(reader)
    finally:
        ownership.drop_lock(fd)
