"""Writes to logged models and to the model registry, each as one function of the writer."""

from __future__ import annotations

from tests.storm.names import CONTENDED
from tests.storm.writer import Model, Writer

# logged models


def log_model(w: Writer) -> None:
    """A whole life of a logged model."""
    from mlflow.entities import LoggedModelStatus

    model_id, key = w.logged_model(), w.fresh("tag")
    w.logged_models.remove(model_id)
    w.client.log_model_params(model_id, {w.fresh("param"): w.fresh("value")})
    w.client.set_logged_model_tags(model_id, {key: w.fresh("value"), w.fresh("tag"): "kept"})
    w.client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    w.client.delete_logged_model_tag(model_id, key)
    if w.rng.random() < 0.4:
        w.client.delete_logged_model(model_id)


def log_model_metric(w: Writer) -> None:
    w.client.log_metric(
        w.own_run(),
        "of a model",
        w.rng.uniform(0, 1),
        1_700_000_000_000 + w.rng.randrange(1000),
        w.names.number(),
        model_id=w.logged_model(),
    )


def note_model(w: Writer) -> None:
    from mlflow.models import Model as MlflowModel

    run_id = w.own_run()
    w.client._record_logged_model(run_id, MlflowModel(artifact_path=w.fresh("path"), run_id=run_id))


# the registry


def register(w: Writer) -> None:
    w.model()


def add_version(w: Writer) -> None:
    _version(w, w.model())


def change_version(w: Writer) -> None:
    model = w.model()
    number, key = _version(w, model), w.fresh("tag")
    client = w.client
    client.update_model_version(model.name, number, w.fresh("text"))
    client.set_model_version_tag(model.name, number, key, w.fresh("value"))
    client.set_model_version_tag(model.name, number, w.fresh("tag"), w.fresh("value"))
    client.delete_model_version_tag(model.name, number, key)


def move_version(w: Writer) -> None:
    model = w.model()
    number = _version(w, model)
    stage = w.rng.choice(("Staging", "Production"))
    archive = w.rng.random() < 0.5
    w.client.transition_model_version_stage(model.name, number, stage, archive)


def set_alias(w: Writer) -> None:
    model, alias = w.model(), w.fresh("alias")
    w.client.set_registered_model_alias(model.name, alias, _version(w, model))
    if w.rng.random() < 0.5:
        w.client.delete_registered_model_alias(model.name, alias)


def set_contended_alias(w: Writer) -> None:
    shared, alias = w.shared, f"{CONTENDED}-{w.rng.randrange(2)}"
    if w.rng.random() < 0.2:
        w.client.delete_registered_model_alias(shared.model, alias)
    else:
        number = w.rng.randrange(shared.versions) + 1
        w.client.set_registered_model_alias(shared.model, alias, str(number))


def change_model(w: Writer) -> None:
    model, key = w.model(), w.fresh("tag")
    w.client.update_registered_model(model.name, w.fresh("text"))
    w.client.set_registered_model_tag(model.name, key, w.fresh("value"))
    w.client.delete_registered_model_tag(model.name, key)


def set_contended_model_tag(w: Writer) -> None:
    key = f"{CONTENDED}-{w.rng.randrange(3)}"
    w.client.set_registered_model_tag(w.shared.model, key, w.fresh("value"))
    number = str(w.rng.randrange(w.shared.versions) + 1)
    w.client.set_model_version_tag(w.shared.model, number, key, w.fresh("value"))


def add_contended_version(w: Writer) -> None:
    """Two processes may want the same number: MLflow tries again inside the call."""
    run = w.client.get_run(w.shared.run_id)
    w.client.create_model_version(
        w.shared.model, f"{run.info.artifact_uri}/model", w.shared.run_id, {"made": w.fresh("tag")}
    )


def rename_model(w: Writer) -> None:
    model = w.model()
    _version(w, model)
    w.models.remove(model)
    new_name = w.fresh("registered")
    w.client.rename_registered_model(model.name, new_name)
    w.models.append(Model(new_name, model.versions))


def delete_version(w: Writer) -> None:
    model = w.model()
    number = _version(w, model)
    alias = w.fresh("alias")
    w.client.set_registered_model_alias(model.name, alias, number)
    w.client.delete_model_version(model.name, number)
    model.versions.remove(number)


def delete_model(w: Writer) -> None:
    """Delete a model with all that belongs to it, and make another one under its name."""
    model = w.model()
    number = _version(w, model)
    w.models.remove(model)
    alias = w.fresh("alias")
    w.client.set_registered_model_alias(model.name, alias, number)
    w.client.set_model_version_tag(model.name, number, w.fresh("tag"), w.fresh("value"))
    w.client.delete_registered_model(model.name)
    if w.rng.random() < 0.6:
        again = Model(model.name)
        w.client.create_registered_model(again.name, tags={"made": w.fresh("tag")})
        _version(w, again)
        w.models.append(again)


def _version(w: Writer, model: Model) -> str:
    """A version of a model, made anew if it has few."""
    if model.versions and (len(model.versions) > 4 or w.rng.random() < 0.5):
        return w.rng.choice(model.versions)
    run = w.client.get_run(w.own_run())
    made = w.client.create_model_version(
        model.name,
        f"{run.info.artifact_uri}/model",
        run.info.run_id,
        {"made": w.fresh("tag")},
        description=w.fresh("text"),
    )
    model.versions.append(str(made.version))
    return str(made.version)
