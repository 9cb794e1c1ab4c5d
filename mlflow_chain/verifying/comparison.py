"""Comparing a database with the state that was recorded, in the scope that was asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, TypeAlias

from chain_client.hosts import Finding, Progress, Remark, Scope, StoreBinding, Unchecked
from mlflow_chain.files.locations import Storage
from mlflow_chain.reading.entities import ExperimentView, LoggedModelView, RunView, VersionView
from mlflow_chain.reading.pages import RunSource
from mlflow_chain.reading.reader import Reader, Unreadable
from mlflow_chain.verifying.compare_files import FileComparison
from mlflow_chain.verifying.compare_registry import compare_registered_model
from mlflow_chain.verifying.compare_runs import (
    compare_experiment,
    compare_logged_model,
    compare_run,
    is_made_by_mlflow,
)
from mlflow_chain.verifying.differences import missing, unexpected, unreadable, untold
from mlflow_chain.verifying.file_doubts import FileDoubts
from mlflow_chain.verifying.state import State
from mlflow_chain.verifying.version_sources import LOCATION, VersionSources
from mlflow_chain.verifying.versions_elsewhere import VersionsElsewhere

Found: TypeAlias = Finding | Unchecked


class Comparison:
    """Finds what differs.

    Args:
        state: what was recorded.
        reader: the database.
        progress: told how far it is.
        store: where the files are kept, and which of them wait to be read back.
    """

    def __init__(
        self, state: State, reader: Reader, progress: Progress, store: StoreBinding
    ) -> None:
        self._state = state
        self._reader = reader
        self._progress = progress
        self._storage = Storage.of(store)
        self._waiting = store.waiting
        self._roots: dict[str, tuple[str, bool]] = {}
        self._versions: list[tuple[str, VersionView]] = []

    def find(self, scope: Scope) -> Iterator[Finding | Unchecked | Remark]:
        """Everything in the scope that is not as it was recorded, or can't be looked at.

        Raises:
            HostUnavailable: the database does not answer.
        """
        if scope.run_id is not None:
            yield from self._one_run(scope.run_id)
        elif scope.model is not None:
            yield from self._one_model(scope.model)
        else:
            yield from self._experiments()
            yield from self._all_models()
        owners = {owner for owner, _ in self._roots.values()}
        sources = VersionSources(self._state, self._reader, self._storage)
        elsewhere = VersionsElsewhere(self._state, sources, self._add_root)
        yield from elsewhere.find(self._versions, owners)
        doubts = FileDoubts(self._state, self._storage, self._waiting)
        files = FileComparison(self._state, self._storage, doubts, self._progress)
        yield from files.compare(self._roots)

    def _one_run(self, run_id: str) -> Iterator[Found | Remark]:
        expected = self._state.runs.get(run_id)
        view = None
        try:
            view = self._reader.find_run(run_id)
        except Unreadable:
            yield unreadable("run", f"run {run_id}")
            return
        if view is None:
            if expected is not None and expected.wild:
                yield untold(f"run {run_id}")
            elif expected is None or not expected.exists.register.values():
                reason = "no run of that id is recorded or there; give the whole id"
                yield Unchecked(f"run {run_id}", reason)
            elif expected.exists.must():
                detail = "the run was recorded and is not there"
                yield missing("run", f"run {run_id}", run_id, detail)
            elif not expected.exists.may():
                yield Remark(f"run {run_id}", "it is not there, and its removal was recorded")
            return
        yield from self._run(view, self._reader)
        for model_id, model in list(self._state.logged_models.items()):
            if run_id in model.fields["source_run_id"].values():
                yield from self._logged_model(model_id)

    def _one_model(self, name: str) -> Iterator[Found]:
        yield from self._models([name], everything=False)
        try:
            view = self._reader.find_registered_model(name)
        except Unreadable:
            return
        known = self._state.models.get(name)
        if view is None and (known is None or not (known.wild or known.exists.register.values())):
            reason = "no registered model of that name is recorded or there; give the whole name"
            yield Unchecked(f"model {name}", reason)
        sources = VersionSources(self._state, self._reader, self._storage)
        for version in view.versions if view is not None else ():
            subject = f"model {name}/version {version.version}"
            yield from _guarded("model", subject, self._source(sources, version, name))

    def _source(self, sources: VersionSources, version: VersionView, name: str) -> Iterator[Found]:
        run_id = version.fields["run_id"]
        if run_id:
            self._find_run_root(str(run_id))
        owner = sources.find(version, name)
        if owner is not None and owner.kind == "run":
            self._find_run_root(owner.id)
        elif owner is not None and owner.kind != LOCATION:
            yield from self._logged_model(owner.id)

    def _find_run_root(self, run_id: str) -> None:
        run = self._reader.find_run(run_id)
        if run is not None:
            self._add_run_root(run)

    def _experiments(self) -> Iterator[Found]:
        experiments: dict[str, ExperimentView] = {}
        runs: set[str] = set()
        models: set[str] = set()
        try:
            for experiment in self._reader.experiments():
                experiments[experiment.id] = experiment
        except Unreadable:
            yield unreadable("experiment", "experiments")
        for done, experiment in enumerate(experiments.values()):
            self._progress("comparing experiments", done, len(experiments))
            name = f"experiment {experiment.id}"
            expected = self._state.experiments.get(experiment.id)
            if expected is None:
                if not is_made_by_mlflow(None, experiment):
                    yield unexpected("experiment", name, experiment.fields["name"])
            else:
                yield from compare_experiment(expected, experiment)
        yield from self._unlisted(runs, models)
        # A reader that knows every id is asked by id; of another one, what it lists is compared.
        if not runs:
            for experiment_id in experiments:
                name = f"experiment {experiment_id}/runs"
                yield from _guarded("run", name, self._runs(experiment_id, runs))
        if not models:
            for experiment_id in experiments:
                name = f"experiment {experiment_id}/logged models"
                listed = self._reader.logged_models(experiment_id)
                yield from _guarded("logged_model", name, self._logged_models(listed, models))
            deleted = self._reader.deleted_logged_models()
            name = "deleted logged models"
            yield from _guarded("logged_model", name, self._logged_models(deleted, models))
        yield from self._unseen(experiments.keys(), runs, models)

    def _unlisted(self, runs: set[str], models: set[str]) -> Iterator[Found]:
        """Whatever has a row, in a listing or not."""
        runs |= self._reader.run_ids()
        for done, (run_id, source) in enumerate(self._reader.in_bulk(sorted(runs))):
            self._progress("comparing runs", done, len(runs))
            yield from _guarded("run", f"run {run_id}", self._hidden_run(run_id, source))
        models |= self._reader.logged_model_ids()
        for done, model_id in enumerate(sorted(models)):
            self._progress("comparing logged models", done, len(models))
            yield from self._logged_model(model_id)

    def _unseen(
        self, experiments: Collection[str], runs: set[str], models: set[str]
    ) -> Iterator[Found]:
        """What was recorded and is in no listing: gone, or hidden by a change."""
        for experiment_id, state in self._state.experiments.items():
            if experiment_id not in experiments and state.exists.must():
                name = state.fields["name"].expected()
                detail = "the experiment was recorded and is not there"
                subject, register = f"experiment {experiment_id}", state.exists.register
                yield missing("experiment", subject, name, detail, register)
        for run_id, run in list(self._state.runs.items()):
            if run_id not in runs and run.exists.must():
                yield from _guarded("run", f"run {run_id}", self._hidden_run(run_id, self._reader))
        for model_id, model in list(self._state.logged_models.items()):
            if model_id not in models and model.exists.must():
                yield from self._logged_model(model_id)

    def _hidden_run(self, run_id: str, source: RunSource) -> Iterator[Found]:
        state = self._state.runs.get(run_id)
        if state is not None and state.wild:
            yield untold(f"run {run_id}")
            return
        view = source.find_run(run_id)
        if view is not None:
            yield from self._run(view, source)
            return
        state = self._state.runs.get(run_id)
        if state is not None and state.exists.must():
            detail = "the run was recorded and is not there"
            yield missing("run", f"run {run_id}", run_id, detail)

    def _runs(self, experiment_id: str, seen: set[str]) -> Iterator[Found]:
        for view in self._reader.runs(experiment_id):
            seen.add(view.id)
            yield from self._run(view, self._reader)

    def _run(self, view: RunView, source: RunSource) -> Iterator[Found]:
        yield from _guarded("run", f"run {view.id}", compare_run(self._state, source, view))
        self._add_run_root(view)

    def _add_run_root(self, view: RunView) -> None:
        state = self._state.runs.get(view.id)
        # The recorded root counts: the one in the database may have been changed.
        for root in _roots(state, "artifact_uri", view.fields["artifact_uri"]):
            before = state is None or state.before or state.wild
            self._add_root(root, f"run {view.id}", before)

    def _add_root(self, root: str, owner: str, before: bool) -> None:
        # A row that names another's root does not take its files away.
        known = self._roots.get(root)
        if known is None or (known[1] and not before):
            self._roots[root] = (owner, before)

    def _logged_models(self, views: Iterator[LoggedModelView], seen: set[str]) -> Iterator[Found]:
        for view in views:
            seen.add(view.id)
            yield from self._logged_model_view(view)

    def _logged_model(self, model_id: str) -> Iterator[Found]:
        known = self._state.logged_models.get(model_id)
        if known is not None and known.wild:
            yield untold(f"logged model {model_id}")
            return
        try:
            view = self._reader.find_logged_model(model_id)
        except Unreadable:
            yield unreadable("logged_model", f"logged model {model_id}")
            return
        if view is not None:
            yield from self._logged_model_view(view)
            return
        state = self._state.logged_models.get(model_id)
        if state is not None and state.exists.must():
            detail = "the logged model was recorded and is not there"
            yield missing("logged_model", f"logged model {model_id}", model_id, detail)

    def _logged_model_view(self, view: LoggedModelView) -> Iterator[Found]:
        state = self._state.logged_models.get(view.id)
        yield from compare_logged_model(state, view)
        for root in _roots(state, "artifact_location", view.fields["artifact_location"]):
            before = state is None or state.before or state.wild
            self._add_root(root, f"logged model {view.id}", before)

    def _all_models(self) -> Iterator[Found]:
        names: list[str] = []
        try:
            names = self._reader.registered_model_names()
        except Unreadable:
            yield unreadable("model", "models")
        yield from self._models(names, everything=True)

    def _models(self, names: list[str], *, everything: bool) -> Iterator[Found]:
        known = list(self._state.models) if everything else []
        wanted = list(dict.fromkeys([*names, *known]))
        for done, name in enumerate(wanted):
            self._progress("comparing models", done, len(wanted))
            yield from _guarded("model", f"model {name}", self._registered_model(name))

    def _registered_model(self, name: str) -> Iterator[Found]:
        known = self._state.models.get(name)
        if known is not None and known.wild:
            yield untold(f"model {name}")
            return
        view = self._reader.find_registered_model(name)
        yield from compare_registered_model(name, self._state.models.get(name), view)
        if view is not None:
            self._versions.extend((name, version) for version in view.versions)


def _guarded(kind: str, subject: str, findings: Iterator[Found]) -> Iterator[Found]:
    """The same findings; and one more if the API breaks on the way."""
    try:
        yield from findings
    except Unreadable:
        yield unreadable(kind, subject)


def _roots(state: Any, field: str, actual: object) -> list[str]:
    recorded = state.fields[field].values() if state is not None else []
    return [root for root in recorded or [actual] if isinstance(root, str) and root]
