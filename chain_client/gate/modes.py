"""In which mode the gate is, how that is recorded, and what it would have refused."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from chain_client.errors import ConfigurationError
from chain_client.events import Actor, Event, Json, Subject
from chain_client.forking import ForkableLock
from chain_client.gate.question import Change, Mode, Refused

GATE_MODE = "gate.mode"
"""Event: a process opened a gated store, and says in which mode."""
WOULD_BLOCK = "promotion.would_block"
"""Event: a change passed because the gate only warns."""
GATE_SUBJECT = "gate"
"""Kind of the subject of `GATE_MODE`; its id is empty."""
WOULD_BLOCK_SUBJECT = "would-block"
"""Kind of the subject of `WOULD_BLOCK`; its id is the model's name."""

_noted: set[tuple[int, str, str, str]] = set()
_noted_lock = ForkableLock()


class Records(Protocol):
    """What is needed of a `chain_client.recorder.Recorder`."""

    def note(
        self,
        type: str,
        subject: Subject,
        payload: Mapping[str, Json],
        *,
        actor: Actor = ...,
        required: bool = False,
    ) -> None: ...


def effective_mode(setting: str, any_policy: bool | None) -> Mode:
    """The mode in force.

    Args:
        setting: `gate.mode`.
        any_policy: whether a policy is on chain; None where nobody can tell now, which counts as
            if there were one.
    """
    if setting == "auto":
        return Mode.OFF if any_policy is False else Mode.ENFORCE
    return Mode(setting)


def check_start(setting: str, has_default_policy: bool | None) -> None:
    """See that a server may start.

    Args:
        setting: `gate.mode`.
        has_default_policy: None where nobody can tell now: the gate then refuses all that it
            would, and the server may start.

    Raises:
        ConfigurationError: it is told to enforce, and models that nobody named are not gated.
    """
    if setting == Mode.ENFORCE and has_default_policy is False:
        raise ConfigurationError(
            "gate.mode is enforce, but no default policy is on chain, so that new models would "
            "not be gated: apply one with `mlops-chain policy apply FILE`, or set gate.mode to auto"
        )


def note_mode(records: Records, home: str, store_id: str, setting: str, mode: Mode) -> None:
    """Record once per process, store and mode that the store was opened with this gate.

    Args:
        records: the process's recorder.
        home: home folder.
        store_id: of the host's database.
        setting: `gate.mode`.
        mode: in force now.

    Raises:
        SpoolUnavailable: it can't be recorded.
    """
    key = (os.getpid(), home, store_id, mode.value)
    with _noted_lock.held():
        if key in _noted:
            return
        records.note(
            GATE_MODE,
            Subject(store_id, GATE_SUBJECT, ""),
            {"mode": mode.value, "setting": setting, "pid": os.getpid()},
            required=True,
        )
        _noted.add(key)


@dataclass(frozen=True, slots=True)
class WouldHaveBlocked:
    """A change that passed because the gate only warned.

    Args:
        time_us: when, as the process claimed it.
        who: who asked, authenticated or claimed; empty if nobody said.
        action: one of `Action`.
        model: name of the model.
        target: alias or stage, if it was about one.
        version: number of the version; 0 if it was about none.
        code: one of `Code`.
        reason: one sentence.
    """

    time_us: int
    who: str
    action: str
    model: str
    target: str
    version: int
    code: str
    reason: str


def note_would_block(
    records: Records, store_id: str, change: Change, refusal: Refused, actor: Actor
) -> None:
    """Record a change that passes only because the gate warns.

    Raises:
        SpoolUnavailable: it can't be recorded.
    """
    records.note(
        WOULD_BLOCK,
        Subject(store_id, WOULD_BLOCK_SUBJECT, change.model),
        {
            "action": change.action.value,
            "model": change.model,
            "target": change.target,
            "version": change.version,
            "code": refusal.code.value,
            "reason": refusal.reason,
        },
        actor=actor,
        required=True,
    )


def read_would_block(events: Iterable[Event]) -> list[WouldHaveBlocked]:
    """The report: what would have been refused, in log order.

    Args:
        events: of any type; others than `WOULD_BLOCK` are passed over.
    """
    found = []
    for event in events:
        if event.type != WOULD_BLOCK:
            continue
        payload = event.payload
        found.append(
            WouldHaveBlocked(
                event.time_us,
                event.actor.authenticated or event.actor.claimed or "",
                str(payload.get("action", "")),
                str(payload.get("model", "")),
                str(payload.get("target", "")),
                _number(payload.get("version")),
                str(payload.get("code", "")),
                str(payload.get("reason", "")),
            )
        )
    return found


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0
