"""What a verification prints for people."""

from __future__ import annotations

import pytest

from chain_client.cli.explain import _print as print_explainable
from chain_client.cli.output import counted
from chain_client.cli.verify import _print
from chain_client.hosts import Finding
from chain_client.verify.explanations import Explained
from chain_client.verify.report import Check, Report

SUBJECT = f"run {'4f1c' * 8}/metric a_metric_with_quite_a_long_name step 12"


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


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["mlflow"], "What MLflow shows is"),
        (["airflow"], "What Airflow shows is"),
        (["airflow", "mlflow"], "What MLflow and Airflow show is"),
    ],
)
def test_only_what_was_compared_is_praised(
    capsys: pytest.CaptureFixture[str], names: list[str], expected: str
) -> None:
    _print(Report([Check(name, True, "fine") for name in names], compared=len(names)))
    assert f"{expected} what was recorded." in capsys.readouterr().out


def test_a_side_that_holds_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        Finding("metric_missing", SUBJECT, 0.5, None, "It is gone."),
        Finding("log_tile_changed", "log tiles", None, None, "A node was edited."),
    ]
    _print(Report([Check("mlflow", False, "2 findings")], findings=found))
    out = capsys.readouterr().out
    assert "  expected  0.5\n  actual    (nothing)\n" in out
    assert out.count("expected") == 1


def test_what_was_explained_stands_by_itself_below_the_checks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    finding = Finding("metric_changed", SUBJECT, 0.5, 0.9, "It is another.")
    reason = "the disk failed, and " * 6 + "[a] backup was put back"
    one = Explained(finding, "restored_backup", reason, "Ada", 0, "0x" + "5" * 40)
    _print(Report([Check("mlflow", True, "fine")], explained=[one], compared=1))
    out = capsys.readouterr().out
    assert f"\n\nExplained, and no finding any more:\n  metric_changed  {SUBJECT}\n" in out
    assert "[a] backup" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= max(80, len(f"  metric_changed  {SUBJECT}"))


def test_ids_are_not_broken_where_findings_are_to_be_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = f"run {'7a7a' * 8}"
    print_explainable([("s", Finding("metric_changed", SUBJECT, other, None, "It is another."))])
    out = capsys.readouterr().out
    assert out == f"metric_changed  {SUBJECT}\n  {other} → (nothing)\n"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 entries"), (1, "1 entry"), (1200, "1,200 entries")]
)
def test_what_is_counted_has_its_own_number(number: int, text: str) -> None:
    assert counted(number, "entry", "entries") == text
    assert counted(number, "event") == f"{number:,} event{'' if number == 1 else 's'}"
