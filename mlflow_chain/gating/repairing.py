"""After the write: if the chain moved on meanwhile, MLflow follows, still under the lock."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from chain_client.errors import ChainError
from chain_client.gate.question import Action, Allowed, Change, Decision, TargetReading
from chain_client.registry.targets import Target
from mlflow_chain.gating.demands import Demand
from mlflow_chain.gating.view import ModelView, RegistryView

if TYPE_CHECKING:
    from chain_client.gate.gate import Gate

_logger = logging.getLogger(__name__)

_TRIES = 5


def repair(
    gate: Gate,
    view: RegistryView,
    demand: Demand,
    sequence: int,
    decide: Callable[[Demand], Decision],
) -> None:
    """Make a target in MLflow what the chain says now, if that is not what it said before.

    Guarantee: never raises, for the caller's write is done. What can't be made equal here, sync
    makes equal, and verification names.

    Args:
        gate: of the home.
        view: of the store, whose calls are recorded and not asked again in this thread.
        demand: the change that was made.
        sequence: of the target when the chain agreed with it.
        decide: asks the gate about a change.
    """
    change = demand.change
    try:
        for _ in range(_TRIES):
            reading = gate.target(demand.model, change.target)
            if not isinstance(reading, TargetReading) or reading.current.sequence == sequence:
                return
            sequence = reading.current.sequence
            _follow(view, demand, reading.current.version, decide)
        _logger.warning("%s of %s does not come to rest on chain", change.target, change.model)
    except Exception as exc:
        if not isinstance(exc, ChainError) and not hasattr(exc, "error_code"):
            _logger.exception("%s of %s was not made equal", change.target, change.model)
            return
        _logger.warning(
            "the chain moved on while %s of %s was set, and it could not be made equal (%s); "
            "mlops-chain sync does it",
            change.target,
            change.model,
            exc,
        )


def _follow(
    view: RegistryView, demand: Demand, current: int, decide: Callable[[Demand], Decision]
) -> None:
    name = demand.model.name
    target = Target.parse(demand.change.target)
    _logger.info("the chain moved on: %s of %s becomes version %d", target, name, current)
    if not current:
        model = view.find_model(name)
        if model is not None:
            _leave(view, model, target)
        return
    there = view.find_version(name, current)
    if there is None:
        return
    _, found = there
    change = Change(Action.SET, name, str(target), current, archives_others=True)
    if not isinstance(decide(Demand(demand.model, change, found.location)), Allowed):
        # Approved, but its files are not what was approved: it must not be loaded from here.
        return
    if target.kind == "alias":
        view.store.set_registered_model_alias(name, target.name, current)
    else:
        archives = target.name != "Archived"
        view.store.transition_model_version_stage(name, current, target.name, archives)


def _leave(view: RegistryView, model: ModelView, target: Target) -> None:
    name = model.incarnation.name
    if target.kind == "alias":
        if target.name in model.aliases:
            view.store.delete_registered_model_alias(name, target.name)
        return
    stage = "None" if target.name == "Archived" else "Archived"
    for number in model.stages.get(target.name, ()):
        view.store.transition_model_version_stage(name, number, stage, False)
