"""Train, verify, tamper, and see what `mlops-chain verify` names: what `make demo` runs.

It works in a temporary folder, which it removes, and drives the real things only: the training
script `quickstart.py`, the command `mlops-chain`, plain SQL and plain bytes. It is a check and
not a show: it fails if a tampering is not named, or if something is named that nobody touched.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.markup import escape

QUICKSTART = Path(__file__).with_name("quickstart.py")
WIDTH = 80
RELAY_ENDS_IN_S = 60

Finding = dict[str, Any]
Report = dict[str, Any]

out = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """The demo saw something else than it promises; the text says what."""


@dataclass(frozen=True)
class Tampering:
    """One thing that somebody changes behind MLflow's back.

    Args:
        title: what it is, in a few words.
        file: the file that is changed; it is put back afterwards.
        how: the change as a person would make it, line by line.
        apply: makes the change.
        kind: kind of the finding that must name it.
        subject: what that finding's subject begins with.
        expected: what the finding must say was recorded; None if it need not say it.
        actual: what the finding must say is there now; None if it need not say it.
        alone: whether nothing but this may be found.
    """

    title: str
    file: Path
    how: list[str]
    apply: Callable[[], None]
    kind: str
    subject: str
    expected: Any = None
    actual: Any = None
    alone: bool = True

    def named_by(self, finding: Finding) -> bool:
        """Whether a finding names this tampering."""
        return (
            finding["kind"] == self.kind
            and str(finding["subject"]).startswith(self.subject)
            and self.expected in (None, finding["expected"])
            and self.actual in (None, finding["actual"])
        )


class Scene:
    """A folder with everything in it: MLflow's database and files, and the home.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.database = self.folder / "mlflow.db"
        self.home = self.folder / "home"
        self.log = self.home / "log.db"
        ours = ("MLFLOW_", "MLOPS_CHAIN_")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            "MLFLOW_TRACKING_URI": f"chain+sqlite:///{self.database}",
            "MLOPS_CHAIN_HOME": str(self.home),
            "MLOPS_CHAIN_RELAY_IDLE_S": "1",
            # Quiet, but no error is hidden: MLflow tells of its tables and migrations, and
            # scikit-learn of what MLflow's autologging will have to change one day.
            "MLFLOW_LOGGING_LEVEL": "WARNING",
            "PYTHONWARNINGS": "ignore::FutureWarning",
            "MPLBACKEND": "agg",
            "DO_NOT_TRACK": "true",
            "COLUMNS": str(WIDTH - 3),
        }

    def train(self) -> str:
        """Run the training script; returns all that it printed."""
        return self._run([sys.executable, str(QUICKSTART)], stderr=subprocess.STDOUT).stdout

    def drain(self) -> dict[str, Any]:
        """Bring everything to the chain; returns what `relay --once` says."""
        return dict(json.loads(self._command("relay", "--once", "--json").stdout))

    def verify_for_people(self) -> str:
        """What `verify` prints; it must hold."""
        return self._command("verify").stdout

    def verify(self) -> tuple[int, Report]:
        """Exit code and report of `verify`."""
        done = self._command("verify", "--json", codes=(0, 1))
        return done.returncode, dict(json.loads(done.stdout))

    def gas(self) -> list[int]:
        """Gas of each anchoring transaction, read from the chain."""
        from chain_client import ChainClient
        from chain_client.config import Settings

        client = ChainClient.open(Settings.from_environment(self._environment, self.folder))
        with closing(client):
            first, last = client.deployment.block_number, client.ledger.block().number
            anchors = client.contract.heads(client.deployment.log_id, first, last)
            receipts = [client.ledger.receipt(anchor.tx_hash) for anchor in anchors]
        return [receipt.gas_used for receipt in receipts if receipt is not None]

    def tamperings(self) -> list[Tampering]:
        """What somebody with access to the files might do."""
        [[run, key, score]] = _sql(
            self.database,
            "SELECT run_uuid, key, value FROM metrics WHERE key = 'best_f1'",
        )
        [[trial, c]] = _sql(
            self.database,
            "SELECT run_uuid, value FROM params WHERE key = 'logisticregression__C' "
            "ORDER BY CAST(value AS REAL) DESC LIMIT 1",
        )
        [model] = self.folder.glob("mlruns/*/models/*/artifacts/model.*")  # skops, or pickle
        entry = _sql(
            self.log,
            "SELECT log_index FROM payloads WHERE CAST(event AS TEXT) LIKE '%best_f1%' LIMIT 1",
        )[0][0]
        metric = f"value = 0.9999 WHERE key = '{key}' AND run_uuid = '{run}'"
        param = f"DELETE FROM params WHERE key = 'logisticregression__C' AND run_uuid = '{trial}'"
        row = f"DELETE FROM entries WHERE log_index = {entry}"
        middle = model.stat().st_size // 2
        return [
            Tampering(
                title="A metric is made prettier",
                file=self.database,
                how=[f"UPDATE metrics SET {metric}", "the same in latest_metrics"],
                apply=lambda: _execute(
                    self.database,
                    f"UPDATE metrics SET {metric}",
                    f"UPDATE latest_metrics SET {metric}",
                ),
                kind="metric_changed",
                subject=f"run {run}/metric {key}",
                expected=score,
                actual=0.9999,
            ),
            Tampering(
                title="A param is deleted",
                file=self.database,
                how=[param],
                apply=lambda: _execute(self.database, param),
                kind="param_missing",
                subject=f"run {trial}/param logisticregression__C",
                expected=c,
            ),
            Tampering(
                title="One byte of the registered model is flipped",
                file=model,
                how=[f"byte {middle:,} of {model.name}, somewhere below mlruns/"],
                apply=lambda: _flip(model, middle),
                kind="artifact_changed",
                subject=f"logged model {model.parent.parent.name}/artifact {model.name}",
            ),
            Tampering(
                title="The log forgets that the metric was recorded",
                file=self.log,
                how=[row],
                apply=lambda: _execute(self.log, row),
                kind="log_entry_missing",
                subject=f"log entry {entry}",
                # The tree no longer has the root that stands on chain, and its source has a gap.
                alone=False,
            ),
        ]

    def wait_for_relays(self) -> None:
        """Return when the relays that recorders of this home started have ended by themselves."""
        relays = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.home) and "chain_client.cli" in process.cmdline():
                    relays.append(process)
            except psutil.Error:
                continue
        _, alive = psutil.wait_procs(relays, timeout=RELAY_ENDS_IN_S)
        for process in alive:
            process.terminate()
        psutil.wait_procs(alive, timeout=RELAY_ENDS_IN_S)

    def _command(
        self, *arguments: str, codes: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "chain_client.cli", *arguments]
        return self._run(command, codes=codes, stderr=subprocess.PIPE)

    def _run(
        self, command: list[str], *, stderr: int, codes: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
        )
        if done.returncode not in codes:
            said = "\n".join(text for text in (done.stdout, done.stderr) if text)
            raise DemoFailed(f"{' '.join(command)}\nended with {done.returncode}:\n{said}")
        return done


