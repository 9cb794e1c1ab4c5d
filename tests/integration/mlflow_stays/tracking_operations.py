"""What is tried on tracking stores: writes, reads, refusals, and uses that nobody intended."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import sqlalchemy
from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunStatus,
    RunTag,
    TraceInfo,
    TraceLocation,
    TraceState,
    ViewType,
)
from mlflow.models import Model
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlMetric, SqlRun

from tests.integration.mlflow_stays.side_by_side import Operation, World

NOTHING: Any = None
"""None where MLflow's annotations do not allow it."""
TEXT: Any = "text"
FIVE: Any = 5
NUMERAL: Any = "1.5"

LONG = "x" * 10_000
NAN, INF = float("nan"), float("inf")
MISSING = "0" * 31 + "f"


def operations(store: Any) -> list[tuple[str, Operation]]:
    """Every operation that the installed MLflow can carry out, in the order to run them."""
    return [
        *_experiments(),
        *_runs(),
        *_values(),
        *_batches(),
        *_inputs(),
        *_searches(),
        *_logged_models(),
        *_passed(store),
        *_odd_uses(),
        *_ends(),
    ]


def _kept(world: World, name: str, value: Any) -> Any:
    world[name] = value
    return value


def _experiments() -> list[tuple[str, Operation]]:
    names: list[Any] = ["", None, 5, "a" * 600, "a/b", "ünï 🎉", " ", "Default", "x'; --"]
    tags: list[Any] = [
        ExperimentTag("", "v"),
        ExperimentTag("k" * 300, "v"),
        ExperimentTag("k", "v" * 6000),
        ExperimentTag("../k", "v"),
        ExperimentTag("k", ""),
        ExperimentTag("k", NOTHING),
    ]
    ids: list[Any] = ["0", 0, "99", 99, "abc", None, -1, "", 2**70]
    return [
        ("create experiment", lambda s, w: _kept(w, "e", s.create_experiment("first"))),
        (
            "create experiment with tags",
            lambda s, w: _kept(
                w, "e2", s.create_experiment("second", "/somewhere", [ExperimentTag("a", "1")])
            ),
        ),
        (
            "create experiment with tags given once",
            lambda s, w: s.get_experiment(
                s.create_experiment("third", None, iter([ExperimentTag("a", "1")]))
            ),
        ),
        ("create experiment by keywords", lambda s, w: s.create_experiment(name="kw", tags=None)),
        ("create experiment again", lambda s, w: s.create_experiment("first")),
        ("create experiment without arguments", lambda s, w: s.create_experiment()),
        ("create experiment with too many", lambda s, w: s.create_experiment(1, 2, 3, 4, 5)),
        (
            "create experiment at a fragment",
            lambda s, w: s.create_experiment("fragment", "s3://b/p#x"),
        ),
        *(
            (f"create experiment named {n!r:.30}", lambda s, w, n=n: s.create_experiment(n))
            for n in names
        ),
        *(
            (f"set experiment tag {i}", lambda s, w, t=t: s.set_experiment_tag(w["e"], t))
            for i, t in enumerate(tags)
        ),
        *((f"get experiment {i!r}", lambda s, w, i=i: s.get_experiment(i)) for i in ids),
        *((f"delete experiment {i!r}", lambda s, w, i=i: s.delete_experiment(i)) for i in ids[2:]),
        (
            "set tag of no experiment",
            lambda s, w: s.set_experiment_tag("99", ExperimentTag("a", "1")),
        ),
        ("delete experiment tag", lambda s, w: s.delete_experiment_tag(w["e2"], "a")),
        ("delete experiment tag again", lambda s, w: s.delete_experiment_tag(w["e2"], "a")),
        ("rename experiment", lambda s, w: s.rename_experiment(w["e2"], "renamed")),
        ("rename to a name in use", lambda s, w: s.rename_experiment(w["e2"], "first")),
        ("rename to nothing", lambda s, w: s.rename_experiment(w["e2"], None)),
        ("rename no experiment", lambda s, w: s.rename_experiment("99", "n")),
        ("delete an experiment", lambda s, w: s.delete_experiment(w["e2"])),
        ("delete it again", lambda s, w: s.delete_experiment(w["e2"])),
        ("rename a deleted one", lambda s, w: s.rename_experiment(w["e2"], "n")),
        ("tag a deleted one", lambda s, w: s.set_experiment_tag(w["e2"], ExperimentTag("a", "1"))),
        ("create a deleted one", lambda s, w: s.create_experiment("renamed")),
        ("create run in a deleted one", lambda s, w: s.create_run(w["e2"], "u", 1, [], "n")),
        ("restore it", lambda s, w: s.restore_experiment(w["e2"])),
        ("restore it again", lambda s, w: s.restore_experiment(w["e2"])),
        ("restore no experiment", lambda s, w: s.restore_experiment("99")),
        ("get by name", lambda s, w: s.get_experiment_by_name("first")),
        ("get by no name", lambda s, w: s.get_experiment_by_name("nobody")),
    ]


