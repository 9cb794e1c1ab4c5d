"""What is tried on model registry stores: writes, reads, refusals, and uses nobody intended."""

from __future__ import annotations

import copy
import pickle
from typing import Any

from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent

from tests.integration.mlflow_stays.side_by_side import Operation, World

LONG = "x" * 200_000
RUN = "a" * 32


def operations(store: Any) -> list[tuple[str, Operation]]:
    """Every operation that the installed MLflow can carry out, in the order to run them."""
    return [
        *_models(),
        *_versions(),
        *_aliases(),
        *_searches(),
        *_prompts(),
        *_webhooks(),
        *_ends(),
    ]


def _models() -> list[tuple[str, Operation]]:
    names: list[Any] = [
        "",
        None,
        5,
        "n" * 300,
        "a/b",
        "a:b",
        "ünï 🎉",
        "m",
        "quo'te",
        'dou"ble',
        "%",
    ]
    tags: list[Any] = [
        RegisteredModelTag("b", "1"),
        RegisteredModelTag("b", "2"),
        RegisteredModelTag("", "v"),
        RegisteredModelTag("k" * 300, "v"),
        RegisteredModelTag("k", LONG),
        RegisteredModelTag("k", None),
        RegisteredModelTag("../k", "v"),
        None,
    ]
    return [
        (
            "create model",
            lambda s, w: s.create_registered_model("m", [RegisteredModelTag("a", "1")]),
        ),
        ("create another", lambda s, w: s.create_registered_model("other", None, "text")),
        (
            "create with tags given once",
            lambda s, w: s.create_registered_model("once", iter([RegisteredModelTag("a", "1")])),
        ),
        *((f"create {n!r:.20}", lambda s, w, n=n: s.create_registered_model(n)) for n in names),
        ("create without arguments", lambda s, w: s.create_registered_model()),
        ("update", lambda s, w: s.update_registered_model("m", "new")),
        ("update to nothing", lambda s, w: s.update_registered_model("m", None)),
        ("update with too much", lambda s, w: s.update_registered_model("m", LONG)),
        ("update none", lambda s, w: s.update_registered_model("none", "new")),
        *(
            (f"tag {i}", lambda s, w, t=t: s.set_registered_model_tag("m", t))
            for i, t in enumerate(tags)
        ),
        ("tag none", lambda s, w: s.set_registered_model_tag("none", tags[0])),
        ("delete tag", lambda s, w: s.delete_registered_model_tag("m", "b")),
        ("delete tag again", lambda s, w: s.delete_registered_model_tag("m", "b")),
        ("delete tag of none", lambda s, w: s.delete_registered_model_tag("none", "b")),
        ("get model", lambda s, w: s.get_registered_model("m")),
        ("get none", lambda s, w: s.get_registered_model("none")),
        ("rename", lambda s, w: s.rename_registered_model("other", "another")),
        ("rename to one in use", lambda s, w: s.rename_registered_model("another", "m")),
        ("rename to itself", lambda s, w: s.rename_registered_model("m", "m")),
        ("rename badly", lambda s, w: s.rename_registered_model("m", "")),
        ("rename none", lambda s, w: s.rename_registered_model("none", "x")),
    ]


