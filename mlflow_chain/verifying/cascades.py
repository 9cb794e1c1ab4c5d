"""What deleting one entity does to others. Pure.

Applied when all events are known: each is a write of its own time, so the order does not matter.
"""

from __future__ import annotations

from mlflow_chain.mapping.workspaces import DEFAULT
from mlflow_chain.verifying.order import ABSENT, Stamp
from mlflow_chain.verifying.state import ExperimentState, LoggedModelState, RunState, State


def cascade(state: State) -> None:
    """Carry deletions on: of workspaces to experiments, of experiments to what is in them."""
    for stamp, workspace, mode in state.workspace_ends:
        _end_workspace(state, stamp, workspace, mode)
    for run in state.runs.values():
        for stamp, stage in _lifecycle(state, run):
            if stage == "removed":
                run.exists.register.write(stamp, ABSENT)
            else:
                run.fields["lifecycle_stage"].write(stamp, stage)
    for model in state.logged_models.values():
        for stamp, stage in _lifecycle(state, model):
            if stage == "removed":
                model.exists.register.write(stamp, ABSENT)
        _forget_metrics_of_removed_runs(state, model)
    for experiment in state.experiments.values():
        if len(experiment.incarnations) > 1:
            for stamp in experiment.incarnations:
                for register in experiment.tags.values():
                    register.write(stamp, ABSENT)


def _end_workspace(state: State, stamp: Stamp, workspace: str, mode: object) -> None:
    for experiment in state.experiments.values():
        if workspace not in experiment.fields["workspace"].values():
            continue
        if mode == "SET_DEFAULT":
            experiment.fields["workspace"].write(stamp, DEFAULT)
        elif mode == "CASCADE":
            experiment.lifecycle.append((stamp, "removed"))
            experiment.exists.register.write(stamp, ABSENT)


def _forget_metrics_of_removed_runs(state: State, model: LoggedModelState) -> None:
    """The database deletes a logged model's metrics with the run that logged them."""
    for place in list(model.metrics):
        run = state.runs.get(str(place[3]))
        if run is not None and ABSENT in run.exists.register.values():
            model.maybe_metrics.setdefault(place, []).extend(model.metrics.pop(place))


def _lifecycle(state: State, inside: RunState | LoggedModelState) -> list[tuple[Stamp, str]]:
    """What happened to the experiment of a run or a logged model."""
    experiments: list[ExperimentState | None] = [
        state.experiments.get(str(found)) for found in inside.fields["experiment_id"].values()
    ]
    return [step for found in experiments if found is not None for step in found.lifecycle]
