"""What the chain has to show after a storm: the one oracle of the faults suite, and the pulse."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable

from chain_client import ChainClient
from chain_client.event_codec import decode_event
from chain_client.types import to_hex
from tests.faults.oracle import (
    STANDING_ALARMS,
    assert_events_are_provable_once,
    assert_nothing_was_sent_twice,
    final_head,
)
from tests.running_nodes import RunningNode
from tests.storm.claims import claims

_FINAL_S = 120.0


def examine_chain(
    client: ChainClient, node: RunningNode, pulses: dict[str, list[int]]
) -> list[str]:
    """Everything that is wrong, in words.

    Args:
        client: a home of the deployment, on the real node.
        node: the real node.
        pulses: by run, the numbers of which MLflow's client was told that they are logged.
    """
    findings = []
    head = final_head(client, _FINAL_S)
    checks: tuple[Callable[[], None], ...] = (
        lambda: assert_events_are_provable_once(client, head, ()),
        lambda: assert_nothing_was_sent_twice(node, client, head),
    )
    for check in checks:
        try:
            check()
        except AssertionError as exc:
            text = str(exc) or "".join(traceback.format_exception(exc)[-2:])
            findings.append(f"chain: {text[:2000]}")
    findings += _check_nonces(client, node)
    findings += _check_pulses(client, pulses)
    standing = [alarm for alarm in client.log.alarms() if alarm.kind in STANDING_ALARMS]
    findings += [f"alarm {one.kind} {one.subject} stands: {one.detail}" for one in standing]
    return findings


def _check_nonces(client: ChainClient, node: RunningNode) -> list[str]:
    account = to_hex(client.deployment.writer)
    pending, latest = (
        int(node.rpc("eth_getTransactionCount", account, tag), 16) for tag in ("pending", "latest")
    )
    if pending != latest:
        return [f"a nonce is stuck: {latest} used, {pending} with those that wait"]
    return []


def _check_pulses(client: ChainClient, pulses: dict[str, list[int]]) -> list[str]:
    found: Counter[tuple[object, object]] = Counter()
    for entry in client.log.entries():
        assert entry.event is not None
        event = decode_event(entry.event)
        if event.subject.id in pulses:
            found.update((c[1], c[-1]) for c in claims(event) if c[0] == "metric")
    return [
        f"metric {number} of run {run} was acknowledged, and has {found[run, number]} leaves"
        for run, numbers in pulses.items()
        for number in numbers
        if found[run, number] != 1
    ][:20]