def examine(scene: Scene, tampering: Tampering) -> None:
    """Tamper, show what `verify` says, and put back what was there.

    Raises:
        DemoFailed: the tampering was not named, or something was that nobody touched.
    """
    with _put_back(tampering.file):
        tampering.apply()
        code, report = scene.verify()
    findings: list[Finding] = report["findings"]
    named = [finding for finding in findings if tampering.named_by(finding)]
    _show_findings(named)
    others = [finding for finding in findings if finding not in named]
    if code != 1 or report["ok"] or not named:
        raise DemoFailed(f"verify (exit code {code}) did not name it:\n{_pretty(findings)}")
    if others and tampering.alone:
        raise DemoFailed(f"verify named what nobody touched:\n{_pretty(others)}")
    if others:
        _row("", "and what follows from it: " + ", ".join(f["kind"] for f in others))


def play(folder: Path) -> None:
    """The whole demo in an empty folder.

    Raises:
        DemoFailed: something was not as it should be.
    """
    scene = Scene(folder)
    try:
        _title("1. Train: plain MLflow, four models, the best one registered")
        _line("$ MLFLOW_TRACKING_URI=chain+sqlite:///mlflow.db python quickstart.py")
        for line in scene.train().splitlines():
            _line(line, style="dim")

        _title("2. Bring the record to the chain")
        _line("$ mlops-chain relay --once")
        _show_chain(scene.drain(), scene.gas())

        _title("3. Verify: is everything still as it was recorded?")
        _line("$ mlops-chain verify")
        for line in scene.verify_for_people().splitlines():
            out.print(f"   {escape(line)}")

        _title("4. Tamper behind MLflow's back, and verify again after each")
        tamperings = scene.tamperings()
        for letter, tampering in zip("abcd", tamperings, strict=True):
            out.print(f"\n   [bold]{letter}) {escape(tampering.title)}[/]")
            _row("tamper", *tampering.how)
            examine(scene, tampering)

        _title("5. Everything is put back: verify again")
        _expect_sound(scene)
        out.print(f"\n[bold green]All {len(tamperings)} tamperings were named.[/]")
    finally:
        scene.wait_for_relays()


