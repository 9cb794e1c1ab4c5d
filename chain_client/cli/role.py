"""``mlops-chain role``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from chain_client.cli.governance import (
    admin_json,
    admin_result,
    governing,
    to_address,
    to_day,
)
from chain_client.cli.key import stated_address
from chain_client.cli.output import console, json_option, print_json, print_note, print_rows, safe
from chain_client.cli.signing_key import PasswordSource, key_options, open_key
from chain_client.client import ChainClient
from chain_client.errors import ChainError
from chain_client.home import OWNER_KEY
from chain_client.ledger.model_registry_values import ROLE_NAMES
from chain_client.ledger.timelock import OperationState, TimelockContract
from chain_client.registry.administration import ROLES
from chain_client.registry.client import AdminResult, RegistryClient
from chain_client.registry.users import named, to_names
from chain_client.types import Address, to_hex

_APPROVER = "approver:"
_MEANING = {
    "admin": "sets policies, groups and roles",
    "registrar": "registers versions",
    "requester": "asks for promotions",
    "breaker": "breaks the glass, revokes versions, pauses",
}


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the contract, or membership in a group of approvers (``group``)."""

    name: str
    group: str | None = None


def to_role(context: click.Context, parameter: click.Parameter, text: str) -> Role:
    """The role that a word names, for an argument's callback."""
    group = text.removeprefix(_APPROVER)
    if text.startswith(_APPROVER) and group:
        return Role(text, group)
    if text not in ROLES:
        raise click.BadParameter(
            f"{text!r} is no role; expected {', '.join(ROLES)} or approver:GROUP"
        )
    return Role(text)


_KEY_HELP = "The admin's key, that of the deployment's owner by default."


@click.group()
def role() -> None:
    """Give rights to people, and take them away.

    \b
    requester       asks for promotions
    approver:GROUP  approves as a member of that group
    breaker         breaks the glass, revokes versions, pauses
    registrar       registers versions (the home's own key does)
    admin           sets policies, groups and roles

    \b
    Examples:
      mlops-chain role grant requester ada
      mlops-chain role grant approver:risk bob
      mlops-chain role list
    """


def _change_options(function: Callable[..., None]) -> Callable[..., None]:
    """What is given or taken away, to whom, and by whose key."""
    for option in (
        click.pass_obj,
        json_option,
        key_options(_KEY_HELP, default=OWNER_KEY),
        click.argument("who"),
        click.argument("role_name", metavar="ROLE", callback=to_role),
    ):
        function = option(function)
    return function


@role.command("grant")
@_change_options
def grant(home: Path | None, **options: Any) -> None:
    """Give ROLE to WHO: a bound user, or an address.

    Where a timelock administers the registry, the change is scheduled, and the same command
    carries it out once it has waited.

    \b
    Example:
      mlops-chain role grant approver:risk bob
    """
    _change(home, **options, is_given=True)


@role.command("revoke")
@_change_options
def revoke(home: Path | None, **options: Any) -> None:
    """Take ROLE away from WHO: a bound user, or an address.

    What an approver signed counts no more then, wherever it is not promoted yet.

    \b
    Example:
      mlops-chain role revoke approver:risk bob
    """
    _change(home, **options, is_given=False)


@role.command("list")
@json_option
@click.pass_obj
def list_roles(home: Path | None, as_json: bool) -> None:
    """List who has which role, by chain; and what waits in the timelock.

    \b
    Example:
      mlops-chain role list
    """
    with governing(home) as client:
        registry = client.registry
        users = registry.users()
        holders = list(_holders(client, registry))
        waiting = list(_waiting(client))
    names = to_names(users)
    if as_json:
        print_json(
            {
                "ok": True,
                "roles": [
                    {
                        "role": one,
                        "members": [
                            {"address": to_hex(account), "user": names.get(account)}
                            for account in accounts
                        ],
                    }
                    for one, accounts in holders
                ],
                "waiting": waiting,
            }
        )
        return
    for one, accounts in holders:
        meaning = _MEANING.get(one, "")
        console().print(f"[bold]{safe(one)}[/]" + (f"  {meaning}" if meaning else ""))
        for line in [_shown(account, names, client) for account in accounts] or ["nobody"]:
            console().print(f"  {safe(line)}", soft_wrap=True)
    for one_waiting in waiting:
        console().print(
            f"[yellow]waits[/]  {one_waiting['operation']}\n  can be carried out from "
            f"{to_day(one_waiting['ready_at_s'])} on, by the command that scheduled it",
            soft_wrap=True,
        )


