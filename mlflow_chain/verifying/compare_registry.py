"""Comparing registered models, versions and aliases with what was recorded of them."""

from __future__ import annotations

from collections.abc import Iterator

from chain_client.hosts import Finding, Unchecked
from mlflow_chain.reading.entities import RegisteredModelView
from mlflow_chain.verifying.differences import (
    compare_fields,
    compare_keys,
    missing,
    of_what_is_recorded,
    unexpected,
    untold,
)
from mlflow_chain.verifying.state import RegisteredModelState


def compare_registered_model(
    name: str, expected: RegisteredModelState | None, view: RegisteredModelView | None
) -> Iterator[Finding | Unchecked]:
    """One registered model with its versions."""
    subject = f"model {name}"
    if expected is not None and expected.wild:
        yield untold(subject)
        return
    if view is None:
        if expected is not None and expected.exists.must():
            detail = "the model was recorded and is not there"
            yield missing("model", subject, name, detail, expected.exists.register)
        return
    if expected is not None and expected.exists.may():
        yield from _model_contents(subject, expected, view)
        return
    yield unexpected("model", subject, name)
    if expected is not None:
        yield from of_what_is_recorded(_model_contents(subject, expected, view))


def _model_contents(
    subject: str, expected: RegisteredModelState, view: RegisteredModelView
) -> Iterator[Finding | Unchecked]:
    yield from compare_fields("model", subject, expected.fields, view.fields)
    yield from compare_keys("tag", subject, expected.tags, view.tags)
    yield from compare_keys("alias", subject, expected.aliases, view.aliases)
    shown = {version.version: version for version in view.versions}
    for number, version in sorted(expected.versions.items()):
        about = f"{subject}/version {number}"
        found = shown.pop(number, None)
        if version.wild:
            yield untold(about)
            continue
        if found is None:
            if version.exists.must():
                detail = "the version was recorded and is not there"
                yield missing("version", about, number, detail, version.exists.register)
            continue
        if not version.exists.may():
            yield unexpected("version", about, number)
            continue
        yield from compare_fields("version", about, version.fields, found.fields)
        yield from compare_keys("tag", about, version.tags, found.tags)
    for number in shown:
        yield unexpected("version", f"{subject}/version {number}", number)
