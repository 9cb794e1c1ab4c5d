"""What is said while nothing answers."""

from __future__ import annotations

import logging

import pytest

from airflow_chain.triggers.patience import Outage


def test_an_outage_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(logging.getLogger("triggers"), "look at the anchor")
    with caplog.at_level("INFO"):
        outage.ended()
        for _ in range(2):
            outage.began("the node is away")
            outage.began("the node is still away")
            outage.ended()
            outage.ended()
    away = "mlops-chain: can't look at the anchor now; waiting: the node is away"
    assert [record.message for record in caplog.records] == [
        away,
        "mlops-chain: can look at the anchor again",
        away,
        "mlops-chain: can look at the anchor again",
    ]
