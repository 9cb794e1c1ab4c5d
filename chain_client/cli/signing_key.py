"""Which key a command signs with, and where its password comes from.

A password never stands on the command line: there every process of the machine could read it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from chain_client.cli.output import read_variable
from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.shown_uri import refuse_key
from chain_client.signing import Signer, open_signer
from chain_client.signing.keystore import PASSWORD_FILE

_SCHEME = "keystore:"
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """Where a keystore's password is: a file, a variable of the environment, or a person.

    Args:
        file: holds the password, and perhaps a line break after it.
        variable: name of the variable.
    """

    file: Path | None = None
    variable: str | None = None

    def find(self) -> str | None:
        """The password; None if neither a file nor a variable is named.

        Raises:
            ConfigurationError: it is not there, or empty.
        """
        if self.file is not None and self.variable is not None:
            raise click.UsageError("give --password-file or --password-env, not both")
        if self.file is not None:
            return _not_empty(_read(self.file), f"the file {self.file} (--password-file)")
        if self.variable is not None:
            found = read_variable(self.variable)
            if found is None:
                raise ConfigurationError(
                    f"the variable {self.variable} (--password-env) is not set: set it in the "
                    "environment of this command, or name another one. The option takes the "
                    "variable's name, not the password"
                    if self.variable.isidentifier()
                    else "--password-env takes the name of a variable of the environment, and "
                    "what was given is none"
                )
            return _not_empty(found, f"the variable {self.variable} (--password-env)")
        return None


def password_options(function: _Function) -> _Function:
    """The options ``--password-file`` and ``--password-env``."""
    function = click.option(
        "--password-env",
        "password_variable",
        metavar="NAME",
        help="Name of the environment variable that holds the key's password.",
    )(function)
    return click.option(
        "--password-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File that holds the key's password.",
    )(function)


def key_options(help_text: str, *, default: str | None = None) -> Callable[[_Function], _Function]:
    """The options ``--key``, ``--password-file`` and ``--password-env``.

    Args:
        help_text: whose key it is.
        default: the URI that is used if none is given.
    """

    def add(function: _Function) -> _Function:
        return click.option(
            "--key",
            "key_uri",
            metavar="URI",
            default=default,
            show_default=default is not None,
            help=help_text,
        )(password_options(function))

    return add


def open_key(uri: str, home: Path | None, source: PasswordSource) -> Signer:
    """The key that a person named: ``keystore:FILE``, the file alone, or a plugin's URI.

    A relative path belongs to the home, and to the current folder if the home has no such file.
    Where no password is named, none lies beside the keystore, and a person sits there, it is
    asked for.

    Args:
        uri: as it was given.
        home: the home folder; None where there is none.
        source: of the password.

    Raises:
        ConfigurationError: no such file, an unknown scheme, or a password that is not there.
    """
    password = source.find()
    if names_no_file(uri):
        return open_signer(uri, base=home or Path.cwd(), password=password)
    path = keystore_path(uri, home)
    if password is None and not (path.parent / PASSWORD_FILE).exists():
        password = _asked(path)
    return open_signer(f"{_SCHEME}{path}", base=Path.cwd(), password=password)


def names_no_file(uri: str) -> bool:
    """Whether what a person named is a URI of another scheme than ``keystore:``.

    Raises:
        ConfigurationError: it is the key itself.
    """
    refuse_key(uri)
    return not uri.startswith(_SCHEME) and ":" in uri.partition("/")[0]


def keystore_path(uri: str, home: Path | None) -> Path:
    """Where the keystore is that a person named, as ``keystore:FILE`` or the file alone.

    Raises:
        ConfigurationError: there is none, or it is the key itself.
    """
    refuse_key(uri)
    name = uri.removeprefix(_SCHEME)
    if not name:
        raise ConfigurationError("--key names no file; expected keystore:FILE")
    given = Path(name).expanduser()
    places = [given] if given.is_absolute() else [*([home / given] if home else []), given]
    for place in places:
        if place.is_file():
            return place.absolute()
    looked = " or ".join(str(place.absolute()) for place in places)
    raise ConfigurationError(
        f"there is no keystore at {looked}: name it as --key keystore:FILE, or make one with "
        "`mlops-chain key new`"
    )


def new_password(source: PasswordSource, *, ask: bool) -> str | None:
    """Password for a new keystore; None if a random one is to lie beside it.

    Args:
        source: where it is.
        ask: ask a person for it, twice, if it is named nowhere.

    Raises:
        ConfigurationError: it is not there, or nobody can be asked.
    """
    found = source.find()
    if found is not None or not ask:
        return found
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "a keystore outside the home needs a password, and nobody can be asked here: name one "
            "with --password-file or --password-env"
        )
    asked: str = click.prompt(
        "Password of the new key", hide_input=True, confirmation_prompt=True, err=True
    )
    return asked


def _asked(path: Path) -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"the password of the keystore {path} is named nowhere, and nobody can be asked here: "
            f"name it with --password-file or --password-env, or put it into {path.parent}/"
            f"{PASSWORD_FILE}"
        )
    asked: str = click.prompt(f"Password of {path.name}", hide_input=True, err=True)
    return asked


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip("\r\n")
    except OSError as exc:
        raise ConfigurationError(
            f"the password can't be read from {file}: {exc.strerror}; check --password-file"
        ) from exc
    except ValueError:  # without the cause: its text shows bytes of the file
        raise ConfigurationError(f"{file} (--password-file) is no text in UTF-8") from None


def _not_empty(password: str, where: str) -> str:
    if not password:
        raise InvalidInput(f"{where} is empty; expected a password")
    return password