def main() -> int:
    """Play the demo; the exit code is 0 if everything was named."""
    parser = argparse.ArgumentParser(description="Train, verify, tamper, verify again.")
    parser.add_argument(
        "--keep", metavar="DIR", type=Path, help="work in this new or empty folder, and keep it"
    )
    keep: Path | None = parser.parse_args().keep
    began = time.monotonic()
    try:
        if keep is None:
            with tempfile.TemporaryDirectory(prefix="mlops-chain-demo-") as folder:
                play(Path(folder))
        else:
            keep.mkdir(parents=True, exist_ok=True)
            if any(keep.iterdir()):
                parser.error(f"{keep} is not empty")
            play(keep)
    except DemoFailed as exc:
        out.print(f"\n[bold red]The demo failed.[/] {escape(str(exc))}")
        return 1
    out.print(f"It took {time.monotonic() - began:.0f} s, and ", end="")
    if keep is None:
        out.print("the folder it worked in is removed. Next: docs/tutorial.md")
    else:
        out.print(f"everything is kept in {keep}")
    return 0


def _expect_sound(scene: Scene) -> None:
    code, report = scene.verify()
    if code != 0 or not report["ok"] or report["findings"]:
        raise DemoFailed(f"verify (exit code {code}) does not hold:\n{_pretty(report)}")
    out.print("   [bold green]It holds.[/]")


def _show_chain(drained: dict[str, Any], gas: list[int]) -> None:
    events, count = drained["size"], len(gas)
    if not events or not count:
        raise DemoFailed(f"nothing was anchored: {drained}")
    _row("chain", f"{drained['chain_id']}, embedded: a file in the home, no node needed")
    _row("contract", f"EventLog at {drained['event_log']}")
    _row(
        "anchored",
        f"{events} events, the last in block {drained['block']} by transaction",
        drained["transaction"],
    )
    _row("gas", f"{sum(gas):,} in {count} transactions, {sum(gas) / events:,.0f} an event")
    _row("", "small batches cost most: in one of 4,000 events it is about 13 an event")


def _show_findings(findings: list[Finding]) -> None:
    for finding in findings:
        out.print(f"   verify    [bold red]{finding['kind']}[/]")
        _row("", finding["subject"])
        for name, value in (("recorded", finding["expected"]), ("now", finding["actual"])):
            if value is not None:
                _row("", f"{name:8}  {_value(value)}")
        if finding["expected"] is None or finding["actual"] is None:
            _row("", finding["detail"])


def _value(value: Any) -> str:
    if isinstance(value, dict) and "sha256" in value:
        return f"{value['size']:,} bytes, SHA-256 {value['sha256'][:16]}…"
    return str(value)


def _title(text: str) -> None:
    out.print(f"\n[bold]{escape(text)}[/]")


def _row(name: str, *texts: str) -> None:
    for text in texts:
        _line(text, first=f"{name:10}")
        name = ""


def _line(text: str, *, first: str = "", style: str | None = None) -> None:
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent="   " + first,
        subsequent_indent=" " * (3 + len(first)),
        break_on_hyphens=False,
    )
    for line in lines:
        out.print(escape(line), style=style)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


@contextmanager
def _put_back(file: Path) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="mlops-chain-demo-") as folder:
        copy = shutil.copy2(file, folder)
        try:
            yield
        finally:
            shutil.copy2(copy, file)


def _sql(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


def _execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            if connection.execute(statement).rowcount != 1:
                raise DemoFailed(f"expected to change one row: {statement}")


def _flip(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
