"""Each part put back alone: what the how-to says of it is what happens, word by word."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client import ChainClient
from chain_client.errors import ChainError
from tests.integration.backup.conftest import remove, restore
from tests.shell_pages import DOCS

Run = Callable[..., tuple[int, str, str]]
PAGE = DOCS / "how-to/back-up-and-restore.md"
pytestmark = pytest.mark.filterwarnings("ignore")


def quoted(heading: str) -> list[str]:
    """What the page quotes below a heading."""
    text = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(rf"^### {heading}\n(.*?)(?=^#)", text, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^```text\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    assert found
    return found


def assert_said(quote: str, output: str) -> None:
    """Every piece of a quote is there, in its order; … stands for anything."""
    words = " ".join(output.split())
    pattern = ".*".join(re.escape(" ".join(piece.split())) for piece in quote.split("…"))
    assert re.search(pattern, words), f"{quote}\nis not in\n{output}"


def kinds(run: Run) -> list[str]:
    code, out, _ = run("verify", "--json")
    found = [finding["kind"] for finding in json.loads(out)["findings"]]
    assert code == (1 if found else 0)
    return found


def explain(run: Run, kind: str = "restored_backup") -> None:
    assert run("explain", "--kind", kind, "--reason", "tried", "--who", "Ada", "--yes")[0] == 0


def relay(run: Run) -> None:
    code, out, err = run("relay", "--once")
    assert code == 0, out + err


def script_stops() -> str:
    """What a script or server that opens the home is told."""
    with pytest.raises(ChainError) as caught:
        ChainClient.open()
    return str(caught.value)


def spooled(folder: Path) -> int:
    """How many bytes wait there."""
    files = (folder / "home/spool").rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def test_the_newest_copies_together_hold(folder: Path, mlops_chain: Run) -> None:
    relay(mlops_chain)
    assert kinds(mlops_chain) == []


def test_an_older_database_of_mlflow_is_named_and_explained(folder: Path, mlops_chain: Run) -> None:
    restore(folder, "old", "mlflow.db")
    code, out, _ = mlops_chain("verify")
    assert code == 1
    (quote,) = quoted("An older database of MLflow")
    assert_said(quote, out)
    assert kinds(mlops_chain) == ["run_missing"] * 2
    explain(mlops_chain)
    relay(mlops_chain)
    assert kinds(mlops_chain) == []


def test_an_older_log_takes_nothing_in_and_the_newest_goes_on(
    folder: Path, mlops_chain: Run
) -> None:
    restore(folder, "old", "home/log.db")
    waiting = spooled(folder)
    assert waiting
    (quote,) = quoted("An older log")
    for _ in range(2):
        code, _, err = mlops_chain("relay", "--once")
        assert code == 2
        assert_said(quote, err)
    assert_said(quote, script_stops())
    assert mlops_chain("alarm", "list")[1].split()[1] == "head"
    assert "log_truncated" in kinds(mlops_chain)
    assert spooled(folder) == waiting
    restore(folder, "new", "home/log.db")
    relay(mlops_chain)
    assert spooled(folder) == 0
    assert kinds(mlops_chain) == []


def test_log_and_embedded_chain_of_one_backup_take_in_the_newer_spool(
    folder: Path, mlops_chain: Run
) -> None:
    restore(folder, "old", "home/log.db", "home/chain")
    relay(mlops_chain)
    assert kinds(mlops_chain) == ["run_unexpected"]
    explain(mlops_chain)
    relay(mlops_chain)
    assert kinds(mlops_chain) == []


def test_an_older_embedded_chain_stops_relays_and_scripts(folder: Path, mlops_chain: Run) -> None:
    restore(folder, "old", "home/chain")
    (quote,) = quoted("An older embedded chain")
    code, _, err = mlops_chain("relay", "--once")
    assert code == 2
    assert_said(quote, err)
    assert_said(quote, script_stops())
    assert kinds(mlops_chain) == ["chain_rolled_back"]
    restore(folder, "new", "home/chain")
    relay(mlops_chain)
    assert mlops_chain("alarm", "list")[0] == 0
    assert kinds(mlops_chain) == []


def test_of_an_older_spool_only_what_no_log_has_is_lost(folder: Path, mlops_chain: Run) -> None:
    restore(folder, "old", "home/spool")
    code, out, _ = mlops_chain("verify")
    (quote,) = quoted("An older spool")
    assert code == 1
    assert_said(quote, out)
    assert kinds(mlops_chain) == ["run_unexpected"]
    explain(mlops_chain, "other")
    relay(mlops_chain)
    assert kinds(mlops_chain) == []


def test_a_spool_that_the_log_has_already_is_not_taken_twice(
    folder: Path, mlops_chain: Run
) -> None:
    relay(mlops_chain)
    size = json.loads(mlops_chain("status", "--json")[1])["counts"]["finalized"]
    restore(folder, "new", "home/spool")
    relay(mlops_chain)
    assert json.loads(mlops_chain("status", "--json")[1])["counts"]["finalized"] == size
    assert kinds(mlops_chain) == []


def test_an_older_home_is_whole_in_itself_and_none_is_refused(
    folder: Path, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore(folder, "old", "home")
    relay(mlops_chain)
    assert kinds(mlops_chain) == ["run_unexpected"] * 2
    explain(mlops_chain)
    relay(mlops_chain)
    assert kinds(mlops_chain) == []
    deployment_id = json.loads((folder / "home/deployment.json").read_text())["deployment_id"]
    remove(folder / "home")
    with pytest.raises(ChainError) as caught:
        ChainClient.open(create=True, expected_deployment_id=deployment_id)
    (quote,) = quoted("An older home")
    assert_said(quote, str(caught.value))


@pytest.mark.parametrize(
    ("name", "stops", "goes_on"),
    [
        ("log-writer.json", ("relay", "--once", "--patience", "0.1"), ("verify",)),
        (
            "owner.json",
            ("explain", "--kind", "other", "--reason", "x", "--who", "A", "--yes"),
            ("relay", "--once"),
        ),
    ],
    ids=["log writer", "owner"],
)
def test_without_a_key_only_what_needs_it_stops(
    folder: Path, mlops_chain: Run, name: str, stops: tuple[str, ...], goes_on: tuple[str, ...]
) -> None:
    (folder / "home/keys" / name).unlink()
    quote = quoted("Keys")[name == "owner.json"]
    code, _, err = mlops_chain(*stops)
    assert code == 2
    assert_said(quote, err)
    assert mlops_chain(*goes_on)[0] == 0
    ChainClient.open().close()


def test_a_lost_deployment_file_is_found_again(folder: Path, mlops_chain: Run) -> None:
    file = folder / "home/deployment.json"
    before = json.loads(file.read_text())
    file.unlink()
    (quote,) = quoted("deployment.json")
    code, _, err = mlops_chain("verify")
    assert code == 2
    assert_said(quote, err)
    assert mlops_chain("init")[0] == 0
    after = json.loads(file.read_text())
    assert after == before
    assert kinds(mlops_chain) == []


def test_without_log_or_chain_recording_goes_on_and_all_else_says_so(
    folder: Path, mlops_chain: Run, caplog: pytest.LogCaptureFixture
) -> None:
    quotes = quoted("The log or the embedded chain is gone")
    for part, quote in zip(("home/log.db", "home/chain/embedded.db"), quotes, strict=True):
        remove(folder / part)
        code, _, err = mlops_chain("relay", "--once", "--patience", "0.1")
        assert code == 2
        assert_said(quote, err)
        assert mlops_chain("verify")[0] == 2
        ChainClient.open().close()
        assert "recording goes on, and the backlog waits in the spool" in caplog.text
        caplog.clear()
        restore(folder, "new", part)
    relay(mlops_chain)
    assert kinds(mlops_chain) == []
