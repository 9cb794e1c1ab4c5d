"""What became of what observers were told, as metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from chain_client.observing import ObserverFigures
from chain_client.relay.figures import Tally
from chain_client.relay.metrics import render


def test_every_observer_has_its_counts() -> None:
    tally = Tally(
        observers=(
            ObserverFigures("notifier", told=7, failed=1, skipped=2, waiting=3, hanging=4),
            ObserverFigures("other", trouble="it hangs"),
        )
    )
    text = render(tally, is_ready=True).decode()
    samples = {
        (sample.labels["observer"], sample.name.removeprefix("mlops_chain_observer_")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "observer" in sample.labels
    }
    names = ("told_total", "failed_total", "skipped_total", "waiting", "hanging", "trouble")
    assert [samples["notifier", name] for name in names] == [7, 1, 2, 3, 4, 0]
    assert [samples["other", name] for name in names] == [0, 0, 0, 0, 0, 1]
    assert "it hangs" not in text
