"""Signing where neither chain nor log is: what can be checked there, and what can't."""

from __future__ import annotations

from pathlib import Path

import click

from chain_client.cli.model.statements import Asked, show_document, tell_written
from chain_client.cli.output import print_note, settings_of
from chain_client.cli.statement_file import read_statement, write_statement
from chain_client.errors import ChainError, ConfigurationError, InvalidInput, SummaryMismatch
from chain_client.home import Home
from chain_client.registry.identity import Salt, read_salt
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import SignedStatement
from chain_client.registry.users import named

_UNCHECKED = (
    "NOT CHECKED: whether model, target, group and files in the text are those that are signed. "
    "Whoever wrote the file may have put other names there; only a file that comes from a home "
    "that you trust says what it does"
)
_CHAIN_ONLY = (
    "the policy in the text and the requester's name can be compared with chain and log only: "
    "whoever submits it has that done"
)


def sign_offline(home: Path | None, asked: Asked, meaning: str) -> None:
    """Sign the one file of ``--in`` into the file of ``--out``; no home, chain or log is needed.

    Names are compared with what is signed by the deployment's salt: that of ``--salt``, else that
    of a home of the same deployment.

    Raises:
        SummaryMismatch: the text does not say what would be signed.
        ConfigurationError: the salt is missing or another deployment's, and it was not said that
            the names are to stay unchecked.
    """
    if len(asked.inputs) != 1 or asked.out is None or asked.key_uri is None:
        raise click.UsageError("--offline needs one --in FILE, --key URI and --out FILE")
    statement = read_statement(asked.inputs[0])
    if statement.meaning != meaning:
        raise InvalidInput(
            f"{asked.inputs[0]} holds a statement that means {statement.meaning}, and this command "
            f"takes {meaning}: use the command of that name"
        )
    salt = _find_salt(home, asked, statement)
    _check(asked, statement, salt)
    signer = asked.open_key(settings_of(home).home)
    assert signer is not None
    if not asked.as_json:
        show_document(statement.document)
    if salt is None:
        print_note(_UNCHECKED)
    elif isinstance(statement.document, ProposalDocument) and not asked.as_json:
        print_note(_CHAIN_ONLY)
    if not asked.yes:
        unchecked = "" if salt is not None else ", with its names unchecked,"
        who = named(signer.address(), {})
        click.confirm(f"Sign this {statement.meaning}{unchecked} as {who}?", abort=True, err=True)
    signed = statement.sign(signer, salt)
    write_statement(asked.out, signed)
    tell_written(asked, signed)


def _check(asked: Asked, statement: SignedStatement, salt: Salt | None) -> None:
    if salt is None and not asked.names_unchecked:
        raise ConfigurationError(
            "the deployment's salt is not here, so nobody can tell whether the text speaks of the "
            "model and the files that would be signed: give --salt FILE, the keys/registry-salt of "
            "the home, or sign where the home is. Nothing was signed (--names-unchecked does it "
            "nevertheless, and what you sign may be for another model)"
        )
    try:
        statement.check_text(salt)
    except SummaryMismatch as exc:
        if asked.salt_file is None:
            raise
        raise SummaryMismatch(f"{exc} (or {asked.salt_file} is another deployment's salt)") from exc


def _find_salt(home: Path | None, asked: Asked, statement: SignedStatement) -> Salt | None:
    """The salt that was named, else that of a home of the deployment that the statement is for.

    A salt that is none of the deployment's makes no lie true: nobody finds one under which other
    names give the same ids.
    """
    from chain_client.ledger.deployment import Deployment

    named_salt = None if asked.salt_file is None else read_salt(asked.salt_file.expanduser())
    folder = Home(settings_of(home).home)
    try:
        deployment = Deployment.read(folder.deployment_file)
        if deployment.registry != statement.document.domain.contract:
            return named_salt
        salt = named_salt or read_salt(folder.registry_salt)
    except ChainError:
        return named_salt
    if deployment.registry_salt_hash is not None:
        salt.check(deployment.registry_salt_hash)
    return salt