def _runs() -> list[tuple[str, Operation]]:
    tags = [RunTag("mlflow.user", "me"), RunTag("a", "1")]

    def create(s: Any, w: World) -> Any:
        run = s.create_run(w["e"], "me", 5, tags, "named")
        w["r"] = run.info.run_id
        return run

    bad: list[tuple[str, tuple[Any, ...]]] = [
        ("no experiment", ("99", "me", 1, [], "n")),
        ("letters for an experiment", ("abc", "me", 1, [], "n")),
        ("None for an experiment", (None, "me", 1, [], "n")),
        ("a long name", ("0", "me", 1, [], "n" * 3000)),
        ("a long user", ("0", "u" * 3000, 1, [], "n")),
        ("text for a time", ("0", "me", "soon", [], "n")),
        ("a long tag", ("0", "me", 1, [RunTag("k", "v" * 9000)], "n")),
        ("a long key", ("0", "me", 1, [RunTag("k" * 300, "v")], "n")),
        ("two names", ("0", "me", 1, [RunTag("mlflow.runName", "other")], "n")),
        ("a name in a tag", ("0", "me", 1, [RunTag("mlflow.runName", "tagged")], None)),
        ("one tag twice", ("0", "me", 1, [RunTag("a", "1"), RunTag("a", "2")], "n")),
        ("None for tags", ("0", "me", 1, None, "n")),
        ("too few", ("0", "me")),
    ]
    updates: list[tuple[Any, ...]] = [
        (RunStatus.FINISHED, 9, "renamed"),
        (None, None, "again"),
        (RunStatus.FAILED, None, None),
        (None, None, None),
        (77, 1, "n"),
        (RunStatus.RUNNING, 2**62, ""),
        (RunStatus.RUNNING, -1, "n" * 400),
        (RunStatus.RUNNING, 1.5, "half"),
    ]
    return [
        ("create run", create),
        *((f"create run: {n}", lambda s, w, a=a: s.create_run(*a)) for n, a in bad),
        ("get run", lambda s, w: s.get_run(w["r"])),
        ("get no run", lambda s, w: s.get_run(MISSING)),
        ("get run None", lambda s, w: s.get_run(None)),
        *(
            (f"update run {i}", lambda s, w, a=a: s.update_run_info(w["r"], *a))
            for i, a in enumerate(updates)
        ),
        ("update no run", lambda s, w: s.update_run_info(MISSING, RunStatus.FAILED, 1, "n")),
        ("update by wrong name", lambda s, w: s.update_run_info(run="x")),
        ("delete run", lambda s, w: s.delete_run(w["r"])),
        ("delete run again", lambda s, w: s.delete_run(w["r"])),
        ("log to a deleted run", lambda s, w: s.log_metric(w["r"], Metric("m", 1.0, 1, 1))),
        ("tag a deleted run", lambda s, w: s.set_tag(w["r"], RunTag("a", "1"))),
        ("batch to a deleted run", lambda s, w: s.log_batch(w["r"], [], [Param("p", "1")], [])),
        ("restore run", lambda s, w: s.restore_run(w["r"])),
        ("restore run again", lambda s, w: s.restore_run(w["r"])),
        ("delete no run", lambda s, w: s.delete_run(MISSING)),
        ("restore no run", lambda s, w: s.restore_run(MISSING)),
    ]