def _versions() -> list[tuple[str, Operation]]:
    tag = ModelVersionTag("t", "1")
    given: list[tuple[str, tuple[Any, ...]]] = [
        ("of none", ("none", "/s")),
        ("without source", ("m", None)),
        ("with a bad source", ("m", "models:/nothing/at/all")),
        ("with a long source", ("m", "/s" * 400)),
        ("with a run", ("m", "/s", RUN)),
        ("with a bad run", ("m", "/s", 5)),
        ("with tags", ("m", "/s", RUN, [tag, ModelVersionTag("u", "2")], "/link", "text")),
        ("with a long tag", ("m", "/s", RUN, [ModelVersionTag("u", LONG)])),
        ("with bad tags", ("m", "/s", RUN, ["tag"])),
    ]
    stages: list[Any] = [
        "Staging",
        "production",
        "PRODUCTION",
        "Archived",
        "None",
        "Nowhere",
        "",
        None,
    ]
    numbers: list[Any] = [1, "1", 2.0, "two", None, 99, "99", -1, 2**70]
    return [
        ("create version", lambda s, w: s.create_model_version("m", "/s")),
        *((f"create version {n}", lambda s, w, a=a: s.create_model_version(*a)) for n, a in given),
        *((f"get version {n!r}", lambda s, w, n=n: s.get_model_version("m", n)) for n in numbers),
        ("version of none", lambda s, w: s.get_model_version("none", 1)),
        *(
            (f"update version {n!r}", lambda s, w, n=n: s.update_model_version("m", n, "d"))
            for n in numbers
        ),
        *(
            (
                f"stage {g!r} {a}",
                lambda s, w, g=g, a=a: s.transition_model_version_stage("m", 1, g, a),
            )
            for g in stages
            for a in (True, False)
        ),
        ("stage of none", lambda s, w: s.transition_model_version_stage("m", 99, "Staging", False)),
        ("latest", lambda s, w: s.get_latest_versions("m")),
        ("latest of a stage", lambda s, w: s.get_latest_versions("m", ["Production"])),
        ("latest of a bad stage", lambda s, w: s.get_latest_versions("m", ["Nowhere"])),
        ("set version tag", lambda s, w: s.set_model_version_tag("m", 1, tag)),
        ("set version tag badly", lambda s, w: s.set_model_version_tag("m", 1, None)),
        (
            "set long version tag",
            lambda s, w: s.set_model_version_tag("m", 1, ModelVersionTag("k", LONG)),
        ),
        ("tag of no version", lambda s, w: s.set_model_version_tag("m", 99, tag)),
        ("delete version tag", lambda s, w: s.delete_model_version_tag("m", 1, "t")),
        ("delete version tag again", lambda s, w: s.delete_model_version_tag("m", 1, "t")),
        ("download uri", lambda s, w: s.get_model_version_download_uri("m", 1)),
        ("download uri of none", lambda s, w: s.get_model_version_download_uri("m", 99)),
        ("copy version", lambda s, w: s.copy_model_version(s.get_model_version("m", 1), "copied")),
        (
            "copy version to itself",
            lambda s, w: s.copy_model_version(s.get_model_version("m", 1), "m"),
        ),
        ("copy badly", lambda s, w: s.copy_model_version(None, "copied")),
    ]


def _aliases() -> list[tuple[str, Operation]]:
    names: list[Any] = ["champion", "Champion", "latest", "v1", "", None, "a" * 300, "a/b", "ünï"]
    return [
        *(
            (f"alias {n!r:.20}", lambda s, w, n=n: s.set_registered_model_alias("m", n, 1))
            for n in names
        ),
        ("move alias", lambda s, w: s.set_registered_model_alias("m", "champion", 2)),
        ("move alias by text", lambda s, w: s.set_registered_model_alias("m", "champion", "2")),
        ("alias of none", lambda s, w: s.set_registered_model_alias("none", "champion", 1)),
        ("alias of no version", lambda s, w: s.set_registered_model_alias("m", "champion", 99)),
        ("by alias", lambda s, w: s.get_model_version_by_alias("m", "champion")),
        ("by no alias", lambda s, w: s.get_model_version_by_alias("m", "nobody")),
        ("by latest", lambda s, w: s.get_model_version_by_alias("m", "latest")),
        ("delete alias", lambda s, w: s.delete_registered_model_alias("m", "champion")),
        ("delete alias again", lambda s, w: s.delete_registered_model_alias("m", "champion")),
        ("delete alias of none", lambda s, w: s.delete_registered_model_alias("none", "champion")),
        ("alias to lose", lambda s, w: s.set_registered_model_alias("m", "lost", 2)),
        ("delete version", lambda s, w: s.delete_model_version("m", "2")),
        ("delete version again", lambda s, w: s.delete_model_version("m", 2)),
        ("alias of a deleted version", lambda s, w: s.get_model_version_by_alias("m", "lost")),
        ("what is left", lambda s, w: s.get_registered_model("m")),
    ]


