"""What a team's own check of a promotion is told, and what it answers.

A plugin implements ``check_promotion(context)`` (`chain_client.hookspecs`); who calls it, and what
becomes of the answer, is in `chain_client.governing.checking`. Signatures here are stable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from chain_client.errors import InvalidInput
from chain_client.events import Json
from chain_client.types import Address, Digest

MAX_TEXT = 1000
"""Most characters of a finding's text."""

Level: TypeAlias = Literal["block", "warn"]
LEVELS: tuple[Level, ...] = ("block", "warn")


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for a promotion.

    Args:
        address: of the key that signs the proposal.
        name: that the deployment's owner has bound to it; empty if none is.
    """

    address: Address
    name: str = ""


@dataclass(frozen=True, slots=True)
class PromotionContext:
    """What is proposed. All of it is frozen: a check changes nothing by changing it.

    Args:
        check: name of the check in the policy file.
        configuration: what the policy file says beside ``plugin``, as an admin has applied it;
            tables are read-only mappings, lists are tuples.
        model: name of the registered model.
        workspace: of the model; empty where the host has none.
        version: number of the version.
        target: such as ``alias:champion`` or ``stage:Production``.
        digest: model digest of the version's files, as they were just read.
        location: where its files are kept.
        run_id: the run that made it; None if the host knows of none.
        tracking_uri: where an ``MlflowClient`` reads runs and models, without ``chain+``. May hold
            a password: never put it into a finding or a log line.
        current: number of the version that is current for the target on chain; None if none is.
        requester: who asks; None where a check is only tried (``mlops-chain model check``).
        evidence: what the requester brings, such as ``evaluation:1234`` or ``model_card:0x…``.
    """

    check: str
    configuration: Mapping[str, Any]
    model: str
    workspace: str
    version: int
    target: str
    digest: Digest
    location: str = field(repr=False)
    run_id: str | None
    tracking_uri: str = field(repr=False)
    current: int | None
    requester: Requester | None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that a check found.

    Args:
        level: ``block``: it may not be proposed. ``warn``: it may, and approvers read the text
            before they sign.
        text: one line for people, 1 to `MAX_TEXT` characters. Kept for ever: nothing secret.
        values: what was compared, as JSON, for programs; kept as long as the text.

    Raises:
        InvalidInput: another level, or no such text.
    """

    level: Level
    text: str
    values: Mapping[str, Json] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise InvalidInput(f"a finding's level: expected {' or '.join(LEVELS)}")
        if not isinstance(self.text, str) or not self.text.strip() or len(self.text) > MAX_TEXT:
            raise InvalidInput(f"a finding's text: expected 1 to {MAX_TEXT} characters")
        if not isinstance(self.values, Mapping):
            raise InvalidInput("a finding's values: expected a mapping")


def freeze(value: Any) -> Any:
    """A read-only copy of JSON: mappings that can't be written to, tuples for lists."""
    if isinstance(value, Mapping):
        return MappingProxyType({str(key): freeze(item) for key, item in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(freeze(item) for item in value)
    return value