def _values() -> list[tuple[str, Operation]]:
    metrics = [
        Metric("m", 1.0, 1, 1),
        Metric("m", 1.0, 1, 1),
        Metric("m", NAN, 2, 2),
        Metric("m", NAN, 2, 2),
        Metric("m", INF, 3, 3),
        Metric("m", -INF, 4, 4),
        Metric("m", -0.0, 5, 5),
        Metric("m", 1e-320, 6, 6),
        Metric("m", 1.0, 7, 2**60),
        Metric("m", 1, 8, -3),
        Metric("m", NUMERAL, 9, 9),
        Metric("m", TEXT, 9, 9),
        Metric("m", NOTHING, 9, 9),
        Metric("", 1.0, 9, 9),
        Metric(NOTHING, 1.0, 9, 9),
        Metric("k" * 251, 1.0, 9, 9),
        Metric("../m", 1.0, 9, 9),
        Metric("m%", 1.0, 9, 9),
        Metric("m", 1.0, NOTHING, 9),
        Metric("m", 1.0, TEXT, 9),
        Metric("m", 1.0, 9, NOTHING),
        Metric("m", 1.0, 9, 2**70),
        Metric("ünï 🎉", 1.0, 9, 9),
    ]
    params: list[Any] = [
        Param("p", "1"),
        Param("p", "1"),
        Param("p", "2"),
        Param("n", FIVE),
        Param("none", NOTHING),
        Param("long", LONG),
        Param("", "1"),
        Param("k" * 300, "1"),
        Param("../p", "1"),
        Param("ünï", "🎉"),
        "no param",
    ]
    tags: list[Any] = [
        RunTag("t", "1"),
        RunTag("t", "2"),
        RunTag("t", ""),
        RunTag("t", LONG),
        RunTag("", "1"),
        RunTag("k" * 300, "1"),
        RunTag("mlflow.runName", "by tag"),
        RunTag("mlflow.runName", ""),
        RunTag("n", FIVE),
        None,
    ]
    return [
        *(
            (f"log metric {i}", lambda s, w, m=m: s.log_metric(w["r"], m))
            for i, m in enumerate(metrics)
        ),
        *(
            (f"log param {i}", lambda s, w, p=p: s.log_param(w["r"], p))
            for i, p in enumerate(params)
        ),
        *((f"set tag {i}", lambda s, w, t=t: s.set_tag(w["r"], t)) for i, t in enumerate(tags)),
        ("log metric to no run", lambda s, w: s.log_metric(MISSING, metrics[0])),
        ("log param to no run", lambda s, w: s.log_param(MISSING, params[0])),
        ("set tag of no run", lambda s, w: s.set_tag(MISSING, tags[0])),
        ("delete tag", lambda s, w: s.delete_tag(w["r"], "t")),
        ("delete tag again", lambda s, w: s.delete_tag(w["r"], "t")),
        ("delete tag of no run", lambda s, w: s.delete_tag(MISSING, "t")),
        ("history", lambda s, w: s.get_metric_history(w["r"], "m")),
        ("history in pages", lambda s, w: s.get_metric_history(w["r"], "m", max_results=2)),
        ("history of no metric", lambda s, w: s.get_metric_history(w["r"], "none")),
        ("run with values", lambda s, w: s.get_run(w["r"])),
    ]


def _batches() -> list[tuple[str, Operation]]:
    points = [Metric(f"b{i % 3}", i / 7, i, i) for i in range(40)]
    batches: list[tuple[Any, ...]] = [
        (points, [Param("bp", "1")], [RunTag("bt", "1")]),
        (points, [], []),
        ([], [], []),
        ([], [Param("bp", "2")], []),
        (points[:2], [Param("bp", "2")], [RunTag("bt", "9")]),
        ([], [Param("c", "1"), Param("c", "1")], []),
        ([], [Param("d", "1"), Param("d", "2")], []),
        ([], [], [RunTag("e", "1"), RunTag("e", "2")]),
        ([Metric("m", 0.0, 1, i) for i in range(1001)], [], []),
        ([], [Param(f"p{i}", "1") for i in range(101)], []),
        ([], [], [RunTag(f"t{i}", "1") for i in range(101)]),
        ([Metric("m", TEXT, 1, 1)], [], []),
        (None, None, None),
        ("abc", [], []),
        (iter(points[:3]), [], []),
        (tuple(points[:3]), (), ()),
        ([], [Param("long", LONG)], []),
    ]
    return [
        *((f"batch {i}", lambda s, w, b=b: s.log_batch(w["r"], *b)) for i, b in enumerate(batches)),
        (
            "batch by keywords",
            lambda s, w: s.log_batch(run_id=w["r"], metrics=[], params=[], tags=[]),
        ),
        ("batch to no run", lambda s, w: s.log_batch(MISSING, points[:1], [], [])),
        ("batch to None", lambda s, w: s.log_batch(None, points[:1], [], [])),
        ("run with batches", lambda s, w: s.get_run(w["r"])),
        ("model of a run", lambda s, w: s.record_logged_model(w["r"], Model(artifact_path="m"))),
        ("model that is none", lambda s, w: s.record_logged_model(w["r"], "model")),
    ]