def _searches() -> list[tuple[str, Operation]]:
    models = [
        "name = 'm'",
        "name ILIKE 'M%'",
        "tags.a = '1'",
        "nonsense",
        "name > 'm'",
        "x.y = 'z'",
        5,
    ]
    versions = [
        "name='m'",
        "run_id = 'x'",
        "tags.t = '1'",
        "version_number > 1",
        "nonsense",
        "name",
    ]
    return [
        *((f"search {f!r}", lambda s, w, f=f: s.search_registered_models(f)) for f in models),
        *(
            (f"search {n} models", lambda s, w, n=n: s.search_registered_models(max_results=n))
            for n in (1, 0, -1, 10**7, "x")
        ),
        ("order models", lambda s, w: s.search_registered_models(order_by=["name DESC"])),
        ("order models badly", lambda s, w: s.search_registered_models(order_by=["nothing"])),
        ("models by a bad token", lambda s, w: s.search_registered_models(page_token="x")),
        *(
            (f"search versions {f!r}", lambda s, w, f=f: s.search_model_versions(f))
            for f in versions
        ),
        *(
            (f"search {n} versions", lambda s, w, n=n: s.search_model_versions(max_results=n))
            for n in (1, 0, 10**7)
        ),
    ]


def _prompts() -> list[tuple[str, Operation]]:
    return [
        ("create prompt", lambda s, w: s.create_prompt("greet", "text", {"a": "1"})),
        ("create prompt again", lambda s, w: s.create_prompt("greet")),
        ("create prompt version", lambda s, w: s.create_prompt_version("greet", "Hi {{name}}")),
        ("prompt version of none", lambda s, w: s.create_prompt_version("none", "Hi")),
        ("prompt alias", lambda s, w: s.set_prompt_alias("greet", "live", 1)),
        ("prompt tag", lambda s, w: s.set_prompt_tag("greet", "b", "2")),
        ("prompt by alias", lambda s, w: s.get_prompt_version_by_alias("greet", "live")),
        ("get prompt", lambda s, w: s.get_prompt("greet")),
        ("a model named like a prompt", lambda s, w: s.create_registered_model("greet")),
        ("delete prompt alias", lambda s, w: s.delete_prompt_alias("greet", "live")),
        ("delete prompt version", lambda s, w: s.delete_prompt_version("greet", 1)),
        ("delete prompt", lambda s, w: s.delete_prompt("greet")),
    ]


def _webhooks() -> list[tuple[str, Operation]]:
    events = [WebhookEvent(WebhookEntity.MODEL_VERSION, WebhookAction.CREATED)]

    def create(s: Any, w: World) -> Any:
        hook = s.create_webhook("hook", "https://1.1.1.1/h", events, "text")
        w["h"] = hook.webhook_id
        return hook.name

    return [
        ("webhook", create),
        ("webhook to a bad address", lambda s, w: s.create_webhook("h", "ftp://x", events)),
        ("webhook of nothing", lambda s, w: s.create_webhook("h", "https://1.1.1.1", [])),
        ("update webhook", lambda s, w: s.update_webhook(w["h"], name="renamed").name),
        ("update no webhook", lambda s, w: s.update_webhook("none", name="x")),
        ("webhooks", lambda s, w: [hook.name for hook in s.list_webhooks()]),
        ("delete webhook", lambda s, w: s.delete_webhook(w["h"])),
        ("delete webhook again", lambda s, w: s.delete_webhook(w["h"])),
    ]


def _ends() -> list[tuple[str, Operation]]:
    return [
        ("pickle", lambda s, w: pickle.loads(pickle.dumps(s)).get_registered_model("m")),  # noqa: S301
        ("copy", lambda s, w: copy.copy(s).get_registered_model("m").name),
        (
            "build another",
            lambda s, w: type(s)(s.db_uri).update_registered_model("m", "by another"),
        ),
        ("dispose", lambda s, w: s.engine.dispose()),
        ("write after disposal", lambda s, w: s.update_registered_model("m", "after")),
        ("delete model", lambda s, w: s.delete_registered_model("m")),
        ("delete model again", lambda s, w: s.delete_registered_model("m")),
        ("version of a deleted model", lambda s, w: s.get_model_version("m", 1)),
        ("create it again", lambda s, w: s.create_registered_model("m")),
        ("its first version", lambda s, w: s.create_model_version("m", "/s").version),
    ]
