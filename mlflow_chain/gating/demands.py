"""What a call at a door wants of the gate, as plain values; read off arguments and database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from chain_client.gate.question import Change
from chain_client.hosts import ModelIncarnation


@dataclass(frozen=True, slots=True)
class Demand:
    """A change that the chain has to agree with.

    Args:
        model: whose target, version or name changes.
        change: what is wanted.
        location: where the files of the version are that gets a target.
        standing: targets that versions of the model have now, for changes of the whole model.
    """

    model: ModelIncarnation
    change: Change
    location: str = ""
    standing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forbidden:
    """What nobody may do to this model here, whatever the chain says.

    Args:
        what: the change, as a sentence begins.
        why: how it goes on.
        model: name of the model, if there is one.
        only_under_policy: whether it is only forbidden where a policy is on chain.
    """

    what: str
    why: str
    model: str = ""
    only_under_policy: bool = False

    def __str__(self) -> str:
        return f"{self.what} is refused: {self.why}"


@dataclass(frozen=True, slots=True)
class Destroyed:
    """Files that can't be found any more, or are removed, once the call is done.

    Args:
        what: the change, as a sentence begins.
        location: below which the files lie.
    """

    what: str
    location: str


Wish: TypeAlias = Demand | Forbidden | Destroyed


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call at a door.

    Args:
        wishes: what it wants, read while the locks are held.
        arguments: to call with in the place of those that were given; None: as they were.
    """

    wishes: tuple[Wish, ...] = ()
    arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = field(default=None, repr=False)