def _change(
    home: Path | None,
    *,
    role_name: Role,
    who: str,
    key_uri: str,
    password_file: Path | None,
    password_variable: str | None,
    as_json: bool,
    is_given: bool,
) -> None:
    wanted, source = role_name, PasswordSource(password_file, password_variable)
    with governing(home) as client:
        registry = client.registry
        users = registry.users()
        account = to_address(who, users)
        shown = named(account, to_names(users))
        signer = open_key(key_uri, client.home, source)
        result: AdminResult
        if wanted.group is None:
            act = registry.grant_role if is_given else registry.revoke_role
            result = act(wanted.name, account, signer=signer)
        else:
            change = registry.add_approver if is_given else registry.remove_approver
            result = change(wanted.group, account, signer=signer)
        lies_here = is_given and wanted.group is not None and _lies_in(client.folder.keys, account)
    if as_json:
        print_json(
            {"ok": True, "role": wanted.name, "address": to_hex(account), **admin_json(result)}
        )
    else:
        done = f"{shown} {_is_so(wanted, is_given)}"
        print_rows([admin_result(result, done, done)])
    if lies_here:
        print_note(
            f"the key of this approver lies in {client.folder.keys}: whoever runs this home can "
            "approve with it. An approver's key never belongs there"
        )


def _is_so(wanted: Role, is_given: bool) -> str:
    if wanted.group is not None:
        is_it = "is an approver" if is_given else "is no approver any more"
        return f"{is_it} of the group {wanted.group}"
    return f"{'has' if is_given else 'has no longer'} the role {wanted.name}"


def _lies_in(folder: Path, account: Address) -> bool:
    for path in folder.glob("*.json"):
        try:
            if stated_address(path) == to_hex(account):
                return True
        except ChainError:
            continue
    return False


def _holders(client: ChainClient, registry: RegistryClient) -> Iterator[tuple[str, list[Address]]]:
    """Roles and groups with who has them."""
    state, lookup = registry.state(), registry.names()
    for key, name in ROLE_NAMES.items():
        yield name, sorted(state.roles.get(key, set()))
    for group in state.groups:
        name = lookup.groups.get(group) or to_hex(group)
        yield _APPROVER + name, list(state.members(group))


def _waiting(client: ChainClient) -> Iterator[dict[str, Any]]:
    """What was scheduled and is not carried out."""
    deployment = client.deployment
    if deployment.timelock is None:
        return
    lock = TimelockContract(client.ledger, deployment.timelock)
    newest = client.ledger.block().number
    for one in lock.scheduled(deployment.registry_block or 0, newest):
        state = lock.state(one.operation_id)
        ready_at_s = lock.ready_at_s(one.operation_id)
        if state in (OperationState.WAITING, OperationState.READY) and ready_at_s is not None:
            yield {
                "operation": to_hex(one.operation_id),
                "ready_at_s": ready_at_s,
                "is_ready": state is OperationState.READY,
            }


def _shown(account: Address, names: Mapping[Address, str], client: ChainClient) -> str:
    deployment = client.deployment
    known = {deployment.owner: "the home's owner"}
    if deployment.timelock is not None:
        known[deployment.timelock] = "the timelock"
    name = names.get(account) or known.get(account, "")
    return f"{to_hex(account)}  {name}".rstrip()
