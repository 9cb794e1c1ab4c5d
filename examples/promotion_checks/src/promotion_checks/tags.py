"""Tags that a version has to have, and what they have to look like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chain_client.checks import CheckFinding, Level, PromotionContext
from promotion_checks.mlflow_side import reading
from promotion_checks.options import PATTERNS, WrongOptions, read_options

KNOWN = {"required": PATTERNS, "wanted": PATTERNS}


def check(context: PromotionContext) -> Iterator[CheckFinding]:
    """Blocks without the required tags, and warns without the wanted ones."""
    options = read_options(context.configuration, KNOWN)
    with reading(context) as client:
        tags = client.get_model_version(context.model, str(context.version)).tags
    groups: tuple[tuple[Level, str], ...] = (("block", "required"), ("warn", "wanted"))
    for level, group in groups:
        for name, pattern in options.get(group, {}).items():
            try:
                fits = re.fullmatch(pattern, tags.get(name, ""))
            except (re.error, TypeError):
                raise WrongOptions(f"{group}.{name}: expected a regular expression") from None
            if name not in tags:
                yield CheckFinding(level, f"the version has no tag {name!r}", {"tag": name})
            elif not fits:
                text = f"the tag {name!r} of the version does not look like {pattern}"
                yield CheckFinding(level, text, {"tag": name})