def _inputs() -> list[tuple[str, Operation]]:
    def dataset(name: Any, digest: Any = "d1", **texts: Any) -> DatasetInput:
        given = {"source_type": "s", "source": "src", "schema": "{}", "profile": "{}"} | texts
        return DatasetInput(Dataset(name, digest, **given), [InputTag("mlflow.data.context", "x")])

    inputs: list[Any] = [
        [dataset("d")],
        [dataset("d")],
        [dataset("d"), dataset("e"), dataset("d")],
        [dataset("n" * 600)],
        [dataset("d", "h" * 50)],
        [dataset("d", profile="p" * 16_800_000)],
        [dataset("d", schema="s" * 1_100_000)],
        [dataset(None)],
        [DatasetInput(Dataset("t", "1", "s", "s"), [InputTag("k" * 300, "v")])],
        [],
        None,
    ]
    return [
        *(
            (f"log inputs {i}", lambda s, w, d=d: s.log_inputs(w["r"], d))
            for i, d in enumerate(inputs)
        ),
        ("log inputs to no run", lambda s, w: s.log_inputs(MISSING, [dataset("d")])),
        (
            "log models as inputs",
            lambda s, w: s.log_inputs(w["r"], None, [LoggedModelInput("m-1")]),
        ),
        ("log outputs", lambda s, w: s.log_outputs(w["r"], [LoggedModelOutput("m-1", 1)])),
        ("log outputs to no run", lambda s, w: s.log_outputs(MISSING, [LoggedModelOutput("m", 1)])),
        ("run with inputs", lambda s, w: s.get_run(w["r"])),
    ]


def _searches() -> list[tuple[str, Operation]]:
    filters: list[Any] = [
        "",
        "metrics.m > 0",
        "params.p = '1'",
        "tags.a LIKE '%'",
        "attributes.status = 'FINISHED'",
        "attributes.run_name ILIKE 'B%'",
        "metrics.m > 'x'",
        "nonsense",
        "metrics.m >",
        "params.p > 1 AND",
        "unknown.x = '1'",
        "datasets.name = 'd'",
        "a = 'b' OR c = 'd'",
        5,
    ]
    orders = [
        ["metrics.m DESC"],
        ["params.p"],
        ["attributes.end_time ASC"],
        ["bad..order"],
        ["x y z"],
    ]

    def runs(s: Any, w: World, **kwargs: Any) -> Any:
        given: dict[str, Any] = {"filter_string": "", "run_view_type": ViewType.ALL} | kwargs
        return s.search_runs([w["e"], "0"], **given)

    return [
        *((f"search runs {f!r}", lambda s, w, f=f: runs(s, w, filter_string=f)) for f in filters),
        *((f"order runs by {o}", lambda s, w, o=o: runs(s, w, order_by=o)) for o in orders),
        ("search too many runs", lambda s, w: runs(s, w, max_results=10**7)),
        ("search runs in pages", lambda s, w: runs(s, w, max_results=2)),
        ("search runs by a bad token", lambda s, w: runs(s, w, page_token="x")),
        ("search deleted runs", lambda s, w: runs(s, w, run_view_type=ViewType.DELETED_ONLY)),
        ("search runs nowhere", lambda s, w: s.search_runs([], "", ViewType.ALL)),
        *(
            (f"search experiments {f!r}", lambda s, w, f=f: s.search_experiments(filter_string=f))
            for f in (
                "name = 'first'",
                "tags.a = '1'",
                "nonsense",
                "name > 'a'",
                "last_update_time > 0",
            )
        ),
        *(
            (f"search {n} experiments", lambda s, w, n=n: s.search_experiments(max_results=n))
            for n in (1, 0, -1, 10**7, "x")
        ),
        ("search experiments by a bad token", lambda s, w: s.search_experiments(page_token="x")),
        ("order experiments", lambda s, w: s.search_experiments(order_by=["name DESC"])),
        ("order experiments badly", lambda s, w: s.search_experiments(order_by=["nothing"])),
    ]


