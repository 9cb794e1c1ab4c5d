"""Rows of the model registry: what a version and a promotion cost in gas."""

from __future__ import annotations

import secrets
from dataclasses import replace

from chain_client.registry.typed_data import hash_summary, proposal_id, state_approval
from chain_client.types import Digest
from tests.bench.bench_home import Options
from tests.bench.figures import Row, p50, p90, span_text
from tests.registries import (
    APPROVERS,
    MODEL,
    REGISTRAR,
    REQUESTER,
    SUMMARY,
    TARGET,
    OpenRegistry,
    make_registry,
)

_TARGET_REGISTER = 76_000
_TARGET_PROMOTE = 200_000
_STEPS = ("propose", "approve", "promote")


def registry_rows(options: Options) -> list[Row]:
    """The rows of this module that are wanted."""
    rounds = 2 if options.quick else 20
    registry = make_registry(options.work / "registry.db")
    registry.gate(threshold=2)
    digests = {number: _random() for number in range(1, rounds + 1)}
    registered = [
        registry.send(
            REGISTRAR, registry.contract.register_version_call(MODEL, number, digest, 10**6)
        ).gas_used
        for number, digest in digests.items()
    ]
    found = []
    if "gas_register" in options.rows:
        found.append(_register(registered))
    if "gas_promote" in options.rows:
        found.append(_promote([_promotion(registry, *item) for item in digests.items()]))
    registry.ledger.close()
    return found


def _register(gas: list[int]) -> Row:
    return Row(
        "gas_register",
        "gas of registering a version",
        f"≤{_TARGET_REGISTER:,}",
        f"{max(gas):,}",
        max(gas) <= _TARGET_REGISTER,
        p50=f"{p50(gas):,.0f}",
        p90=f"{p90(gas):,.0f}",
        spread=span_text(gas, ",.0f"),
        notes=["Gas of the whole transaction; the result is the greatest of all."],
        raw={"gas": gas},
    )


def _promote(gas: list[list[int]]) -> Row:
    first, later = sum(gas[0]), [sum(steps) for steps in gas[1:]]
    steps = ", ".join(f"{name} {used:,}" for name, used in zip(_STEPS, gas[0]))
    return Row(
        "gas_promote",
        "gas of a promotion: proposal, 2 of 3 signatures, promote",
        f"≤{_TARGET_PROMOTE:,}",
        f"{first:,}",
        first <= _TARGET_PROMOTE,
        p50=f"{p50(later):,.0f}",
        p90=f"{p90(later):,.0f}",
        spread=span_text(later, ",.0f"),
        notes=[
            "Gas of three whole transactions. The result is that of a target's first promotion "
            f"({steps}); p50, p90 and spread are those of the later ones."
        ],
        raw={"gas": [dict(zip(_STEPS, used)) for used in gas]},
    )


def _promotion(registry: OpenRegistry, version: int, digest: Digest) -> list[int]:
    """Gas of each step. All hashes are random, as real ones are."""
    contract = registry.contract
    summary = f"{SUMMARY} {secrets.token_hex(16)}"
    fields = replace(
        registry.fields(version=version),
        digest=digest,
        summary_hash=hash_summary(summary),
        nonce=_random(),
    )
    approval = state_approval(registry.domain, proposal_id(fields), summary)
    signers = APPROVERS[:2]
    proposed = registry.send(REQUESTER, contract.propose_call(fields))
    approved = registry.send(
        REQUESTER,
        contract.approve_by_signatures_call(
            fields, [key.address() for key in signers], [approval.sign(key) for key in signers]
        ),
    )
    promoted = registry.send(REQUESTER, contract.promote_call(fields))
    if contract.current(MODEL, TARGET).version != version:
        raise RuntimeError("the promotion did not become current")
    return [receipt.gas_used for receipt in (proposed, approved, promoted)]


def _random() -> Digest:
    return Digest(secrets.token_bytes(32))
