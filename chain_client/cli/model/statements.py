"""From a document to what is signed: by a key here, by a wallet elsewhere, or by several.

What every command has in common that takes ``--in``, ``--out``, ``--key`` and ``--offline``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from chain_client.cli.output import console, print_block, print_json, safe
from chain_client.cli.signing_key import PasswordSource, key_options, open_key
from chain_client.cli.statement_file import (
    STANDARD,
    check_signed,
    read_statements,
)
from chain_client.registry.identity import Salt
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import Document, SignedStatement
from chain_client.registry.users import named, to_names
from chain_client.shown_text import quote_word
from chain_client.signing import Signer
from chain_client.types import Address, from_hex, to_hex

_Function = TypeVar("_Function", bound=Callable[..., Any])
_COMMANDS = {
    "authorship": "propose",
    "approval": "approve",
    "rejection": "reject",
    "withdrawal": "withdraw",
    "removal": "remove",
}
"""Which command takes a statement; where it is not called like what it means."""


_out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write what is (to be) signed into this file instead of submitting it; any wallet signs "
    "it.",
)
_yes_option = click.option("--yes", is_flag=True, help="Don't ask.")


def with_options(*options: Callable[[Any], Any]) -> Callable[[_Function], _Function]:
    """Several options as one decorator, shown in this order."""

    def add(function: _Function) -> _Function:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person said about signing.

    Args:
        inputs: files that others wrote.
        out: file to write instead of submitting.
        offline: chain and log are not to be asked.
        key_uri: the key that signs here.
        source: of its password.
        signature: of a wallet, over what stands in the one input.
        signer: whose, where it is a contract's wallet.
        salt_file: the deployment's salt, for signing offline.
        names_unchecked: sign offline without any salt.
        yes: don't ask.
        as_json: for programs.
    """

    inputs: tuple[Path, ...]
    out: Path | None
    offline: bool
    key_uri: str | None
    source: PasswordSource
    signature: str | None
    signer: str | None
    salt_file: Path | None
    names_unchecked: bool
    yes: bool
    as_json: bool

    def check(self) -> None:
        """See that the options fit together.

        Raises:
            UsageError: they do not.
        """
        if self.as_json and self.key_uri and not self.yes:
            raise click.UsageError("--json asks nothing: give --yes too")
        if self.as_json and self.out == STANDARD:
            raise click.UsageError("standard output holds one document: give --out FILE")
        if self.signature is not None and (len(self.inputs) != 1 or self.key_uri):
            raise click.UsageError("--signature belongs to exactly one --in, and to no --key")
        if self.signer is not None and self.signature is None:
            raise click.UsageError("--signer says whose --signature it is: give that too")
        if (self.salt_file is not None or self.names_unchecked) and not self.offline:
            raise click.UsageError("--salt and --names-unchecked are for --offline")

    def open_key(self, home: Path | None) -> Signer | None:
        """The key that signs here; None if none was named."""
        if self.key_uri is None:
            return None
        return open_key(self.key_uri, home, self.source)

    def with_given(self, statement: SignedStatement) -> SignedStatement:
        """The statement with the wallet's signature, if one was given."""
        if self.signature is None:
            return statement
        signer = None if self.signer is None else Address(from_hex(self.signer, size=20))
        return statement.with_signature(from_hex(self.signature), signer)


def statement_options(key_help: str) -> Callable[[_Function], _Function]:
    """Every option of `Asked`; the command gets them as ``**options``.

    Args:
        key_help: whose key signs.
    """

    return with_options(
        key_options(key_help),
        click.option(
            "--in",
            "inputs",
            type=click.Path(path_type=Path),
            multiple=True,
            help="A file that --out wrote, signed or to be signed; may be given several times.",
        ),
        _out_option,
        click.option(
            "--offline",
            is_flag=True,
            help="Ask neither chain nor log: sign the file of --in into --out.",
        ),
        click.option(
            "--salt",
            "salt_file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The deployment's salt, to check names --offline: its home's keys/registry-salt.",
        ),
        click.option(
            "--names-unchecked",
            is_flag=True,
            help="Sign --offline without the salt: the text may name another model.",
        ),
        click.option("--signature", metavar="HEX", help="A wallet's, for the file of --in."),
        click.option(
            "--signer", metavar="ADDRESS", help="Whose --signature, if a contract's wallet."
        ),
        _yes_option,
    )


