"""What the last line of a verification says."""

from __future__ import annotations

import pytest

from chain_client.cli.verify import _print
from chain_client.verify.report import Check, Report


def test_what_mlflow_shows_is_praised_only_if_a_database_was_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report([Check("chain", True, "fine")])
    _print(report)
    alone = capsys.readouterr().out
    assert "It holds." in alone
    assert "What MLflow shows" not in alone
    assert "no database records here" in " ".join(alone.split())
    report.compared = 1
    _print(report)
    assert "What MLflow shows is what was recorded." in capsys.readouterr().out
