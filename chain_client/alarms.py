"""What a person says of an alarm: seen, with a reason, for the record."""

from __future__ import annotations

from chain_client.errors import InvalidInput
from chain_client.events import Actor, Subject
from chain_client.log import Alarm, Log
from chain_client.recorder import Recorder

ALARM_ACKNOWLEDGED = "alarm.acknowledged"


def find_standing(log: Log, kind: str, subject: str | None) -> list[Alarm]:
    """Alarms of that kind that stand, of one subject if it is given.

    Raises:
        InvalidInput: there is none.
        LogUnavailable: the log can't be read.
    """
    found = [a for a in log.alarms() if a.kind == kind and subject in (None, a.subject)]
    if not found:
        about = "" if subject is None else f" about {subject}"
        raise InvalidInput(
            f"no alarm {kind}{about} stands; `mlops-chain alarm list` names those that do"
        )
    return found


def acknowledge(recorder: Recorder, log: Log, alarm: Alarm, reason: str, who: str) -> None:
    """Record that somebody has seen an alarm, then let it stand no more.

    It comes back when its cause happens again.

    Raises:
        SpoolUnavailable: it could not be recorded; the alarm stands.
        LogUnavailable: the log can't be written; the alarm stands.
    """
    recorder.note(
        ALARM_ACKNOWLEDGED,
        Subject("", "alarm", f"{alarm.kind} {alarm.subject}"),
        {
            "kind": alarm.kind,
            "about": alarm.subject,
            "text": alarm.detail,
            "count": alarm.count,
            "first_us": alarm.first_us,
            "last_us": alarm.last_us,
            "reason": reason,
        },
        actor=Actor(claimed=who),
        required=True,
    )
    log.clear_alarm(alarm.kind, alarm.subject)
