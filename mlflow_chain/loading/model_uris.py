"""Which version of which model a URI asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.errors import InvalidInput
from chain_client.registry.targets import Target

SCHEME = "chain+models"
"""Scheme that MLflow itself takes, wherever it takes ``models``."""

_PREFIXES = (f"{SCHEME}:/", "models:/")
_FORMS = "models:/<name>@<alias>, models:/<name>/<stage> or models:/<name>/<version>"


@dataclass(frozen=True, slots=True)
class ModelUri:
    """A model, and what tells the version.

    Args:
        name: of the registered model.
        target: the alias or stage; None if the version is named.
        version: its number; None if a target is named.
        path: below the version's files; empty for all of them.
    """

    name: str
    target: Target | None = None
    version: int | None = None
    path: str = ""

    @classmethod
    def parse(cls, uri: str) -> ModelUri:
        """What a URI asks for.

        Raises:
            InvalidInput: nothing that somebody could have approved.

        >>> ModelUri.parse("models:/fraud@champion").target
        Target(kind='alias', name='champion')
        """
        prefix = next((prefix for prefix in _PREFIXES if uri.startswith(prefix)), None)
        if prefix is None:
            raise InvalidInput(f"{uri!r} names no registered model; expected {_FORMS}")
        name, _, rest = uri.removeprefix(prefix).strip("/").partition("/")
        if ".." in rest.split("/"):
            raise InvalidInput(f"{uri!r} has '..' in its path")
        model, at, alias = name.rpartition("@")
        if at and model:
            return cls(model, Target.alias(alias), None, rest)
        suffix, _, path = rest.partition("/")
        if not name or not suffix:
            raise InvalidInput(
                f"{uri!r} names no version of a registered model; expected {_FORMS}: of anything "
                "else the chain knows nothing"
            )
        if suffix.isascii() and suffix.isdecimal():
            return cls(name, None, int(suffix), path)
        if suffix.lower() == "latest":
            raise InvalidInput(f"nobody approves what is latest; expected {_FORMS}")
        return cls(name, Target.stage(suffix), None, path)

    def __str__(self) -> str:
        if self.target is None:
            return f"models:/{self.name}/{self.version}"
        if self.target.kind == "alias":
            return f"models:/{self.name}@{self.target.name}"
        return f"models:/{self.name}/{self.target.name}"
