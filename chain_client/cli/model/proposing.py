"""``mlops-chain model propose``: attest the files, register the version, ask for its promotion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from chain_client.attestations import (
    Attestation,
    find_attestation,
    note_attestation,
    recorded_in,
)
from chain_client.cli.governance import governing, named, timeout_option, to_address
from chain_client.cli.logged import wait_until_logged
from chain_client.cli.model.offline import sign_offline
from chain_client.cli.model.statements import (
    Asked,
    asked_of,
    gather,
    read_inputs,
    statement_options,
    tell_written,
    with_options,
)
from chain_client.cli.model.waiting import (
    short_id,
    tell_standing,
    wait_option,
    wait_until,
)
from chain_client.cli.models import FoundModel, find_model
from chain_client.cli.output import account_name, console, json_option, print_json, safe
from chain_client.cli.statement_file import write_statement
from chain_client.client import ChainClient
from chain_client.errors import InvalidInput, PromotionConflict
from chain_client.events import Actor
from chain_client.hosts import AttestedFiles
from chain_client.registry.durations import parse_duration, show_time
from chain_client.registry.evidence import EvidenceItem
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import SignedStatement, request_authorship
from chain_client.registry.targets import Target
from chain_client.registry.users import to_names
from chain_client.shown_text import quote_word
from chain_client.types import Address, to_hex

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be proposed.

    Args:
        name: of the model, ``fraud`` or ``workspace/fraud``.
        version: its number.
        target: the alias or stage.
        evidence: what the requester brings.
        open_for_s: seconds until its deadline; None: as long as the policy allows.
        supersedes: id (or its beginning) of a closed proposal that it takes up again.
        tracking_uri: the database; None: any.
        requester: who is to sign, where that is not the key here.
        again: propose although an equal proposal is open.
        breaks_glass: no policy needs to be in force, and none is obeyed.
    """

    name: str
    version: int
    target: Target
    evidence: tuple[EvidenceItem, ...] = ()
    open_for_s: int | None = None
    supersedes: str | None = None
    tracking_uri: str | None = None
    requester: str | None = None
    again: bool = False
    breaks_glass: bool = False


_options = with_options(
    click.option("--target", metavar="TARGET", help="@champion, alias:champion, stage:Production."),
    click.option(
        "--evidence",
        multiple=True,
        metavar="KIND:LEAF",
        help="Evidence: a leaf of the log (evaluation:1234), or a digest (model_card:0x…); may be "
        "given several times.",
    ),
    click.option("--open-for", metavar="DURATION", help="Such as 24h; default: the policy's."),
    click.option("--supersedes", metavar="ID", help="A closed proposal that it takes up again."),
    click.option("--requester", metavar="WHO", help="Who is to sign the file of --out."),
    click.option("--again", is_flag=True, help="Propose although it is proposed already."),
    click.option("--tracking-uri", help="Look for the model in this database only."),
    statement_options("The requester's key: keystore:FILE, or the file."),
    wait_option("promoted"),
    timeout_option,
    json_option,
    click.pass_obj,
)


@click.command()
@click.argument("name", required=False)
@click.argument("version", type=click.IntRange(min=1), required=False)
@_options
def propose(
    home: Path | None,
    name: str | None,
    version: int | None,
    target: str | None,
    evidence: tuple[str, ...],
    open_for: str | None,
    supersedes: str | None,
    requester: str | None,
    again: bool,
    tracking_uri: str | None,
    wait: bool,
    timeout_s: float,
    **options: Any,
) -> None:
    """Ask that VERSION of the model NAME becomes current for a target.

    Every file of the version is read and its digest recorded, the version is registered on chain
    with the home's registrar key, and the requester signs a readable text. From then on nobody can
    change the files through a server.

    \b
    Examples:
      mlops-chain model propose fraud 7 --target @champion --key ~/keys/ada.json
      mlops-chain model propose fraud 7 --target stage:Production --out ask.json --requester ada
      mlops-chain model propose --in ask.json --signature 0x…
    """
    asked = asked_of(options)
    if asked.offline:
        sign_offline(home, asked, "authorship")
        return
    wish = None
    if not asked.inputs:
        if name is None or version is None or target is None:
            raise click.UsageError("give NAME, VERSION and --target, or a file with --in")
        wish = Wish(
            name,
            version,
            Target.parse(target),
            tuple(EvidenceItem.parse(item.replace("=", ":", 1)) for item in evidence),
            None if open_for is None else parse_duration(open_for),
            supersedes,
            tracking_uri,
            requester,
            again,
        )
    elif name is not None:
        raise click.UsageError("give NAME and VERSION, or a file with --in, not both")
    with governing(home) as client:
        carry_out(client, asked, wish, timeout_s, wait=wait)


def carry_out(
    client: ChainClient, asked: Asked, wish: Wish | None, timeout_s: float, *, wait: bool
) -> None:
    """Propose what is wished, or what the file of ``--in`` holds, and say how it stands.

    Raises:
        ChainError: it can't be proposed; the text says why.
    """
    registry = client.registry
    signer = asked.open_key(client.home)
    given = read_inputs(asked, "authorship")
    tell = teller(shown=not asked.as_json)
    if wish is None:
        document = given[0].document
        assert isinstance(document, ProposalDocument)
    else:
        _check_asker(asked, wish)
        requester = (
            signer.address()
            if signer is not None
            else to_address(wish.requester or "", registry.users())
        )
        document = write(client, wish, requester, timeout_s, tell)
    registry.check_document(document)
    request = request_authorship(document)
    if asked.out is not None and signer is None:
        _write(asked, request)
        return
    statement = gather(asked, request, given, signer, registry.salt, registry.users())[-1]
    if asked.out is not None:
        _write(asked, statement)
        return
    registry.propose(document, signed=statement)
    _tell(client, asked, document, timeout_s, wait=wait)