def _logged_models() -> list[tuple[str, Operation]]:
    def create(s: Any, w: World) -> Any:
        model = s.create_logged_model(
            w["e"],
            "net",
            w["r"],
            [LoggedModelTag("a", "1")],
            [LoggedModelParameter("p", "1")],
            "kind",
        )
        w["m"] = model.model_id
        return model

    names: list[Any] = ["", "a/b", "a:b", "n" * 600, "ünï", None]
    return [
        ("create logged model", create),
        *(
            (
                f"logged model named {n!r:.20}",
                lambda s, w, n=n: s.create_logged_model(w["e"], n).name,
            )
            for n in names[:-1]
        ),
        ("logged model nowhere", lambda s, w: s.create_logged_model("99", "n")),
        (
            "logged model with a long param",
            lambda s, w: s.create_logged_model(
                w["e"], "n", params=[LoggedModelParameter("p", LONG)]
            ),
        ),
        (
            "metric of a model",
            lambda s, w: s.log_metric(w["r"], Metric("acc", NAN, 1, 1, w["m"], "d", "d1")),
        ),
        (
            "metric of no model",
            lambda s, w: s.log_metric(w["r"], Metric("acc", 1.0, 1, 1, "m-none")),
        ),
        (
            "model params",
            lambda s, w: s.log_logged_model_params(w["m"], [LoggedModelParameter("q", "1")]),
        ),
        (
            "model params again",
            lambda s, w: s.log_logged_model_params(w["m"], [LoggedModelParameter("q", "2")]),
        ),
        (
            "params of no model",
            lambda s, w: s.log_logged_model_params("m-none", [LoggedModelParameter("q", "2")]),
        ),
        ("model tags", lambda s, w: s.set_logged_model_tags(w["m"], [LoggedModelTag("b", "1")])),
        (
            "model tags that are too long",
            lambda s, w: s.set_logged_model_tags(w["m"], [LoggedModelTag("b", LONG)]),
        ),
        (
            "tags of no model",
            lambda s, w: s.set_logged_model_tags("m-none", [LoggedModelTag("b", "1")]),
        ),
        ("delete model tag", lambda s, w: s.delete_logged_model_tag(w["m"], "b")),
        ("delete model tag again", lambda s, w: s.delete_logged_model_tag(w["m"], "b")),
        ("finalize", lambda s, w: s.finalize_logged_model(w["m"], LoggedModelStatus.READY)),
        ("finalize badly", lambda s, w: s.finalize_logged_model(w["m"], "READY")),
        (
            "finalize no model",
            lambda s, w: s.finalize_logged_model("m-none", LoggedModelStatus.READY),
        ),
        ("get logged model", lambda s, w: s.get_logged_model(w["m"])),
        ("get no logged model", lambda s, w: s.get_logged_model("m-none")),
        ("search logged models", lambda s, w: s.search_logged_models([w["e"]])),
        (
            "search logged models by filter",
            lambda s, w: s.search_logged_models([w["e"]], filter_string="params.p = '1'"),
        ),
        ("search logged models badly", lambda s, w: s.search_logged_models([w["e"]], "bad filter")),
        ("delete logged model", lambda s, w: s.delete_logged_model(w["m"])),
        ("delete logged model again", lambda s, w: s.delete_logged_model(w["m"])),
        ("get deleted model", lambda s, w: s.get_logged_model(w["m"], allow_deleted=True)),
    ]


def _passed(store: Any) -> list[tuple[str, Operation]]:
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
            lambda s, w: _kept(w, "d", s.create_dataset("ds", {"a": "1"}, [w["e"]])).name,
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
            lambda s, w: _kept(w, "i", s.create_issue(w["e"], "slow", "it is slow")).name,
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


def _odd_uses() -> list[tuple[str, Operation]]:
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


def _ends() -> list[tuple[str, Operation]]:
    return [
        ("end run", lambda s, w: s.delete_run(w["r"])),
        ("deleted runs", lambda s, w: s._get_deleted_runs()),
        ("remove run", lambda s, w: s._hard_delete_run(w["r"])),
        ("removed run", lambda s, w: s.get_run(w["r"])),
        ("remove run again", lambda s, w: s._hard_delete_run(w["r"])),
        ("remove model", lambda s, w: s._hard_delete_logged_model(w["m"])),
        ("end experiment", lambda s, w: s.delete_experiment(w["e"])),
        ("remove experiment", lambda s, w: s._hard_delete_experiment(w["e"])),
        ("removed experiment", lambda s, w: s.get_experiment(w["e"])),
        ("remove experiment again", lambda s, w: s._hard_delete_experiment(w["e"])),
    ]
