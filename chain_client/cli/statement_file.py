"""The files in which statements go from hand to hand, and who signs what is in them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from chain_client.errors import ChainError, ConfigurationError, InvalidInput, SignatureRefused
from chain_client.registry.statements import SignedStatement
from chain_client.shown_text import escape_unprintable
from chain_client.types import to_hex

STANDARD = Path("-")
"""What names standard input or output."""


def read_statement(path: Path) -> SignedStatement:
    """The statement in a file, or on standard input for ``-``.

    A wallet gives back a signature alone: it may be written into the file as ``signature``, and
    the signer is found from it.

    Raises:
        ConfigurationError: the file can't be read.
        InvalidInput: it holds no statement.
        SignatureRefused: its signature is not of the signer whom it names.
    """
    try:
        text = sys.stdin.read() if path == STANDARD else path.read_text("utf-8")
    except OSError as exc:
        raise ConfigurationError(f"{path} can't be read: {exc.strerror}; check --in") from exc
    except ValueError:
        raise InvalidInput(f"{path} is no text in UTF-8; expected a statement as --out") from None
    try:
        found = SignedStatement.from_text(text)
        if found.signature is not None and found.signer is None:
            found = found.with_signature(found.signature)
        return found
    except ChainError as exc:
        raise type(exc)(f"{path}: {exc}") from exc


def read_statements(paths: Sequence[Path], meaning: str) -> list[SignedStatement]:
    """The statements in files, which must all mean the same and be about one document.

    Args:
        paths: files.
        meaning: what each must mean, such as ``approval``.

    Raises:
        InvalidInput: one means something else, or two are about different documents.
    """
    found = [read_statement(path) for path in paths]
    for path, statement in zip(paths, found):
        if statement.meaning != meaning:
            raise InvalidInput(
                f"{path} holds a statement that means {statement.meaning}, and this command takes "
                f"{meaning}: use the command of that name"
            )
        if statement.document.id != found[0].document.id:
            raise InvalidInput(
                f"{path} is about {to_hex(statement.document.id)}, and {paths[0]} about "
                f"{to_hex(found[0].document.id)}: submit them one after the other"
            )
    return found


def write_statement(path: Path, statement: SignedStatement) -> None:
    """Write a statement into a new file, or to standard output for ``-``.

    Raises:
        ConfigurationError: the file exists, or can't be written.
    """
    if path == STANDARD:
        sys.stdout.write(escape_unprintable(statement.to_text(), "\n"))
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(statement.to_text())
    except FileExistsError as exc:
        raise ConfigurationError(
            f"{path} exists already; it is not replaced: name another file with --out"
        ) from exc
    except OSError as exc:
        raise ConfigurationError(f"{path} can't be written: {exc.strerror}; check --out") from exc


def check_signed(paths: Sequence[Path], statements: Sequence[SignedStatement]) -> None:
    """See that somebody signed each of them.

    Raises:
        SignatureRefused: nobody did.
    """
    for path, statement in zip(paths, statements):
        if statement.signature is None:
            raise SignatureRefused(
                f"{path} is not signed: sign what stands in it under typedData with a wallet "
                '(eth_signTypedData_v4) and put the result there as "signature", or give --key'
            )
