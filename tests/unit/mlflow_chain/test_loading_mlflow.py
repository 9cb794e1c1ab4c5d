"""Threads that are the first to need MLflow, as those of a relay are."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys, threading, warnings
warnings.simplefilter("ignore")
from chain_client.hosts import StoreBinding, load_host
from mlflow_chain.files.locations import Storage

meet, failed = threading.Barrier(3), []

def use(work):
    try:
        meet.wait()
        work(load_host("mlflow"))
    except BaseException as exc:
        failed.append(repr(exc))

def look_in_the_database(host):
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

def look_at_files(host):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

def look_at_the_registry(host):
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

assert "mlflow" not in sys.modules
threads = [
    threading.Thread(target=use, args=(work,))
    for work in (look_in_the_database, look_at_files, look_at_the_registry)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(failed)
"""


def test_threads_that_need_it_at_once_find_it_whole() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr[-2000:]
