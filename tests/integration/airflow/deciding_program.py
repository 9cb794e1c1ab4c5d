"""Run as a program: tries of operators, each in a child that may die, and what each gave as JSON.

Usage: ``python deciding_program.py TRIES_JSON``, a list of stages; the tries of a stage run at the
same time. Airflow and MLflow are imported once, and each try is a fork of that process: a second
instead of six.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

_OPERATORS = {
    "register": "RegisterModelVersionOperator",
    "propose": "ProposePromotionOperator",
    "promote": "PromoteModelOperator",
    "revoke": "RevokeModelOperator",
}
_HEAVY = (
    *(f"airflow_chain.operators.{name}" for name in _OPERATORS),
    "airflow_chain.hooks.chain",
    "alembic.command",
    "chain_client.governing.promoting",
    "chain_client.governing.proposing_once",
    "chain_client.governing.registering",
    "chain_client.governing.revoking",
    "chain_client.ledger.embedded",
    "chain_client.ledger.embedded_evm",
    "chain_client.relay.assembly",
    "chain_client.relay.service",
    "chain_client.sync.syncing",
    "coincurve",
    "eth_keyfile",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow_chain.governing",
    "mlflow_chain.host",
)
"""What every try would import."""


def main(tries: str, folder: str) -> None:
    """Run all stages, and print what came of them."""
    for module in _HEAVY:
        import_module(module)
    found = []
    for number, stage in enumerate(json.loads(tries)):
        children = [
            (_start(Path(folder) / f"{number}-{place}.json", one), one)
            for place, one in enumerate(stage)
        ]
        results = []
        for place, (pid, _) in enumerate(children):
            _, status = os.waitpid(pid, 0)
            file = Path(folder) / f"{number}-{place}.json"
            said = json.loads(file.read_text()) if file.exists() else None
            results.append({"code": os.waitstatus_to_exitcode(status), "said": said})
        found.append(results)
    print("RESULT " + json.dumps(found))


def _start(file: Path, one: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        said = _try(one)
        code = 0
    except BaseException as exc:
        traceback.print_exc()
        said = f"{type(exc).__name__}: {exc}"
    file.with_suffix(".new").write_text(json.dumps(said))
    file.with_suffix(".new").rename(file)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _try(one: dict[str, Any]) -> Any:
    """One try of an operator, or approvals."""
    if one["do"] == "approve":
        return _approve(Path(one["folder"]), one["version"])
    if "dies_at" in one:
        _die_within(one["within"], one["dies_at"])
    module = import_module(f"airflow_chain.operators.{one['do']}")
    operator: Any = getattr(module, _OPERATORS[one["do"]])
    # No task instance is here that could push anything beside the result.
    made = operator(task_id=one["do"], do_xcom_push=False, **one["arguments"])
    return made.execute({})


def _die_within(action: str, step: str) -> None:
    """Arrange the death of this process at a step, once it does an action on chain.

    Args:
        action: as the transaction's purpose names it; ``note``: a proposal's text was noted;
            ``sync``: at once.
        step: of `chain_client.steps`.
    """
    from chain_client.registry import documents
    from chain_client.registry.client import RegistryClient
    from chain_client.testing.crash import kill_at

    registry: Any = RegistryClient
    once, note = registry._once, documents.note_document

    def armed_once(self: Any, what: str, *rest: Any) -> Any:
        if what == action:
            kill_at(step)
        return once(self, what, *rest)

    def armed_note(*rest: Any) -> None:
        note(*rest)
        kill_at(step)

    if action == "note":
        vars(documents)["note_document"] = armed_note
    elif action == "sync":
        kill_at(step)
    else:
        registry._once = armed_once


def _approve(folder: Path, version: int) -> None:
    from airflow_chain.hooks.chain import ChainHook
    from chain_client.governing.promoting import find_proposal
    from chain_client.signing import open_signer

    hook = ChainHook()
    client = hook.get_conn()
    document = find_proposal(client, name="fraud", version=version)
    for name in ("bob", "carol"):
        key = open_signer(f"keystore:{name}.json", base=folder)
        client.registry.approve(document, signer=key)
    hook.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