def write(
    client: ChainClient, wish: Wish, requester: Address, timeout_s: float, tell: Tell
) -> ProposalDocument:
    """The proposal of a wish, after its files were attested and its version was registered.

    Raises:
        PromotionConflict: it is proposed already; or its files are not those that were registered.
        ChainError: model or version are not there, can't be read, or no policy is in force.
    """
    registry = client.registry
    found = find_model(client, wish.name, wish.tracking_uri)
    on_chain = registry.model_id(found.model)
    if not wish.again:
        _check_not_open(client, wish, found)
    supersedes = None
    if wish.supersedes is not None:
        supersedes = registry.find_document(wish.supersedes.removeprefix("0x")).id
    attestation = attest(client, found, wish.version, timeout_s, tell)
    commitment = registry.commitment(on_chain, wish.version, attestation.files.digest)

    def complete() -> ProposalDocument:
        return registry.write_proposal(
            found.model,
            wish.version,
            wish.target,
            attestation.files.digest,
            requester,
            evidence=wish.evidence,
            open_for_s=wish.open_for_s,
            supersedes=supersedes,
            for_break_glass=wish.breaks_glass,
        )

    complete()  # what can't be proposed is not registered, for that is for ever
    done = registry.register_version(found.model, wish.version, commitment, attestation.leaf_index)
    if done.tx_hash is not None:
        tell("registered on chain")
    return complete()


def attest(
    client: ChainClient, found: FoundModel, version: int, timeout_s: float, tell: Tell
) -> Attestation:
    """What the files of a version are, as it stands in the log; every file is read.

    Guarantee: they were so at a time when the log had it, from which on nobody changes them
    through a server. Where only reading tells that files changed, they are read once more then.

    Raises:
        HostUnavailable: the files can't be read.
        InvalidInput: there is no such version, it has files that can't be attested, or somebody
            changed them meanwhile.
        LogUnavailable: the attestation did not come into the log in time.
    """
    store_id = found.binding.store_id
    tell("reading every file of the version")
    size = client.log.size()
    files = _read_files(client, found, version)

    def look() -> Attestation | None:
        latest = find_attestation(client.log, store_id, files.location)
        return latest if latest is not None and latest.files == files else None

    known = look()
    if known is not None and known.leaf_index < size:
        return known
    if known is None:
        note_attestation(
            client.recorder,
            store_id,
            files,
            name=found.model.name,
            version=version,
            workspace=found.model.workspace,
            actor=Actor(claimed=account_name()),
        )
        tell("waiting until the digest stands in the log")
        known = wait_until_logged(client, look, timeout_s=timeout_s)
    if files.tells_changes:
        return known
    tell("reading every file once more: this storage does not tell whether they were changed")
    if _read_files(client, found, version) != files:
        raise InvalidInput(
            f"the files at {files.location} were changed while they were attested: nothing was "
            "registered; look at what they are now, and propose again"
        )
    return known


def _read_files(client: ChainClient, found: FoundModel, version: int) -> AttestedFiles:
    own, model = found.binding, found.model
    # A registry in a database of its own: the server records in another one what runs log.
    beside = [b.store_id for b in client.folder.bindings() if b.artifacts == own.artifacts]
    recorded = recorded_in(client.log, *{own.store_id, *beside})
    return found.host.attest(own, model.name, version, model.workspace, recorded)


def _check_asker(asked: Asked, wish: Wish) -> None:
    if asked.key_uri is None and (asked.out is None or wish.requester is None):
        raise click.UsageError(
            "give the requester's --key, or --out FILE and --requester WHO to have it signed by a "
            "wallet"
        )
    if asked.key_uri is not None and wish.requester is not None:
        raise click.UsageError("the requester is whose --key it is: leave --requester out")


def _check_not_open(client: ChainClient, wish: Wish, found: FoundModel) -> None:
    registry = client.registry
    model, target = registry.model_id(found.model), registry.target_id(wish.target)
    in_force = registry.contract.policy(model, target).policy_hash
    for record in registry.state().open_proposals(registry.now_s()):
        fields = record.fields
        if (fields.model, fields.target, fields.version, fields.policy_hash) == (
            model,
            target,
            wish.version,
            in_force,
        ):
            raise PromotionConflict(
                f"version {wish.version} is proposed for {wish.target} already, by "
                f"{named(fields.requester, to_names(registry.users()))}: "
                f"`mlops-chain model show {quote_word(wish.name)}` says how it stands, and --again "
                f"makes another proposal beside {short_id(record.id)}"
            )


def _write(asked: Asked, statement: SignedStatement) -> None:
    assert asked.out is not None
    write_statement(asked.out, statement)
    tell_written(asked, statement)


def _tell(
    client: ChainClient, asked: Asked, document: ProposalDocument, timeout_s: float, *, wait: bool
) -> None:
    registry = client.registry
    standing = registry.standing(document)
    if not asked.as_json:
        console().print(f"[green]proposed[/] {to_hex(document.id)}", soft_wrap=True)
        tell_standing(document, standing)
        console().print(f"deadline  {show_time(document.fields.deadline_s)}")
    if wait:
        standing = wait_until(client, document, "promoted", timeout_s, shown=not asked.as_json)
        if not asked.as_json:
            tell_standing(document, standing)
    if asked.as_json:
        print_json({"ok": True, "deadline_s": document.fields.deadline_s, **standing.to_json()})


def teller(*, shown: bool) -> Tell:
    """Says on standard error what is being done, if shown."""
    error = Console(stderr=True, highlight=False)

    def tell(text: str) -> None:
        if shown:
            error.print(f"[dim]{safe(text)}[/]")

    return tell
