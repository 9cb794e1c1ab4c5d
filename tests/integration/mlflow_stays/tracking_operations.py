"""What is tried on tracking stores: writes, reads and refusals."""

from __future__ import annotations

from typing import Any

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
    ViewType,
)
from mlflow.models import Model

from tests.integration.mlflow_stays.odd_operations import odd_uses, recorded_by_setting
from tests.integration.mlflow_stays.side_by_side import Operation, World, kept

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
        *recorded_by_setting(store),
        *odd_uses(),
        *_ends(),
    ]


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
        ("create experiment", lambda s, w: kept(w, "e", s.create_experiment("first"))),
        (
            "create experiment with tags",
            lambda s, w: kept(
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