def signing_options(key_help: str) -> Callable[[_Function], _Function]:
    """Those of them that need no file of others."""
    return with_options(key_options(key_help), _out_option, _yes_option)


def asked_of(options: Mapping[str, Any]) -> Asked:
    """The options of `statement_options` or `signing_options`, and ``--json``, as one value."""
    asked = Asked(
        tuple(options.get("inputs", ())),
        options["out"],
        options.get("offline", False),
        options["key_uri"],
        PasswordSource(options["password_file"], options["password_variable"]),
        options.get("signature"),
        options.get("signer"),
        options.get("salt_file"),
        options.get("names_unchecked", False),
        options["yes"],
        options["as_json"],
    )
    asked.check()
    return asked


def read_inputs(asked: Asked, meaning: str) -> list[SignedStatement]:
    """What stands in the files of ``--in``, with a wallet's ``--signature``.

    Raises:
        InvalidInput: a file is none, means something else, or is about something else.
        SignatureRefused: a signature is of nobody.
    """
    return [asked.with_given(one) for one in read_statements(asked.inputs, meaning)]


def confirm(
    asked: Asked, statement: SignedStatement, signer: Address, names: Mapping[Address, str]
) -> None:
    """Ask whether it is to be signed.

    Raises:
        Abort: it is not.
    """
    if not asked.yes:
        click.confirm(
            f"Sign this {statement.meaning} as {named(signer, names)}?", abort=True, err=True
        )


def gather(
    asked: Asked,
    request: SignedStatement,
    given: Sequence[SignedStatement],
    signer: Signer | None,
    salt: Salt,
    bindings: Mapping[str, Address],
) -> list[SignedStatement]:
    """What others signed, and what the key here signs, after it was shown and agreed to.

    Args:
        asked: the options.
        request: what is to be signed; of rejections each has its own reason, so the given one.
        given: what the files hold.
        signer: the key here.
        salt: the deployment's.
        bindings: addresses by name.

    Raises:
        SignatureRefused: nobody signed one of the files.
    """
    if signer is None:
        check_signed(asked.inputs, given)
        return list(given)
    wanted = given[0] if given else request
    plain = replace(wanted, signature=None)
    if not asked.as_json:
        show_document(request.document)
    confirm(asked, plain, signer.address(), to_names(bindings))
    signed = plain.sign(signer, salt, bindings)
    return [*(one for one in given if one.signature is not None), signed]


def show_document(document: Document) -> None:
    """The text that is signed, as it is; and the files where there is more to say."""
    print_block(safe(document.summary, "\n"))
    console().print()


def tell_written(asked: Asked, statement: SignedStatement) -> None:
    """Say what stands in the file that was written, and what is to be done with it."""
    assert asked.out is not None
    is_signed = statement.signature is not None
    signer = None if statement.signer is None else to_hex(statement.signer)
    if asked.as_json:
        print_json(
            {
                "ok": True,
                "file": str(asked.out),
                "meaning": statement.meaning,
                "signed": is_signed,
                "signer": signer,
                _kind(statement.document): to_hex(statement.document.id),
            }
        )
        return
    if asked.out == STANDARD:
        return
    command = _COMMANDS.get(statement.meaning, statement.meaning)
    out, file, word = console(), safe(str(asked.out)), safe(quote_word(str(asked.out)))
    if is_signed:
        out.print(f"[green]signed[/] by {signer}, written to {file}", soft_wrap=True)
        out.print("anybody submits it:", soft_wrap=True)
    else:
        out.print(f"[green]written[/] to {file}, not signed", soft_wrap=True)
        out.print(
            "a wallet signs what stands there under typedData (eth_signTypedData_v4); then",
            soft_wrap=True,
        )
    more = "" if is_signed else " --signature 0x…"
    out.print(
        f"  mlops-chain model {command} --in {word}{more}",
        soft_wrap=True,
    )


def _kind(document: Document) -> str:
    return "proposal" if isinstance(document, ProposalDocument) else "return"
