"""What mlops-chain calls: one hook, and the kinds of checks behind it."""

from __future__ import annotations

from collections.abc import Iterator

from chain_client.checks import CheckFinding, PromotionContext
from chain_client.hookspecs import hookimpl
from promotion_checks import datasets, metric, tags
from promotion_checks.options import WrongOptions

KINDS = {"datasets": datasets.check, "metric": metric.check, "tags": tags.check}


@hookimpl
def check_promotion(context: PromotionContext) -> Iterator[CheckFinding]:
    """Carry out the check of the kind that the policy file names."""
    kind = context.configuration.get("kind")
    if kind not in KINDS:
        yield CheckFinding("block", f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
        return
    try:
        yield from KINDS[kind](context)
    except WrongOptions as exc:
        yield CheckFinding("block", str(exc))
