"""What one pass of sync did, found and could not do."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain_client.events import Json
from chain_client.types import Digest, to_hex


@dataclass(frozen=True, slots=True)
class TargetSet:
    """A target that was made equal to the chain, or would be.

    Args:
        store_id: of the database.
        model: as people name it.
        target: the alias or stage.
        version: that is current on chain; None for none.
        found: versions that it had before.
        was_moved: it had been equal already, so somebody moved it past the gate.
    """

    store_id: str
    model: str
    target: str
    version: int | None
    found: tuple[int, ...]
    was_moved: bool = False

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "store": self.store_id,
            "model": self.model,
            "target": self.target,
            "version": self.version,
            "found": list(self.found),
            "was_moved": self.was_moved,
        }


@dataclass(frozen=True, slots=True)
class Trouble:
    """What could not be done; the rest was.

    Args:
        subject: what it is about.
        text: what is wrong.
        is_passing: whether it may well be over by itself in a moment.
    """

    subject: str
    text: str
    is_passing: bool = False


@dataclass(slots=True)
class SyncReport:
    """The result of a pass.

    Args:
        block_number: up to which the chain was read.
        promoted: proposals that were promoted.
        set: targets that were made equal, or would be in a dry run.
        tagged: versions whose reserved tags were set.
        left: targets that differ and are left so, for the gate does not enforce.
        foreign: models on chain that are in no database of this home.
        troubles: what could not be done.
        due_s: wall time at which something can be done that can't be done now.
        awaits: first block that decides about a target and is not final yet; hosts are made equal
            to it when it is.
    """

    block_number: int = 0
    promoted: list[Digest] = field(default_factory=list)
    set: list[TargetSet] = field(default_factory=list)
    tagged: list[str] = field(default_factory=list)
    left: list[TargetSet] = field(default_factory=list)
    foreign: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    due_s: float | None = None
    awaits: int | None = None

    @property
    def has_recorded(self) -> bool:
        """Whether anything may have been recorded."""
        return bool(self.set or self.tagged or self.troubles)

    def fail(self, subject: str, error: object, *, is_passing: bool = False) -> None:
        """Note what could not be done."""
        self.troubles.append(Trouble(subject, str(error), is_passing))

    def add(self, later: SyncReport) -> None:
        """Take in what a later pass did; what could not be done is as that one found it."""
        for name in ("promoted", "set", "tagged"):
            known = getattr(self, name)
            known += [found for found in getattr(later, name) if found not in known]
        self.block_number, self.awaits = later.block_number, later.awaits
        self.left, self.foreign, self.troubles = later.left, later.foreign, later.troubles

    def look_again(self, at_s: float) -> None:
        """Something can be done from that time on."""
        self.due_s = at_s if self.due_s is None else min(self.due_s, at_s)

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "ok": not self.troubles,
            "block": self.block_number,
            "awaits": self.awaits,
            "promoted": [to_hex(proposal) for proposal in self.promoted],
            "set": [found.to_json() for found in self.set],
            "tagged": list(self.tagged),
            "left": [found.to_json() for found in self.left],
            "foreign_models": self.foreign,
            "troubles": [{"subject": t.subject, "text": t.text} for t in self.troubles],
        }
