"""What can be gated: an alias or a stage, by its canonical name.

Signatures here are stable: gate, doors, sync and CLI build on them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from chain_client.errors import InvalidInput

Kind: TypeAlias = Literal["alias", "stage"]

STAGES = ("Staging", "Production", "Archived")
"""Stages that a version can be in; MLflow's ``None`` is none."""

_ALIAS = re.compile(r"[\w\-]{1,255}")
_STAGES = {name.lower(): name for name in STAGES}


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """An alias or a stage, of whatever model.

    An alias keeps its case, as MLflow stores it: ``Champion`` and ``champion`` are two targets.
    A stage is written as MLflow writes it, however it was given.

    Args:
        kind: ``alias`` or ``stage``.
        name: canonical name.
    """

    kind: Kind
    name: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """The target that a text names.

        Args:
            text: ``alias:champion``, ``@champion`` or ``stage:production``.

        Raises:
            InvalidInput: it names none.

        >>> str(Target.parse("stage:production"))
        'stage:Production'
        """
        kind, colon, name = text.partition(":")
        if text.startswith("@"):
            return cls.alias(text[1:])
        if colon and kind == "alias":
            return cls.alias(name)
        if colon and kind == "stage":
            return cls.stage(name)
        raise InvalidInput(
            f"{text[:80]!r} is no target; expected alias:<name>, @<alias> or stage:<name>"
        )

    @classmethod
    def alias(cls, name: str) -> Target:
        """The target of an alias.

        Raises:
            InvalidInput: MLflow takes no such alias.
        """
        if not _ALIAS.fullmatch(name):
            raise InvalidInput(
                f"{name[:80]!r} is no alias; expected letters, digits, '_' and '-', 255 at most"
            )
        return cls("alias", name)

    @classmethod
    def stage(cls, name: str) -> Target:
        """The target of a stage, whatever the case of its name.

        Raises:
            InvalidInput: there is no such stage, or it is ``None``, which holds no version.
        """
        found = _STAGES.get(name.lower())
        if found is None:
            raise InvalidInput(f"{name[:80]!r} is no stage; expected one of {', '.join(STAGES)}")
        return cls("stage", found)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"
