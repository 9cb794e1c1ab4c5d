"""The relay's figures in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from chain_client.relay.figures import Role, Tally

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(tally: Tally, is_ready: bool) -> bytes:
    """All metrics, as they are now; a registry of their own holds them.

    Args:
        tally: of the relay.
        is_ready: as ``/healthz`` says.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(lambda: _metrics(tally, is_ready)))
    return generate_latest(registry)


class _Collector:
    """What `CollectorRegistry.register` takes."""

    def __init__(self, metrics: Callable[[], Iterator[Metric]]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics()


def _metrics(tally: Tally, is_ready: bool) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    figures = tally.figures
    gauges = {
        "relay_ready": ("Whether the relay can do its work.", int(is_ready)),
        "relay_anchors": (
            "Whether this relay is the one that anchors.",
            int(figures.role is Role.ANCHORS),
        ),
        "log_entries": ("Entries in the log.", figures.entries),
        "log_anchored_entries": ("Entries that a head on chain covers.", figures.anchored),
        "log_final_entries": ("Entries that a final head covers.", figures.final),
        "oldest_unanchored_seconds": (
            "Age of the oldest entry that no head on chain covers; 0 if there is none.",
            _age_s(tally),
        ),
        "writer_balance_wei": ("Balance of the log writer's key.", tally.balance_wei),
    }
    for name, (text, value) in gauges.items():
        if value is not None:
            yield GaugeMetricFamily(f"mlops_chain_{name}", text, value=value)
    counters = {
        "relay_sequenced_entries": ("Entries this process added to the log.", tally.sequenced),
        "relay_anchor_transactions": ("Anchors this process brought on chain.", tally.anchors),
        "relay_anchored_entries": ("Entries that those anchors added.", tally.anchored),
        "relay_gas_used": ("Gas that those anchors used.", tally.gas_used),
    }
    for name, (text, count) in counters.items():
        yield CounterMetricFamily(f"mlops_chain_{name}", text, value=count)
    alarms = GaugeMetricFamily("mlops_chain_alarms", "Alarms that stand, by kind.", labels=["kind"])
    for kind, number in sorted(Counter(kind for kind, _ in figures.alarms).items()):
        alarms.add_metric([kind], number)
    yield alarms
    yield from _observers(tally)


def _observers(tally: Tally) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    counters = {
        "told": "Notices that a plugin was told.",
        "failed": "Notices for which a plugin failed.",
        "skipped": "Notices that a plugin was not told, or not in time.",
    }
    for name, text in counters.items():
        counter = CounterMetricFamily(f"mlops_chain_observer_{name}", text, labels=["observer"])
        for one in tally.observers:
            counter.add_metric([one.name], getattr(one, name))
        yield counter
    waiting = GaugeMetricFamily(
        "mlops_chain_observer_waiting", "Notices that wait for a plugin.", labels=["observer"]
    )
    hanging = GaugeMetricFamily(
        "mlops_chain_observer_hanging",
        "Calls of a plugin that take too long and have not come back.",
        labels=["observer"],
    )
    trouble = GaugeMetricFamily(
        "mlops_chain_observer_trouble", "Whether a plugin can't be told now.", labels=["observer"]
    )
    for one in tally.observers:
        waiting.add_metric([one.name], one.waiting)
        hanging.add_metric([one.name], one.hanging)
        trouble.add_metric([one.name], int(one.trouble is not None))
    yield waiting
    yield hanging
    yield trouble


def _age_s(tally: Tally) -> float | None:
    if tally.figures.entries is None:
        return None
    return tally.figures.oldest_waiting_s or 0.0
