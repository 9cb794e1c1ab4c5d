"""Data that the version's run used: only what is on the list."""

from __future__ import annotations

from collections.abc import Iterator

from chain_client.checks import CheckFinding, PromotionContext
from promotion_checks.mlflow_side import reading
from promotion_checks.options import TEXT, TEXTS, read_options

KNOWN = {"allowed": TEXTS, "used_for": TEXT}


def check(context: PromotionContext) -> Iterator[CheckFinding]:
    """Blocks a run that logged no dataset, or one whose digest is not allowed."""
    options = read_options(context.configuration, KNOWN, needed=("allowed",))
    wanted, used = options.get("used_for"), []
    if context.run_id:
        with reading(context) as client:
            inputs = client.get_run(context.run_id).inputs
        for one in inputs.dataset_inputs if inputs else ():
            tags = {tag.key: tag.value for tag in one.tags}
            if wanted is None or tags.get("mlflow.data.context") == wanted:
                used.append(one.dataset)
    if not used:
        yield CheckFinding("block", "no run has logged a dataset for this version")
    for dataset in used:
        if dataset.digest not in options["allowed"]:
            yield CheckFinding(
                "block",
                f"the dataset {dataset.name!r} with the digest {dataset.digest} is not allowed",
                {"name": dataset.name, "digest": dataset.digest},
            )
