"""The log's tree, kept in tiles of 256 nodes; leaf hashes are the rows of `entries`.

Level ``n`` holds the nodes of height ``8 * n``, each complete for ever once it is there, so a
tile only grows. All other nodes are hashed again from at most 128 neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from chain_client.errors import LogMismatch
from chain_client.log.schema import entries, tiles
from chain_client.merkle import root
from chain_client.types import Digest

WIDTH = 256
"""Nodes of a full tile."""
_BITS = 8
_HASH = 32


def read_size(connection: Connection) -> int:
    """Number of entries."""
    return read_end(connection)[0]


def read_end(connection: Connection) -> tuple[int, bytes | None]:
    """Number of entries, and the leaf hash of the last."""
    last = connection.execute(
        select(entries.c.log_index, entries.c.leaf_hash)
        .order_by(entries.c.log_index.desc())
        .limit(1)
    ).one_or_none()
    return (0, None) if last is None else (last.log_index + 1, last.leaf_hash)


class TileSource:
    """The tree as a `merkle.NodeSource`; reads each tile once.

    Args:
        connection: used as long as this object; make a new one for each transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def node(self, height: int, index: int) -> Digest:
        """Root of a complete subtree.

        Raises:
            LogMismatch: rows that it needs are missing.
        """
        level, rest = divmod(height, _BITS)
        first = index << rest
        number, offset = divmod(first, WIDTH)
        hashes = self.tile(level, number)[offset : offset + (1 << rest)]
        if len(hashes) != 1 << rest:
            raise _rows_missing(level, number)
        return root(hashes)

    def tile(self, level: int, number: int) -> list[bytes]:
        """The nodes of a tile, as many as there are.

        Raises:
            LogMismatch: leaves are missing between others, or a tile is cut.
        """
        hashes = self._tiles.get((level, number))
        if hashes is None:
            hashes = self._leaves(number) if level == 0 else self._stored(level, number)
            self._tiles[level, number] = hashes
        return hashes

    def _leaves(self, number: int) -> list[bytes]:
        first = number * WIDTH
        rows = self._connection.execute(
            select(entries.c.log_index, entries.c.leaf_hash)
            .where(entries.c.log_index >= first, entries.c.log_index < first + WIDTH)
            .order_by(entries.c.log_index)
        ).all()
        hashes = [row.leaf_hash for row in rows]
        if rows and rows[-1].log_index != first + len(rows) - 1:
            raise _rows_missing(0, number)
        if not all(type(value) is bytes and len(value) == _HASH for value in hashes):
            raise _rows_missing(0, number)
        return hashes

    def _stored(self, level: int, number: int) -> list[bytes]:
        hashes: bytes | None = self._connection.execute(
            select(tiles.c.hashes).where(tiles.c.level == level, tiles.c.tile == number)
        ).scalar_one_or_none()
        return [] if hashes is None else _split(hashes, level, number)


class Edge:
    """The open tile of each level: all that appending needs to know of the tree.

    Args:
        size: number of leaves.
        last_leaf: hash of the last one.
        levels: the nodes of each level's last, not yet full tile, leaves first.
    """

    def __init__(
        self,
        size: int = 0,
        last_leaf: bytes | None = None,
        levels: Sequence[list[bytes]] = (),
    ) -> None:
        self.size = size
        self.last_leaf = last_leaf
        self._levels = [list(nodes) for nodes in levels]

    @classmethod
    def read(cls, connection: Connection) -> Edge:
        """The edge of the stored tree.

        Raises:
            LogMismatch: the tiles hold more or fewer nodes than the leaves give.
        """
        size, last_leaf = read_end(connection)
        source = TileSource(connection)
        levels = []
        level, nodes = 0, size
        while nodes:
            number, count = divmod(nodes, WIDTH)
            open_tile = source.tile(level, number)
            if len(open_tile) != count:
                raise _rows_missing(level, number)
            levels.append(open_tile)
            level, nodes = level + 1, nodes // WIDTH
        return cls(size, last_leaf, levels)

    def is_of(self, connection: Connection) -> bool:
        """Whether the stored log still ends where this edge does."""
        return read_end(connection) == (self.size, self.last_leaf)

    def extend(self, leaf_hashes: Sequence[bytes]) -> dict[tuple[int, int], list[bytes]]:
        """Add leaves; the tiles of stored levels that are new or have grown, by (level, tile)."""
        changed: dict[tuple[int, int], list[bytes]] = {}
        level, nodes, arriving = 0, self.size, list(leaf_hashes)
        self.size += len(arriving)
        self.last_leaf = arriving[-1] if arriving else self.last_leaf
        while arriving:
            if level == len(self._levels):
                self._levels.append([])
            waiting = self._levels[level] + arriving
            full = len(waiting) - len(waiting) % WIDTH
            parts = [waiting[start : start + WIDTH] for start in range(0, len(waiting), WIDTH)]
            if level:
                first = nodes // WIDTH
                changed.update({(level, first + n): part for n, part in enumerate(parts)})
            self._levels[level] = waiting[full:]
            arriving = [root(part) for part in parts if len(part) == WIDTH]
            level, nodes = level + 1, nodes // WIDTH
        return changed


def write_tiles(connection: Connection, changed: dict[tuple[int, int], list[bytes]]) -> None:
    """Store tiles; a tile that has grown replaces what it was."""
    for (level, number), hashes in changed.items():
        content = b"".join(hashes)
        grown = connection.execute(
            update(tiles)
            .where(tiles.c.level == level, tiles.c.tile == number)
            .values(hashes=content)
        )
        if not grown.rowcount:
            connection.execute(insert(tiles).values(level=level, tile=number, hashes=content))


def _split(hashes: bytes, level: int, number: int) -> list[bytes]:
    if type(hashes) is not bytes or len(hashes) % _HASH:
        raise _rows_missing(level, number)
    return [hashes[start : start + _HASH] for start in range(0, len(hashes), _HASH)]


def _rows_missing(level: int, number: int) -> LogMismatch:
    what = "entries" if level == 0 else f"tile {number} of level {level}"
    place = f" near index {number * WIDTH}" if level == 0 else ""
    return LogMismatch(
        f"the log database has not the rows it had: {what}{place}. It was edited, or restored "
        "from an old copy. Put back its newest copy; mlops-chain verify names what differs"
    )
