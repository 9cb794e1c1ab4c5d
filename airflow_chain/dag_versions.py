"""Which graph a DAG run has, and whether that graph was recorded before."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_chain.mapping import Mapped
from airflow_chain.mapping.final_states import find_session
from airflow_chain.mapping.graph import map_dag_version, to_graph

_MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class GraphOfRun:
    """The graph of a DAG run.

    Args:
        sha256: of its canonical bytes, 64 hexadecimal digits; the end of its subject's id.
        new: what is to be noted first, if no process of this home has noted it before.
    """

    sha256: str
    new: Mapped | None


class DagVersions:
    """What this process and this home know of graphs; no I/O until it is asked.

    Args:
        folder: of the marks, one small file for each graph; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[weakref.ref[Any], str, Mapped | None]] = {}

    def find(self, dag_run: Any) -> GraphOfRun | None:
        """The graph of a run; built once for each object that Airflow keeps of a DAG.

        Returns:
            None if the run has no DAG at hand.
        """
        dag = getattr(dag_run, "dag", None)
        if dag is None:
            return None
        known = self._known.get(dag.dag_id)
        if known is None or known[0]() is not dag:
            mapped = _map(dag_run, dag)
            sha256 = mapped.id.rpartition("/")[2]
            new = None if self._mark(sha256).exists() else mapped
            known = (weakref.ref(dag), sha256, new)
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[dag.dag_id] = known
        return GraphOfRun(known[1], known[2])

    def confirm(self, graph: GraphOfRun) -> None:
        """Remember that it stands in the spool: called after it was noted, never before.

        A process that dies in between lets another one note it again: it is there at least once.
        """
        for dag_id, (dag, sha256, _) in list(self._known.items()):
            if sha256 == graph.sha256:
                self._known[dag_id] = (dag, sha256, None)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(self._mark(graph.sha256), flags, 0o600))
        except FileExistsError:
            return  # another scheduler was as quick

    def _mark(self, sha256: str) -> Path:
        return self._folder / sha256


def _map(dag_run: Any, dag: Any) -> Mapped:
    version = _read_version(dag_run)
    graph = to_graph(
        dag,
        bundle_name=None if version is None else version.bundle_name,
        bundle_version=None if version is None else version.bundle_version,
    )
    return map_dag_version(
        graph,
        version_number=None if version is None else version.version_number,
        version_id=None if version is None else str(version.id),
    )


def _read_version(dag_run: Any) -> Any:
    """Airflow's own row of the version that the run has now; None if it has none.

    A run of a bundle with versions keeps the one it was created with; others go on with the
    newest (`airflow.models.dagbag.DBDagBag`).
    """
    from airflow.models.dag_version import DagVersion
    from sqlalchemy import select

    session = find_session(dag_run)
    if session is None:
        return None
    loaded = vars(dag_run)
    query = select(
        DagVersion.id,
        DagVersion.version_number,
        DagVersion.bundle_name,
        DagVersion.bundle_version,
    )
    if loaded.get("bundle_version") and loaded.get("created_dag_version_id"):
        query = query.where(DagVersion.id == loaded["created_dag_version_id"])
    else:
        query = query.where(DagVersion.dag_id == loaded["dag_id"])
        query = query.order_by(DagVersion.version_number.desc()).limit(1)
    with session.no_autoflush:
        return session.execute(query).first()
