"""Writes to runs and experiments, each as one function of the writer."""

from __future__ import annotations

from typing import Any

from tests.storm.names import CONTENDED
from tests.storm.writer import Writer

_VALUES = (float("nan"), float("inf"), -float("inf"), -0.0, 1e-320, 1.7976931348623157e308, 0.1)
_SIZES = (1, 5, 40, 400, 1000)
_TEXTS = ("", "å∂ß", "\U0001f600" * 3, "x" * 450, "line\nline")


def create_run(w: Writer) -> None:
    w.add_run()


def log_metric(w: Writer) -> None:
    point = _point(w)
    w.client.log_metric(w.run(), point.key, point.value, point.timestamp, point.step)


def log_batch(w: Writer) -> None:
    from mlflow.entities import Param, RunTag

    size = w.rng.choice(_SIZES)
    metrics = [_point(w) for _ in range(size)]
    params, tags = [], []
    if w.rng.random() < 0.5 and size <= 400:
        params = [Param(w.fresh("param"), _text(w)) for _ in range(min(size, 50))]
        tags = [RunTag(w.fresh("tag"), _text(w)) for _ in range(min(size, 50))]
    if w.rng.random() < 0.3:
        metrics = [] if params else metrics
        tags = [RunTag(_contended_key(w), w.fresh("value")) for _ in range(2)] + tags[:10]
    if size == 5:
        metrics = [*metrics, *metrics[:2]]  # MLflow keeps equal points once
    w.client.log_batch(w.run(), metrics[: 1000 - len(params) - len(tags)], params, tags)


def log_batch_that_is_refused(w: Writer) -> None:
    from mlflow.entities import Param

    run_id = w.own_run()
    key = w.fresh("param")
    w.client.log_param(run_id, key, "first")
    w.client.log_batch(run_id, [_point(w)], [Param(key, "second")], [])


def log_param(w: Writer) -> None:
    w.client.log_param(w.run(), w.fresh("param"), _text(w))


def change_param(w: Writer) -> None:
    run_id, key = w.own_run(), w.fresh("param")
    w.client.log_param(run_id, key, "first")
    w.client.log_param(run_id, key, "second")


def set_tag(w: Writer) -> None:
    w.client.set_tag(w.run(), w.fresh("tag"), _text(w))


def set_contended_tag(w: Writer) -> None:
    w.client.set_tag(w.shared.run_id, _contended_key(w), w.fresh("value"))


def set_and_delete_tag(w: Writer) -> None:
    run_id, key = w.run(), w.fresh("tag")
    w.client.set_tag(run_id, key, w.fresh("value"))
    w.client.set_tag(run_id, key, w.fresh("value"))
    w.client.delete_tag(run_id, key)


def delete_contended_tag(w: Writer) -> None:
    w.client.delete_tag(w.shared.run_id, _contended_key(w))


def rename_run(w: Writer) -> None:
    if w.rng.random() < 0.5:
        w.client.update_run(w.own_run(), name=w.fresh("name"))
    else:
        w.client.set_tag(w.own_run(), "mlflow.runName", w.fresh("name"))


def end_run(w: Writer) -> None:
    status = w.rng.choice(("FINISHED", "FAILED", "KILLED"))
    w.client.set_terminated(w.own_run(), status, 1_800_000_000_000 + w.names.number())


def delete_run(w: Writer) -> None:
    run_id = w.add_run()
    w.runs.remove(run_id)
    w.client.delete_run(run_id)
    if w.rng.random() < 0.6:
        w.client.restore_run(run_id)
        w.runs.append(run_id)


def log_inputs(w: Writer) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

    inputs = []
    for _ in range(w.rng.choice((1, 2))):
        digest = w.fresh("d")[-36:]
        # A name that many runs of one experiment use: its row is made by one of them.
        name = digest = f"{CONTENDED}-data" if w.rng.random() < 0.3 else digest
        dataset = Dataset(name, digest, "local", '{"uri": "data"}', "{}", "{}")
        inputs.append(DatasetInput(dataset, [InputTag("context", w.fresh("tag"))]))
    run_id = w.add_run()
    models = [LoggedModelInput(w.logged_model())] if w.rng.random() < 0.4 else None
    w.client.log_inputs(run_id, inputs, models)


def log_outputs(w: Writer) -> None:
    from mlflow.entities import LoggedModelOutput

    w.client.log_outputs(w.add_run(), [LoggedModelOutput(w.logged_model(), w.names.number())])


def log_files(w: Writer) -> None:
    if w.folder is None:
        return
    run_id, name = w.own_run(), w.fresh("file")
    if w.rng.random() < 0.5:
        w.client.log_text(run_id, name * 10, f"texts/{name}.txt")
        return
    folder = w.folder / name
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.bin").write_bytes(w.rng.randbytes(w.rng.choice((0, 10, 200_000))))
    w.client.log_artifacts(run_id, str(folder), f"folders/{name}")


def change_experiment(w: Writer) -> None:
    """A life of an experiment; nothing is deleted in it but the experiment itself."""
    client, made = w.client, w.client.create_experiment(w.fresh("experiment"))
    for _ in range(2):
        client.create_run(made, run_name=w.fresh("run"))
    client.set_experiment_tag(made, "kept", w.fresh("value"))
    client.rename_experiment(made, w.fresh("renamed"))
    client.delete_experiment(made)
    if w.rng.random() < 0.7:
        client.restore_experiment(made)
        client.create_run(made, run_name=w.fresh("run"))


def tag_experiment(w: Writer) -> None:
    client, key = w.client, w.fresh("tag")
    client.set_experiment_tag(w.shared.experiment_id, _contended_key(w), w.fresh("value"))
    client.set_experiment_tag(w.own_experiment(), key, w.fresh("value"))
    client.delete_experiment_tag(w.own_experiment(), key)


def _point(w: Writer) -> Any:
    from mlflow.entities import Metric

    value = w.rng.choice(_VALUES) if w.rng.random() < 0.2 else w.rng.uniform(-1e6, 1e6)
    number = w.names.number()
    step = number | 1 << 60 if w.rng.random() < 0.05 else number
    key = w.rng.choice(("loss", "accuracy", "übung/größe", "k" * 250))
    return Metric(key, value, 1_700_000_000_000 + w.rng.randrange(1000), step)


def _text(w: Writer) -> str:
    return w.rng.choice(_TEXTS) + w.fresh("text")


def _contended_key(w: Writer) -> str:
    return f"{CONTENDED}-{w.rng.randrange(3)}"
