"""One root of files: what is expected below it, and where it can be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain_client.errors import HostUnavailable
from mlflow_chain.files.locations import join, relative, upwards
from mlflow_chain.files.places import to_note
from mlflow_chain.files.stored import FileUnreadable, Listing, Stored, StoredFiles
from mlflow_chain.verifying.order import Register


@dataclass(slots=True)
class FileRoot:
    """One root, and what is known of it.

    Args:
        location: as recorded.
        owner: what it is the root of, as people name it.
        before: whether that is older than adoption.
        copies: where it can be read: behind servers, once for each destination that was seen.
        expected: what was recorded, by path.
        kept: in which destination a file was written last, by path, where that is recorded.
        inner: roots below it that are compared themselves, by location.
        listings: what is there and not below an inner root, for each copy; filled by `look`.
    """

    location: str
    owner: str
    before: bool
    copies: tuple[StoredFiles, ...]
    expected: dict[str, Register] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    inner: dict[str, FileRoot] = field(default_factory=dict)
    listings: list[Listing | HostUnavailable] = field(default_factory=list)

    def look(self) -> None:
        """Look what is there."""
        for files in self.copies:
            try:
                listing = files.list()
            except HostUnavailable as exc:
                self.listings.append(exc)
                continue
            # What was recorded is no upload under way, whatever it is called.
            listing.paths |= self.expected.keys() & (listing.unfinished | listing.leftover)
            listing.unfinished -= listing.paths
            listing.leftover -= listing.paths
            if self.inner:
                for found in (listing.paths, listing.unfinished, listing.leftover):
                    found -= {path for path in found if self._is_compared_below(path)}
            self.listings.append(listing)

    def _is_compared_below(self, path: str) -> bool:
        """Whether an inner root names the file if it is not the recorded one, or in no record."""
        for folder in upwards(join(self.location, path)):
            if folder == self.location:
                return False
            inner = self.inner.get(folder)
            if inner is not None:
                below = relative(folder, join(self.location, path))
                # What stands in the place of the inner root itself is none of its files.
                return below is not None and (not inner.before or below in inner.expected)
        return False

    def readable(self) -> list[Listing]:
        """The listings of the copies that could be listed."""
        return [listing for listing in self.listings if isinstance(listing, Listing)]

    def unavailable(self) -> list[HostUnavailable]:
        """Why the other ones could not."""
        return [listing for listing in self.listings if isinstance(listing, HostUnavailable)]

    def paths(self) -> set[str]:
        """Whatever is in one of the copies."""
        return {path for listing in self.readable() for path in listing.paths}

    def holders(self, path: str) -> list[StoredFiles]:
        """The copies whose file by that path must be the recorded one.

        Where it was written last, and where it may have been moved to since: what an older
        destination holds was left behind, unless the file is nowhere else.
        """
        present = [
            number
            for number, listing in enumerate(self.listings)
            if isinstance(listing, Listing) and path in listing.paths
        ]
        notes = [to_note(files.spot.root) for files in self.copies]
        kept = self.kept.get(path)
        oldest = notes.index(kept) if kept in notes else 0
        newer = [number for number in present if number >= oldest]
        return [self.copies[number] for number in newer or present]

    def look_at(self, path: str) -> list[Stored | FileUnreadable]:
        """What the file is, in each copy that counts; empty if it is nowhere."""
        found: list[Stored | FileUnreadable] = []
        for files in self.holders(path):
            try:
                stored = files.find(path)
            except FileUnreadable as exc:
                found.append(exc)
            else:
                if stored is not None:
                    found.append(stored)
        return found

    def is_loading_note(self, path: str) -> bool:
        """As `StoredFiles.is_loading_note`, of every copy that counts."""
        holders = self.holders(path)
        return bool(holders) and all(files.is_loading_note(path) for files in holders)
