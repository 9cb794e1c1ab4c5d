"""From a policy file to the chain: the difference as a plan, and carrying it out.

Guarantee: a plan is ordered so that at no point a policy asks for approvals that nobody can give,
and one that could not be carried out whole is refused before anything is sent. The file is the
whole truth: what it does not name is taken away. Signatures here are stable.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from chain_client.errors import InvalidPolicyFile
from chain_client.events import Json
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.model_registry_values import ANY_MODEL, Policy
from chain_client.registry.administration import Administration, AdminResult
from chain_client.registry.check_configuration import AppliedChecks, ConfiguredCheck
from chain_client.registry.evidence import CHECKS, to_mask
from chain_client.registry.history import show_policy
from chain_client.registry.history_entries import Lookup
from chain_client.registry.identity import Salt, group_id, model_id, target_id
from chain_client.registry.policy_files import MAX_SEATS, PolicyFile, Rule
from chain_client.registry.state import Place, RegistryState
from chain_client.registry.targets import Target
from chain_client.signing import Signer
from chain_client.types import Address, Digest, to_hex

Action: TypeAlias = Literal[
    "add_approver", "apply_checks", "set_policy", "clear_policy", "clear_checks", "remove_approver"
]
_GONE = Policy(Digest(bytes(32)), 0, 0, 0)


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One transaction of a plan, or one leaf of the log where it is about checks.

    Args:
        action: what it does.
        text: the same for people.
        group: of a member that joins or leaves; also the policy's.
        account: that member.
        model: of a policy; `ANY_MODEL` for a default.
        target: of a policy.
        policy: that is set.
        checks: that have to pass from then on.
    """

    action: Action
    text: str
    group: Digest | None = None
    account: Address | None = None
    model: Digest | None = None
    target: Digest | None = None
    policy: Policy | None = None
    checks: tuple[ConfiguredCheck, ...] | None = None

    def to_json(self) -> dict[str, Json]:
        """The step for programs."""
        return {
            "action": self.action,
            "text": self.text,
            "group": None if self.group is None else to_hex(self.group),
            "account": None if self.account is None else to_hex(self.account),
            "model": None if self.model is None else to_hex(self.model),
            "target": None if self.target is None else to_hex(self.target),
            "checks": None if self.checks is None else [one.to_json() for one in self.checks],
        }


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """What has to be sent so that the chain says what a file says.

    Args:
        steps: in the order in which they are sent.
        groups: names to note in the log, so that history can show them.
        targets: likewise.
        models: likewise.
    """

    steps: tuple[PlanStep, ...]
    groups: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    models: tuple[ModelIncarnation, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the chain says so already."""
        return not self.steps

    def lines(self) -> list[str]:
        """The plan for people."""
        return [step.text for step in self.steps]

    def to_json(self) -> list[Json]:
        """The steps for programs."""
        return [step.to_json() for step in self.steps]


def plan_policies(
    file: PolicyFile,
    state: RegistryState,
    salt: Salt,
    models: Mapping[str, ModelIncarnation],
    lookup: Lookup,
    applied: Mapping[Place, AppliedChecks] | None = None,
) -> PolicyPlan:
    """The difference between a policy file and the chain. Pure.

    Args:
        file: the file.
        state: what the registry holds.
        salt: the deployment's.
        models: incarnations by the names that the file uses.
        lookup: what hashes on chain stand for, for the text.
        applied: the checks that were applied for each place; None: none ever.

    Raises:
        InvalidPolicyFile: a model is not known, or a group would need more seats than there are.
    """
    wanted_groups = {group_id(salt, name): members for name, members in file.groups.items()}
    names = {group_id(salt, name): name for name in file.groups}
    shown = Lookup(
        lookup.models,
        dict(lookup.targets) | {target_id(salt, target): target for _, target in file.rules},
        dict(lookup.groups) | names,
        lookup.users,
        lookup.documents,
        lookup.reasons,
    )
    wanted: dict[Place, Policy] = {}
    titles: dict[Place, str] = {}
    checks: dict[Place, tuple[ConfiguredCheck, ...]] = {}
    for (name, target), rule in file.rules.items():
        place = (_model(file, name, models, salt), target_id(salt, target))
        wanted[place] = _policy(rule, salt)
        checks[place] = rule.checks
        titles[place] = f"{'every model' if name is None else name} {target}"
    joining = _joining(file, state, wanted_groups, shown)
    leaving = _leaving(state, wanted_groups, shown)
    policy_steps = _policy_steps(state, wanted, titles, shown)
    changed = _check_steps(applied or {}, checks, titles, shown)
    # No policy demands checks that nobody has configured.
    before = [step for step in changed if step.checks]
    after = [step for step in changed if not step.checks]
    return PolicyPlan(
        steps=(*joining, *before, *policy_steps, *after, *leaving),
        groups=tuple(file.groups),
        targets=tuple(sorted({target for _, target in file.rules})),
        models=tuple(models[name] for name in {n for n, _ in file.rules} if name is not None),
    )


def apply_plan(
    client: Administration,
    plan: PolicyPlan,
    *,
    signer: Signer | None = None,
    progress: Callable[[PlanStep, AdminResult], None] | None = None,
) -> list[AdminResult]:
    """Carry a plan out, step by step; what is done already is passed over.

    Args:
        client: sends.
        plan: from `plan_policies`.
        signer: the admin's key; default: the owner's.
        progress: told of each step.

    Returns:
        what became of each step; behind a timelock each is first scheduled, and carried out by the
        same call later.

    Raises:
        ContractReverted: as the methods of `Administration`; the steps before stay done.
    """
    client.note_names(plan.groups, plan.targets, plan.models)
    results = []
    for step in plan.steps:
        result = _carry_out(client, step, signer)
        results.append(result)
        if progress is not None:
            progress(step, result)
    return results


def _carry_out(client: Administration, step: PlanStep, signer: Signer | None) -> AdminResult:
    if step.group is not None and step.account is not None:
        if step.action == "add_approver":
            return client.add_approver_of(step.group, step.account, signer=signer)
        return client.remove_approver_of(step.group, step.account, signer=signer)
    assert step.model is not None
    assert step.target is not None
    if step.checks is not None:
        return client.apply_checks((step.model, step.target), step.checks, signer=signer)
    policy = step.policy or _GONE
    return client.set_policy_of(step.model, step.target, policy, signer=signer)


def _model(
    file: PolicyFile, name: str | None, models: Mapping[str, ModelIncarnation], salt: Salt
) -> Digest:
    if name is None:
        return ANY_MODEL
    found = models.get(name)
    if found is None:
        raise InvalidPolicyFile(
            f'{file.path}: models."{name}": there is no such registered model; register it first, '
            "or use the default policy"
        )
    return model_id(salt, found.store_id, found.workspace, found.name, found.creation_ms)


def _policy(rule: Rule, salt: Salt) -> Policy:
    return Policy(
        group=group_id(salt, rule.group),
        threshold=rule.approvals,
        min_delay_s=rule.min_delay_s,
        expiry_s=rule.expiry_s,
        evidence_kinds=to_mask((*rule.evidence, *([CHECKS] if rule.checks else []))),
    )


def _policy_steps(
    state: RegistryState, wanted: Mapping[Place, Policy], titles: Mapping[Place, str], shown: Lookup
) -> list[PlanStep]:
    now = state.own_policies()
    steps = []
    for place, policy in wanted.items():
        before = now.get(place)
        if before is not None and before.to_tuple()[:5] == policy.to_tuple()[:5]:
            continue
        was = "" if before is None else f" (was: {show_policy(before, shown)})"
        text = f"set policy of {titles[place]}: {show_policy(policy, shown)}{was}"
        steps.append(PlanStep("set_policy", text, None, None, *place, policy))
    for place in now:
        if place not in wanted:
            model = "every model" if place[0] == ANY_MODEL else shown.show_model(place[0])
            text = (
                f"take policy away of {model} {shown.show_target(place[1])} "
                f"(was: {show_policy(now[place], shown)})"
            )
            steps.append(PlanStep("clear_policy", text, None, None, *place))
    return steps


def _check_steps(
    applied: Mapping[Place, AppliedChecks],
    wanted: Mapping[Place, tuple[ConfiguredCheck, ...]],
    titles: Mapping[Place, str],
    shown: Lookup,
) -> list[PlanStep]:
    steps = []
    for place, checks in wanted.items():
        before = applied[place].checks if place in applied else ()
        if checks == before:
            continue
        if checks:
            text = f"check for {titles[place]}: {_show_checks(checks, before)}"
            steps.append(PlanStep("apply_checks", text, None, None, *place, checks=checks))
        else:
            text = f"check nothing more for {titles[place]} (was: {_show_checks(before)})"
            steps.append(PlanStep("clear_checks", text, None, None, *place, checks=()))
    for place, found in applied.items():
        if place not in wanted and found.checks:
            model = "every model" if place[0] == ANY_MODEL else shown.show_model(place[0])
            text = (
                f"check nothing more for {model} {shown.show_target(place[1])} "
                f"(was: {_show_checks(found.checks)})"
            )
            steps.append(PlanStep("clear_checks", text, None, None, *place, checks=()))
    return steps


def _show_checks(checks: Sequence[ConfiguredCheck], before: Sequence[ConfiguredCheck] = ()) -> str:
    """Every check with its configuration, and what becomes of those from before."""
    known = {one.name: one for one in before}
    parts = []
    for check in checks:
        state = "" if not before else " [new]" if check.name not in known else " [changed]"
        if known.get(check.name) == check:
            state = " [as before]"
        configuration = json.dumps(check.configuration, ensure_ascii=False, sort_keys=True)
        parts.append(f"{check.name} by plugin {check.plugin} with {configuration}{state}")
    gone = [name for name in known if name not in {check.name for check in checks}]
    parts += [f"no more {name}" for name in gone]
    return "; ".join(parts)


def _joining(
    file: PolicyFile,
    state: RegistryState,
    wanted: Mapping[Digest, tuple[Address, ...]],
    shown: Lookup,
) -> list[PlanStep]:
    steps = []
    for group, members in wanted.items():
        now = state.members(group)
        fresh = [member for member in members if member not in now]
        given = len(state.groups.get(group, []))
        if given + len(fresh) > MAX_SEATS:
            raise InvalidPolicyFile(
                f"{file.path}: groups.{shown.show_group(group)}: {given} of its {MAX_SEATS} seats "
                f"were given, and {len(fresh)} more are needed; seats are never given twice, so "
                "set up a group of another name"
            )
        for member in fresh:
            text = f"add {_person(member, shown)} to {shown.show_group(group)}"
            steps.append(PlanStep("add_approver", text, group, member))
    return steps


def _leaving(
    state: RegistryState, wanted: Mapping[Digest, tuple[Address, ...]], shown: Lookup
) -> list[PlanStep]:
    steps = []
    for group in state.groups:
        for member in state.members(group):
            if member not in wanted.get(group, ()):
                text = f"remove {_person(member, shown)} from {shown.show_group(group)}"
                steps.append(PlanStep("remove_approver", text, group, member))
    return steps


def _person(account: Address, shown: Lookup) -> str:
    name = shown.users.get(account)
    return f"{name} ({to_hex(account)})" if name else to_hex(account)
