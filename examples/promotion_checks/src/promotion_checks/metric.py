"""A metric of the version's run: good enough, and better than that of the current champion."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chain_client.checks import CheckFinding, PromotionContext
from promotion_checks.mlflow_side import metric_of, reading
from promotion_checks.options import FLAG, NUMBER, TEXT, read_options

KNOWN = {
    "metric": TEXT,
    "at_least": NUMBER,
    "at_most": NUMBER,
    "gain": NUMBER,
    "wanted_gain": NUMBER,
    "lower_is_better": FLAG,
}


def check(context: PromotionContext) -> Iterator[CheckFinding]:
    """Blocks a metric that is missing, out of bounds, or worse than the champion's."""
    options = read_options(context.configuration, KNOWN, needed=("metric",))
    name = options["metric"]
    champion = None
    with reading(context) as client:
        value = metric_of(client, context.run_id, name)
        if context.current is not None:
            current = client.get_model_version(context.model, str(context.current))
            champion = metric_of(client, current.run_id, name)
    if value is None or not math.isfinite(value):
        yield CheckFinding("block", f"no run has logged the metric {name!r} for this version")
        return
    values = {"metric": name, "value": value, "champion": champion}
    if value < options.get("at_least", -math.inf):
        text = f"{name} is {value:g}, and at least {options['at_least']:g} is asked for"
        yield CheckFinding("block", text, values)
    if value > options.get("at_most", math.inf):
        text = f"{name} is {value:g}, and at most {options['at_most']:g} is asked for"
        yield CheckFinding("block", text, values)
    if context.current is None:
        return
    if champion is None or not math.isfinite(champion):
        text = f"version {context.current} is current, and has no {name} to compare with"
        yield CheckFinding("warn", text, values)
        return
    gain = champion - value if options.get("lower_is_better") else value - champion
    told = f"{name} is {value:g}, and that of version {context.current}, the champion, {champion:g}"
    if gain < options.get("gain", 0):
        yield CheckFinding("block", told, values)
    elif gain < options.get("wanted_gain", -math.inf):
        yield CheckFinding("warn", f"hardly better: {told}", values)
