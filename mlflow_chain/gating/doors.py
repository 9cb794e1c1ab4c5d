"""The doors: every method of MLflow's stores by which an alias, a stage or a name may change.

A door reads what its call wants of the gate. Which methods are doors, and why the others are
none, stands in `DOORS` and `NO_DOORS`; a test fails until somebody has decided about a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from chain_client.gate.question import Action, Change
from chain_client.registry.targets import STAGES, Target
from mlflow_chain.gating.demands import Attempt, Demand, Forbidden, Wish
from mlflow_chain.gating.needed import need_model, need_version
from mlflow_chain.gating.spellings import is_ambiguous
from mlflow_chain.gating.tags import is_prompt_marker, is_reserved, key_of, without_reserved
from mlflow_chain.gating.tracking_doors import TRACKING_DOORS
from mlflow_chain.gating.view import ModelView, RegistryView

Names = tuple[tuple[str | None, str], ...]
"""Workspaces (None: the active one) and names of models."""


@dataclass(frozen=True, slots=True)
class Door:
    """One method that asks before it writes.

    Args:
        read: from a view and the call's arguments to what it wants; asked with the locks held.
        locks: from the same to the models that must not change meanwhile.
        is_cheap: whether it is asked although no policy is on chain: it only looks at arguments.
    """

    read: Callable[..., Attempt]
    locks: Callable[..., Names] = lambda view, *args, **kwargs: ()
    is_cheap: bool = False


def _of_name(view: Any, name: str, *args: Any, **kwargs: Any) -> Names:
    return ((None, str(name)),)


# --- aliases and stages


def _set_alias(view: RegistryView, name: str, alias: str, version: Any) -> Attempt:
    from mlflow.utils.validation import (
        _validate_model_alias_name,
        _validate_model_alias_name_reserved,
        _validate_model_version,
    )

    _validate_model_alias_name(alias)
    _validate_model_alias_name_reserved(alias)
    _validate_model_version(version)  # MLflow 3.12 gives nothing back
    number = int(version)
    model, found = need_version(view, name, number)
    if found.is_prompt:
        return Attempt()
    wishes: list[Wish] = [*_ambiguous(view, name, alias)]
    for text in view.spellings(model, alias):
        target = str(Target.alias(text))
        held = model.aliases.get(text, 0)
        wishes.append(_set(model, target, number, found.location, held=held))
    return Attempt(tuple(wishes))


def _delete_alias(view: RegistryView, name: str, alias: str) -> Attempt:
    from mlflow.utils.validation import _validate_model_alias_name

    _validate_model_alias_name(alias)
    model = need_model(view, name)
    asked = view.spellings(model, alias)
    held = {model.aliases[text] for text in asked if text in model.aliases} - model.prompts
    leaving = (
        _leave(model, Target("alias", text), number) for number in sorted(held) for text in asked
    )
    return Attempt((*_ambiguous(view, name, alias), *leaving))


_WHY_AMBIGUOUS = (
    "this database may take it for another alias, which may be one that needs approval; use "
    "letters without accents"
)


def _ambiguous(view: RegistryView, name: str, alias: str) -> tuple[Wish, ...]:
    if not view.is_blind_to_case or not is_ambiguous(alias):
        return ()
    what = f"Changing the alias {alias!a} of {name}"
    return (Forbidden(what, _WHY_AMBIGUOUS, name, only_under_policy=True),)


def _standing(
    view: RegistryView, model: ModelView, version: int | None = None
) -> Iterator[tuple[Target, int]]:
    """The targets that hold a version with files, under each of their names, with versions."""
    for target, numbers in model.standing(version).items():
        is_alias = target.kind == "alias"
        names = view.spellings(model, target.name) if is_alias else [target.name]
        for text in names:
            for number in numbers:
                yield Target(target.kind, text), number


def _transition(
    view: RegistryView, name: str, version: Any, stage: str, archive_existing_versions: Any
) -> Attempt:
    from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
    from mlflow.utils.validation import _validate_model_version

    _validate_model_version(version)  # MLflow 3.12 gives nothing back
    number = int(version)
    wanted = str(get_canonical_stage(stage))
    model, found = need_version(view, name, number)
    if found.is_prompt:
        return Attempt()
    archives = bool(archive_existing_versions)
    wishes: list[Wish] = []
    if wanted in STAGES:
        # MLflow can't archive what is archived.
        alone = archives or wanted == "Archived"
        held = _only(model.stages.get(wanted, ()))
        target = str(Target("stage", wanted))
        wishes.append(_set(model, target, number, found.location, alone=alone, held=held))
        others = [n for n in model.stages.get(wanted, ()) if n != number] if archives else []
        for other in others:
            wishes.append(_set_archived(view, model, other))
    if found.stage in STAGES and found.stage != wanted:
        wishes.append(_leave(model, Target("stage", found.stage), number))
    return Attempt(tuple(wishes))


def _set_archived(view: RegistryView, model: ModelView, number: int) -> Demand:
    _, found = need_version(view, model.incarnation.name, number)
    return _set(model, "stage:Archived", number, found.location, alone=True)


def _only(numbers: Iterable[int]) -> int | None:
    """The version that a stage holds: 0 if none does; None if there are several."""
    found = list(numbers)
    if len(found) > 1:
        return None
    return found[0] if found else 0


def _set(
    model: ModelView,
    target: str,
    number: int,
    location: str,
    *,
    alone: bool = False,
    held: int | None = None,
) -> Demand:
    name = model.incarnation.name
    change = Change(Action.SET, name, target, number, archives_others=alone, held=held)
    return Demand(model.incarnation, change, location)


def _leave(model: ModelView, target: Target, number: int) -> Demand:
    change = Change(Action.LEAVE, model.incarnation.name, str(target), number)
    return Demand(model.incarnation, change)


# --- whole models and versions


def _rename(view: RegistryView, name: str, new_name: str) -> Attempt:
    return Attempt((_whole(view, need_model(view, name), Action.RENAME),))


def _two_names(view: Any, name: str, new_name: str) -> Names:
    return ((None, str(name)), (None, str(new_name)))


def _delete_model(view: RegistryView, name: str) -> Attempt:
    return Attempt((_whole(view, need_model(view, name), Action.DELETE),))


def _whole(view: RegistryView, model: ModelView, action: Action) -> Demand:
    standing = tuple(dict.fromkeys(str(target) for target, _ in _standing(view, model)))
    return Demand(model.incarnation, Change(action, model.incarnation.name), "", standing)


def _delete_version(view: RegistryView, name: str, version: Any) -> Attempt:
    from mlflow.utils.validation import _validate_model_version

    _validate_model_version(version)  # MLflow 3.12 gives nothing back
    number = int(version)
    model, _ = need_version(view, name, number)
    whole = Demand(
        model.incarnation, Change(Action.DELETE_VERSION, model.incarnation.name, version=number)
    )
    leaving = (
        _leave(model, target, number)
        for target, found in _standing(view, model, number)
        if found == number
    )
    return Attempt((whole, *leaving))


def _delete_workspace(view: RegistryView, workspace_name: str, mode: Any = None) -> Attempt:
    word = getattr(mode, "value", None) or "RESTRICT"
    if word == "RESTRICT":
        return Attempt()  # MLflow refuses it as long as a model is in it.
    action = Action.DELETE if word == "CASCADE" else Action.RENAME
    return Attempt(tuple(_whole(view, model, action) for model in view.models_in(workspace_name)))


def _of_workspace(view: RegistryView, workspace_name: str, mode: Any = None) -> Names:
    models = view.models_in(workspace_name)
    return tuple((workspace_name, model.incarnation.name) for model in models)


# --- tags

_WHY_RESERVED = (
    "tags that begin with mlops_chain. show what the chain says; `mlops-chain sync` sets them"
)
_WHY_MARKER = "a model can't become a prompt, or a prompt a model, where promotions need approval"


def _tag(name: str, key: object, verb: str) -> Attempt:
    what = f"{verb} the tag {str(key)[:80]} of {name}"
    if is_reserved(key):
        return Attempt((Forbidden(what, _WHY_RESERVED, name),))
    if is_prompt_marker(key):
        return Attempt((Forbidden(what, _WHY_MARKER, name, only_under_policy=True),))
    return Attempt()


def _set_model_tag(view: Any, name: str, tag: Any) -> Attempt:
    return _tag(name, key_of(tag), "Setting")


def _delete_model_tag(view: Any, name: str, key: str) -> Attempt:
    return _tag(name, key, "Deleting")


def _set_version_tag(view: Any, name: str, version: Any, tag: Any) -> Attempt:
    return _tag(name, key_of(tag), "Setting")


def _delete_version_tag(view: Any, name: str, version: Any, key: str) -> Attempt:
    return _tag(name, key, "Deleting")


def _create_model(view: Any, name: str, tags: Any = None, *args: Any, **kwargs: Any) -> Attempt:
    if without_reserved(tags) is None:
        return Attempt()
    return Attempt((Forbidden(f"Creating {name} with such tags", _WHY_RESERVED, name),))


_TAGS_AT = 3


def _create_version(view: Any, *args: Any, **kwargs: Any) -> Attempt:
    """Copies of a promoted version come with its tags: what the chain said of it stays behind."""
    given = args[_TAGS_AT] if len(args) > _TAGS_AT else kwargs.get("tags")
    kept = without_reserved(given)
    if kept is None:
        return Attempt()
    if len(args) > _TAGS_AT:
        return Attempt((), ((*args[:_TAGS_AT], kept, *args[_TAGS_AT + 1 :]), kwargs))
    return Attempt((), (args, {**kwargs, "tags": kept}))


DOORS: dict[str, Door] = {
    "set_registered_model_alias": Door(_set_alias, _of_name),
    "delete_registered_model_alias": Door(_delete_alias, _of_name),
    "transition_model_version_stage": Door(_transition, _of_name),
    "rename_registered_model": Door(_rename, _two_names),
    "delete_registered_model": Door(_delete_model, _of_name),
    "delete_model_version": Door(_delete_version, _of_name),
    "delete_workspace": Door(_delete_workspace, _of_workspace),
    "create_registered_model": Door(_create_model, is_cheap=True),
    "create_model_version": Door(_create_version, is_cheap=True),
    "set_registered_model_tag": Door(_set_model_tag, is_cheap=True),
    "delete_registered_model_tag": Door(_delete_model_tag, is_cheap=True),
    "set_model_version_tag": Door(_set_version_tag, is_cheap=True),
    "delete_model_version_tag": Door(_delete_version_tag, is_cheap=True),
    **{name: Door(read) for name, read in TRACKING_DOORS.items()},
}
"""Methods that ask the gate before they write."""

NO_DOORS: dict[str, frozenset[str]] = {
    "changes no alias, stage or name": frozenset(
        {"create_workspace", "update_model_version", "update_registered_model", "update_workspace"}
    ),
    "goes through the doors by the calls it makes": frozenset(
        {
            "copy_model_version",
            "create_prompt",
            "create_prompt_version",
            "delete_prompt",
            "delete_prompt_alias",
            "delete_prompt_tag",
            "delete_prompt_version",
            "delete_prompt_version_tag",
            "link_prompt_version_to_model",
            "link_prompt_version_to_run",
            "link_prompts_to_trace",
            "set_prompt_alias",
            "set_prompt_tag",
            "set_prompt_version_tag",
        }
    ),
    "is about webhooks": frozenset(
        {"create_webhook", "delete_webhook", "test_webhook", "update_webhook"}
    ),
}
"""Methods of registry and workspace stores that are no doors, by reason."""
