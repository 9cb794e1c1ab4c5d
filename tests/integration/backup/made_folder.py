"""Run as a script: a home and an MLflow database, copied once in mid-life and once at the end."""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

from chain_client import ChainClient, Settings

TRAIN = """
import warnings

warnings.simplefilter("ignore")

import mlflow

mlflow.set_tracking_uri("chain+sqlite:///mlflow.db")
with mlflow.start_run():
    mlflow.log_param("depth", 3)
    mlflow.log_metric("f1", 0.9)
    mlflow.log_text("made", "note.txt")
"""
PARTS = ("home", "mlflow.db", "mlruns")


def drain(home: Path) -> None:
    """What ``mlops-chain relay --once`` does."""
    client = ChainClient(Settings(home=home), ChainClient.open(Settings(home=home)).deployment)
    client.recorder.close()
    relay = client.relay()
    relay.start()
    relay.drain(patience_s=60)
    relay.close()
    client.close()


def keep(folder: Path, name: str) -> None:
    """Copy every part."""
    for part in PARTS:
        target = folder / name / part
        target.parent.mkdir(exist_ok=True)
        if (folder / part).is_dir():
            shutil.copytree(folder / part, target)
        else:
            shutil.copy(folder / part, target)


def main(folder: Path) -> None:
    """One run that both copies have, one that is in the newer log, and one that is in its spool."""
    home = folder / "home"
    ChainClient.open(Settings(home=home, relay_autostart=False), create=True).close()
    code = compile(TRAIN, "train.py", "exec")
    exec(code, {})  # noqa: S102 - the script above
    drain(home)
    keep(folder, "old")
    exec(code, {})  # noqa: S102
    drain(home)
    exec(code, {})  # noqa: S102
    ChainClient.open(Settings(home=home, relay_autostart=False)).recorder.close()
    keep(folder, "new")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
