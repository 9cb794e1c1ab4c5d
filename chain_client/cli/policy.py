"""``mlops-chain policy``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from chain_client.cli.governance import (
    admin_json,
    admin_result,
    governing,
)
from chain_client.cli.output import console, counted, json_option, print_json, print_rows, safe
from chain_client.cli.signing_key import PasswordSource, key_options, open_key
from chain_client.client import ChainClient
from chain_client.governing.models import find_models
from chain_client.home import OWNER_KEY
from chain_client.ledger.model_registry_values import ANY_MODEL, Policy
from chain_client.registry.administration import AdminResult, Scheduled
from chain_client.registry.check_configuration import AppliedChecks
from chain_client.registry.client import RegistryClient
from chain_client.registry.durations import show_duration
from chain_client.registry.evidence import to_kinds
from chain_client.registry.history import Lookup, show_policy
from chain_client.registry.policies import PlanStep, PolicyPlan, apply_plan, plan_policies
from chain_client.registry.policy_files import read_policy_file
from chain_client.shown_text import quote_word
from chain_client.types import Digest, to_hex

_TRACKING_HELP = "Look for the file's models in this database only."


@click.group()
def policy() -> None:
    """Say in a file who approves what, and bring the chain to say the same.

    The file is TOML or YAML and belongs under version control. It is the whole truth: what it does
    not name is taken away.

    \b
    Example of a file, policy.toml:
      [groups]
      risk = ["bob", "carol", "0x5e1f…"]
      [default."alias:champion"]
      group = "risk"
      approvals = 2
      min_delay = "0s"
      expiry = "7d"

    \b
    Examples:
      mlops-chain policy plan policy.toml
      mlops-chain policy apply policy.toml
    """


_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@policy.command("plan")
@_file
@click.option("--tracking-uri", help=_TRACKING_HELP)
@json_option
@click.pass_context
def plan(context: click.Context, file: Path, tracking_uri: str | None, as_json: bool) -> None:
    """Show what `apply` would send; exit code 1 if there is something.

    \b
    Example:
      mlops-chain policy plan policy.toml
    """
    with governing(context.obj) as client:
        found = _plan(client, client.registry, file, tracking_uri)
    if as_json:
        print_json({"ok": found.is_empty, "steps": found.to_json()})
    elif found.is_empty:
        console().print("nothing to do: the chain says what the file says")
    else:
        _print_plan(found)
        command = f"mlops-chain policy apply {quote_word(str(file))}"
        console().print(f"{counted(len(found.steps), 'step')}; {safe(command)}")
    context.exit(0 if found.is_empty else 1)


@policy.command("apply")
@_file
@click.option("--tracking-uri", help=_TRACKING_HELP)
@click.option("--yes", is_flag=True, help="Don't ask.")
@key_options("The admin's key, that of the deployment's owner by default.", default=OWNER_KEY)
@json_option
@click.pass_obj
def apply(
    home: Path | None,
    file: Path,
    tracking_uri: str | None,
    yes: bool,
    key_uri: str,
    password_file: Path | None,
    password_variable: str | None,
    as_json: bool,
) -> None:
    """Bring the chain to say what the FILE says, after showing the difference.

    As soon as one policy is on chain, servers enforce it (gate.mode auto). Where a timelock
    administers the registry, each step is scheduled, and the same command carries it out once it
    has waited.

    \b
    Example:
      mlops-chain policy apply policy.toml
    """
    if as_json and not yes:
        raise click.UsageError("--json asks nothing: give --yes too")
    with governing(home) as client:
        registry = client.registry
        found = _plan(client, registry, file, tracking_uri)
        if not as_json and not found.is_empty:
            _print_plan(found)
        if not found.is_empty and not yes:
            click.confirm(f"Send {counted(len(found.steps), 'step')}?", abort=True)
        signer = open_key(key_uri, client.home, PasswordSource(password_file, password_variable))

        def tell(step: PlanStep, result: AdminResult) -> None:
            if not as_json:
                print_rows([admin_result(result, step.text, step.text)])

        results = apply_plan(registry, found, signer=signer, progress=tell)
    waits = any(isinstance(result, Scheduled) for result in results)
    if as_json:
        steps = [
            {**step.to_json(), **admin_json(result)} for step, result in zip(found.steps, results)
        ]
        print_json({"ok": True, "is_whole": not waits, "steps": steps})
    elif found.is_empty:
        console().print("nothing to do: the chain says what the file says")


@policy.command("show")
@json_option
@click.pass_obj
def show(home: Path | None, as_json: bool) -> None:
    """Show the policies that are on chain, and the members of their groups.

    \b
    Example:
      mlops-chain policy show
    """
    with governing(home) as client:
        registry = client.registry
        state = registry.state()
        lookup = registry.lookup(state)
        mode = client.gate.mode().value
        applied = registry.applied_checks()
    policies = sorted(
        (
            (_model_of(model, lookup), lookup.show_target(target), one, applied.get(place))
            for (model, target), one in state.own_policies().items()
            for place in [(model, target)]
        ),
        key=lambda found: found[:2],
    )
    groups = {
        lookup.show_group(group): [
            {"address": to_hex(account), "user": lookup.users.get(account)}
            for account in state.members(group)
        ]
        for group in state.groups
    }
    if as_json:
        print_json(
            {
                "ok": True,
                "gate_mode": mode,
                "policies": [
                    _to_json(model, target, one, lookup, checks)
                    for model, target, one, checks in policies
                ],
                "groups": groups,
            }
        )
        return
    out = console()
    if not policies:
        out.print("no policy is on chain: nothing is gated")
    for model, target, one, checks in policies:
        out.print(f"[bold]{safe(model)}[/]  {safe(target)}", soft_wrap=True)
        out.print(f"  {safe(show_policy(one, lookup))}", soft_wrap=True)
        for check in () if checks is None else checks.checks:
            text = f"  check {check.name} by plugin {check.plugin}: {_shown(check.configuration)}"
            out.print(safe(text), soft_wrap=True)
        if checks is not None:
            out.print(f"  configuration of the checks {to_hex(checks.hash)}", soft_wrap=True)
    for name, members in groups.items():
        out.print(f"[bold]group {safe(name)}[/]", soft_wrap=True)
        for member in members:
            out.print(f"  {member['address']}  {safe(member['user'] or '')}".rstrip())
    out.print(f"the gate of this home: {mode}")


def _plan(
    client: ChainClient, registry: RegistryClient, file: Path, tracking_uri: str | None
) -> PolicyPlan:
    content = read_policy_file(file, registry.users())
    names = sorted({name for name, _ in content.rules if name is not None})
    models = find_models(client, names, tracking_uri)
    state = registry.state()
    return plan_policies(
        content,
        state,
        registry.salt,
        models,
        registry.lookup(state),
        registry.applied_checks(),
    )


def _print_plan(found: PolicyPlan) -> None:
    signs = dict.fromkeys(("add_approver", "apply_checks", "set_policy"), "[green]+[/]")
    print_rows((signs.get(step.action, "[red]-[/]"), step.text) for step in found.steps)


def _model_of(model: Digest, lookup: Lookup) -> str:
    return "every model" if model == ANY_MODEL else lookup.show_model(model)


def _shown(configuration: Mapping[str, Any]) -> str:
    return json.dumps(configuration, ensure_ascii=False, sort_keys=True)


def _to_json(
    model: str, target: str, one: Policy, lookup: Lookup, checks: AppliedChecks | None
) -> dict[str, Any]:
    return {
        "model": None if model == "every model" else model,
        "target": target,
        "group": lookup.show_group(one.group),
        "approvals": one.threshold,
        "min_delay_s": one.min_delay_s,
        "min_delay": show_duration(one.min_delay_s),
        "expiry_s": one.expiry_s,
        "expiry": show_duration(one.expiry_s),
        "evidence": list(to_kinds(one.evidence_kinds)),
        "revision": one.revision,
        "checks": [] if checks is None else [check.to_json() for check in checks.checks],
        "checks_configuration": None if checks is None else to_hex(checks.hash),
        "checks_applied_by": None if checks is None else to_hex(checks.signer),
    }
