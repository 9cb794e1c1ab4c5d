"""What is tried on tracking stores besides: what a setting records, and uses nobody intended."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import sqlalchemy
from mlflow.entities import (
    ExperimentTag,
    Metric,
    RunTag,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlMetric, SqlRun

from tests.integration.mlflow_stays.side_by_side import Operation, World, kept


def recorded_by_setting(store: Any) -> list[tuple[str, Operation]]:
    """Writes that are recorded by setting only."""

    def trace(s: Any, w: World) -> Any:
        location = TraceLocation.from_experiment_id(w["e"])
        info = TraceInfo(
            "tr-1", location, 5, TraceState.OK, request_preview="hello", tags={"a": "1"}
        )
        return s.start_trace(info)

    found: list[tuple[str, str, Operation]] = [
        ("start_trace", "trace", trace),
        ("start_trace", "trace again", trace),
        ("set_trace_tag", "trace tag", lambda s, w: s.set_trace_tag("tr-1", "b", "2")),
        ("set_trace_tag", "tag of no trace", lambda s, w: s.set_trace_tag("tr-none", "b", "2")),
        ("delete_trace_tag", "trace tag off", lambda s, w: s.delete_trace_tag("tr-1", "b")),
        ("delete_trace_tag", "trace tag off again", lambda s, w: s.delete_trace_tag("tr-1", "b")),
        ("link_traces_to_run", "link", lambda s, w: s.link_traces_to_run(["tr-1"], w["r"])),
        (
            "unlink_traces_from_run",
            "unlink",
            lambda s, w: s.unlink_traces_from_run(["tr-1"], w["r"]),
        ),
        ("get_trace_info", "get trace", lambda s, w: s.get_trace_info("tr-1")),
        (
            "delete_traces",
            "delete traces",
            lambda s, w: s.delete_traces(w["e"], trace_ids=["tr-1"]),
        ),
        ("delete_traces", "delete all and none", lambda s, w: s.delete_traces(w["e"])),
        ("register_scorer", "scorer", lambda s, w: s.register_scorer(w["e"], "sc", "{}")),
        ("register_scorer", "scorer of nothing", lambda s, w: s.register_scorer("99", "sc", "{}")),
        ("list_scorers", "scorers", lambda s, w: s.list_scorers(w["e"])),
        ("delete_scorer", "scorer off", lambda s, w: s.delete_scorer(w["e"], "sc")),
        ("delete_scorer", "scorer off again", lambda s, w: s.delete_scorer(w["e"], "sc")),
        (
            "create_dataset",
            "dataset",
            lambda s, w: kept(w, "d", s.create_dataset("ds", {"a": "1"}, [w["e"]])).name,
        ),
        (
            "set_dataset_tags",
            "dataset tags",
            lambda s, w: s.set_dataset_tags(w["d"].dataset_id, {"b": "2", "a": None}),
        ),
        (
            "upsert_dataset_records",
            "records",
            lambda s, w: s.upsert_dataset_records(
                w["d"].dataset_id, [{"inputs": {"q": "1"}, "expectations": {"a": "2"}}]
            ),
        ),
        (
            "upsert_dataset_records",
            "records of nothing",
            lambda s, w: s.upsert_dataset_records("d-none", [{"inputs": {"q": "1"}}]),
        ),
        ("delete_dataset", "dataset off", lambda s, w: s.delete_dataset(w["d"].dataset_id)),
        (
            "create_issue",
            "issue",
            lambda s, w: kept(w, "i", s.create_issue(w["e"], "slow", "it is slow")).name,
        ),
        ("update_issue", "issue again", lambda s, w: s.update_issue(w["i"].issue_id, name="n")),
        ("update_issue", "no issue", lambda s, w: s.update_issue("iss-none", name="n")),
        ("create_mcp_server", "tool server", lambda s, w: s.create_mcp_server("io.test/tool")),
        (
            "set_mcp_server_tag",
            "tool server tag",
            lambda s, w: s.set_mcp_server_tag("io.test/tool", "a", "1"),
        ),
        ("delete_mcp_server", "tool server off", lambda s, w: s.delete_mcp_server("io.test/tool")),
        (
            "create_review_queue",
            "no review queue",
            lambda s, w: s.create_review_queue(w["e"], name="q", queue_type="none"),
        ),
    ]
    return [(name, operation) for method, name, operation in found if hasattr(store, method)]


def odd_uses() -> list[tuple[str, Operation]]:
    def in_session(s: Any, w: World) -> Any:
        with s.ManagedSessionMaker() as session:
            return session.query(SqlMetric).filter_by(run_uuid=w["r"]).count()

    def write_in_session(s: Any, w: World) -> Any:
        with _writing(s) as session:
            session.query(SqlRun).filter_by(run_uuid=w["r"]).update({"name": "by hand"})
        return s.get_run(w["r"]).info.run_name

    def fail_in_session(s: Any, w: World) -> Any:
        with _writing(s) as session:
            session.add(SqlExperiment(name="first", lifecycle_stage="active"))

    def same_class(s: Any, w: World) -> Any:
        plain = next(c for c in type(s).__mro__ if not c.__name__.startswith("Chain"))
        return isinstance(s, plain), issubclass(type(s), plain), type(s).__module__, type(s).__doc__

    def another(s: Any, w: World) -> Any:
        other = type(s)(s.db_uri, s.artifact_root_uri)
        other.set_experiment_tag(w["e"], ExperimentTag("by", "another"))
        return other.get_experiment(w["e"])

    def through_pickle(s: Any, w: World) -> Any:
        return pickle.loads(pickle.dumps(s)).get_experiment(w["e"])  # noqa: S301

    def deep_copy(s: Any, w: World) -> Any:
        return copy.copy(s).get_experiment(w["e"])

    return [
        ("read in a session", in_session),
        ("write in a session", write_in_session),
        ("fail in a session", fail_in_session),
        ("ask for the class", same_class),
        ("build another by the class", another),
        ("pickle", through_pickle),
        ("copy", deep_copy),
        (
            "tables",
            lambda s, w: sorted(
                t for t in sqlalchemy.inspect(s.engine).get_table_names() if "mlops" not in t
            ),
        ),
        ("no such method", lambda s, w: s.no_such_method()),
        (
            "async logging",
            lambda s, w: s.log_batch_async(w["r"], [Metric("later", 1.0, 1, 1)], [], []).wait(),
        ),
        ("flush", lambda s, w: s.flush_async_logging()),
        ("written later", lambda s, w: s.get_metric_history(w["r"], "later")),
        ("stop", lambda s, w: s.shut_down_async_logging()),
        ("dispose", lambda s, w: s.engine.dispose()),
        ("read after disposal", lambda s, w: s.get_run(w["r"]).info.run_name),
        ("write after disposal", lambda s, w: s.set_tag(w["r"], RunTag("after", "1"))),
    ]


def _writing(store: Any) -> Any:
    """A session that writes, whether or not this MLflow asks what it is for."""
    import inspect

    made = store.ManagedSessionMaker
    if "read_only" in inspect.signature(made).parameters:
        return made(read_only=False)
    return made()
