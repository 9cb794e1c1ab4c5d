"""Which claims of a run's tags an event of the task confirms. Pure.

Tags can be set by whoever starts a run. An event of the task tells that this try ran; that the run
was made in it follows from its time, or from the one process that recorded both.
"""

from __future__ import annotations

from typing import Final

from chain_client.lineage.graph import Graph
from chain_client.lineage.tasks import split_try
from chain_client.traces import TASK_TRY, Link

TOLERANCE_US: Final = 60_000_000
"""How far the clocks of two machines may be apart."""

_OWN_TOLERANCE_US: Final = 1_000_000
"""By how much the clock of one machine may have been set meanwhile."""

BEGAN, ENDED = "began_us", "ended_us"
"""Names of facts of a try: between what times it ran, as far as events tell."""


def confirm(graph: Graph) -> None:
    """Say of each claim whether it is confirmed, and how, or why it is not."""
    for link in list(graph.links.values()):
        if link.is_claimed and link.earlier.kind == TASK_TRY:
            is_claimed, note = _judge(graph, link)
            graph.mark(link, is_claimed=is_claimed, note=note)


def _judge(graph: Graph, link: Link) -> tuple[bool, str]:
    events = graph.events_of(link.earlier)
    if not events:
        return True, "only its tags say so: no event of that try was recorded"
    made = link.evidence.event
    if made is None:
        return True, "what said so can't be read any more"
    instance = split_try(link.earlier)[0]
    is_same = any(
        e.event is not None and e.event.source_id == made.source_id
        for e in events
        if e.subject.id == instance
    )
    tolerance = _OWN_TOLERANCE_US if is_same else TOLERANCE_US
    facts = graph.facts[link.earlier]
    began, ended = facts.get(BEGAN), facts.get(ENDED)
    if not isinstance(began, int):
        return True, "only its tags say so: no event tells when that try ran"
    if made.time_us < began - tolerance:
        return True, "only its tags say so: it was made before that try began"
    if isinstance(ended, int) and made.time_us > ended + tolerance:
        return True, "only its tags say so: it was made after that try had ended"
    if is_same:
        return False, "the task's own process recorded both"
    if not isinstance(ended, int):
        return True, "only its tags say so: no event tells when that try ended"
    return False, "the task was running when it was made"
