"""Policy files: who approves what, under version control, as TOML or YAML.

The format is in ``docs/reference/approval-files.md``. Every mistake is named with the file, the key
and what was expected. Signatures here are stable; the difference to the chain is made by
`policies`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.errors import ChainError, InvalidInput, InvalidPolicyFile
from chain_client.registry.check_configuration import ConfiguredCheck
from chain_client.registry.check_reports import MAX_CHECKS
from chain_client.registry.durations import parse_duration
from chain_client.registry.evidence import CHECKS, KINDS, to_mask
from chain_client.registry.targets import Target
from chain_client.registry.users import resolve_address
from chain_client.types import Address, to_hex

MAX_SEATS = 64
"""Most members that a group can ever have."""

_MAX_BYTES = 1_000_000
_RULE_KEYS = ("group", "approvals", "min_delay", "expiry", "evidence", "checks")
_DEFAULT_EXPIRY = "7d"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who approves for a target, and how.

    Args:
        group: name of the group.
        approvals: how many of its members.
        min_delay_s: from the proposal to the earliest promotion.
        expiry_s: how long a proposal may stay open.
        evidence: kinds that a proposal has to bring, as in `evidence.KINDS`.
        checks: that a proposal has to pass, by name.
    """

    group: str
    approvals: int
    min_delay_s: int
    expiry_s: int
    evidence: tuple[str, ...] = ()
    checks: tuple[ConfiguredCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """What a policy file says.

    Args:
        path: the file, for messages.
        groups: addresses of the members by the group's name.
        rules: by the model's name (``fraud`` or ``workspace/fraud``; None: default for every
            model) and the target.
    """

    path: str
    groups: Mapping[str, tuple[Address, ...]]
    rules: Mapping[tuple[str | None, Target], Rule]


def read_policy_file(path: Path, users: Mapping[str, Address]) -> PolicyFile:
    """The policies in a file.

    Args:
        path: a ``.toml``, ``.yaml`` or ``.yml`` file.
        users: addresses by bound name.

    Raises:
        InvalidPolicyFile: it can't be read, or says something that can't be applied.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InvalidPolicyFile(f"{path} can't be read: {exc.strerror or exc}") from exc
    if len(data) > _MAX_BYTES:
        raise InvalidPolicyFile(f"{path}: expected at most {_MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidPolicyFile(f"{path}: expected UTF-8") from None
    suffix = path.suffix.lower()
    if suffix == ".toml":
        content = _from_toml(str(path), text)
    elif suffix in (".yaml", ".yml"):
        content = _from_yaml(str(path), text)
    else:
        raise InvalidPolicyFile(f"{path}: expected a file that ends with .toml, .yaml or .yml")
    return parse_policies(str(path), content, users)


def parse_policies(path: str, content: object, users: Mapping[str, Address]) -> PolicyFile:
    """The policies of a parsed file.

    Raises:
        InvalidPolicyFile: as `read_policy_file`.
    """
    return _Parser(path, users).parse(content)


class _Parser:
    """Reads one file; knows its name for what goes wrong."""

    def __init__(self, path: str, users: Mapping[str, Address]) -> None:
        self._path = path
        self._users = users
        self._checks: dict[str, ConfiguredCheck] = {}

    def parse(self, content: object) -> PolicyFile:
        parts = self._table("", content, ("groups", "default", "models", "checks"))
        for name, check in self._table("checks", parts.get("checks", {})).items():
            self._checks[name] = self._check(f"checks.{name}", name, check)
        groups = {
            name: self._members(f"groups.{name}", members)
            for name, members in self._table("groups", parts.get("groups", {})).items()
        }
        rules: dict[tuple[str | None, Target], Rule] = {}
        self._add_rules(rules, "default", None, parts.get("default", {}), groups)
        for model, targets in self._table("models", parts.get("models", {})).items():
            workspace, _, name = model.rpartition("/")
            if not name or "/" in workspace:
                raise self._wrong(f"models.{model}", "a model's name, or workspace/name", model)
            self._add_rules(rules, f'models."{model}"', model, targets, groups)
        used = {check.name for rule in rules.values() for check in rule.checks}
        for name in self._checks:
            if name not in used:
                raise self._wrong(f"checks.{name}", "a rule that lists it in its checks", None)
        return PolicyFile(self._path, groups, rules)

    def _add_rules(
        self,
        rules: dict[tuple[str | None, Target], Rule],
        key: str,
        model: str | None,
        content: object,
        groups: Mapping[str, tuple[Address, ...]],
    ) -> None:
        for text, rule in self._table(key, content).items():
            place = f'{key}."{text}"'
            try:
                target = Target.parse(text)
            except InvalidInput as exc:
                raise InvalidPolicyFile(f"{self._path}: {place}: {exc}") from None
            if (model, target) in rules:
                raise InvalidPolicyFile(f"{self._path}: {place}: {target} stands there twice")
            rules[model, target] = self._rule(place, rule, groups)

    def _rule(self, key: str, content: object, groups: Mapping[str, tuple[Address, ...]]) -> Rule:
        table = self._table(key, content, _RULE_KEYS)
        group = table.get("group")
        if not isinstance(group, str) or group not in groups:
            known = ", ".join(groups) or "none"
            raise self._wrong(f"{key}.group", f"the name of a group (known: {known})", group)
        approvals = table.get("approvals")
        if type(approvals) is not int or not 1 <= approvals <= MAX_SEATS:
            raise self._wrong(
                f"{key}.approvals", f"a whole number from 1 to {MAX_SEATS}", approvals
            )
        if approvals > len(groups[group]):
            raise InvalidPolicyFile(
                f"{self._path}: {key}.approvals: {approvals} can never be reached: the group "
                f"{group!r} has {len(groups[group])} members"
            )
        min_delay_s = self._duration(f"{key}.min_delay", table.get("min_delay", 0))
        expiry_s = self._duration(f"{key}.expiry", table.get("expiry", _DEFAULT_EXPIRY))
        if min_delay_s >= expiry_s:
            raise InvalidPolicyFile(
                f"{self._path}: {key}.min_delay: expected less than the expiry, or nothing could "
                "ever be promoted"
            )
        evidence = table.get("evidence", [])
        if not isinstance(evidence, list) or not all(isinstance(kind, str) for kind in evidence):
            raise self._wrong(f"{key}.evidence", f"a list of {', '.join(KINDS)}", evidence)
        if CHECKS in evidence:
            raise self._wrong(f"{key}.evidence", "the names of the checks under checks", CHECKS)
        try:
            to_mask(evidence)
        except InvalidInput as exc:
            raise InvalidPolicyFile(f"{self._path}: {key}.evidence: {exc}") from None
        kinds = tuple(sorted(set(evidence)))
        checks = self._listed(f"{key}.checks", table.get("checks", []))
        return Rule(group, approvals, min_delay_s, expiry_s, kinds, checks)

    def _check(self, key: str, name: str, content: object) -> ConfiguredCheck:
        configuration = dict(self._table(key, content))
        plugin = configuration.pop("plugin", None)
        if not isinstance(plugin, str):
            raise self._wrong(f"{key}.plugin", "the name of a plugin", plugin)
        try:
            return ConfiguredCheck(name, plugin, configuration)
        except InvalidInput as exc:
            raise InvalidPolicyFile(f"{self._path}: {key}: {exc}") from None

    def _listed(self, key: str, names: object) -> tuple[ConfiguredCheck, ...]:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._wrong(key, "a list of names of checks", names)
        for name in names:
            if name not in self._checks:
                known = ", ".join(self._checks) or "none"
                raise self._wrong(key, f"names of checks (known: {known})", name)
        if len(names) > MAX_CHECKS:
            raise self._wrong(key, f"at most {MAX_CHECKS} checks", len(names))
        return tuple(self._checks[name] for name in sorted(set(names)))

    def _members(self, key: str, content: object) -> tuple[Address, ...]:
        if not isinstance(content, list) or not content:
            raise self._wrong(key, "a list of names and addresses", content)
        if len(content) > MAX_SEATS:
            raise self._wrong(key, f"at most {MAX_SEATS} members", len(content))
        found: list[Address] = []
        for number, member in enumerate(content):
            place = f"{key}[{number}]"
            if type(member) is int:
                raise self._wrong(place, "a name or an address; write 0x… in quotes", "a number")
            if not isinstance(member, str):
                raise self._wrong(place, "a name or an address", member)
            try:
                address = resolve_address(member, self._users)
            except ChainError as exc:
                raise InvalidPolicyFile(f"{self._path}: {place}: {exc}") from None
            if not any(address):
                raise self._wrong(place, "an address of somebody", member)
            if address in found:
                raise InvalidPolicyFile(
                    f"{self._path}: {place}: {to_hex(address)} is a member already"
                )
            found.append(address)
        return tuple(found)

    def _duration(self, key: str, value: object) -> int:
        if isinstance(value, int | str):
            try:
                seconds = parse_duration(value)
            except InvalidInput as exc:
                raise InvalidPolicyFile(f"{self._path}: {key}: {exc}, got {value!r}") from None
            if seconds < 1 << 32:
                return seconds
        raise self._wrong(key, "a duration such as 1h, of at most 100 years", value)

    def _table(
        self, key: str, content: object, known: Sequence[str] | None = None
    ) -> dict[str, Any]:
        if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
            raise self._wrong(key, "a table", content)
        for name in content:
            if known is not None and name not in known:
                where = f"{key}.{name}" if key else name
                raise self._wrong(where, f"one of the keys {', '.join(known)}", name)
            if not name:
                raise self._wrong(key, "names that are not empty", name)
        return content

    def _wrong(self, key: str, expected: str, got: object) -> InvalidPolicyFile:
        shown = "nothing" if got is None else repr(got)[:80]
        where = f"{key}: " if key else ""
        return InvalidPolicyFile(f"{self._path}: {where}expected {expected}, got {shown}")


def _from_toml(path: str, text: str) -> object:
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise InvalidPolicyFile(f"{path}: it is no TOML: {exc}") from None


def _from_yaml(path: str, text: str) -> object:
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Refuses a key that stands twice, which YAML's own loader passes over."""

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise InvalidPolicyFile(
                    f"{path}: line {node.start_mark.line + 1}: the key {name!r} stands there twice"
                )
        return dict(loader.construct_pairs(node, deep=True))

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        content = yaml.load(text, Loader=Loader)  # noqa: S506 - a child of SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        if isinstance(exc, InvalidPolicyFile):
            raise
        raise InvalidPolicyFile(f"{path}: it is no YAML: {exc}") from None
    return {} if content is None else content
