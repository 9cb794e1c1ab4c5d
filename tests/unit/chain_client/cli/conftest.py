"""Every ``--json`` document that a test of this folder sees is compared with the documents."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.unit.chain_client.cli.documented import command_of, documented, undocumented

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mlops_chain(mlops_chain: Run) -> Run:
    """The command line in this process, which prints nothing that is not documented."""

    def run(*words: object) -> tuple[int, str, str]:
        code, out, err = mlops_chain(*words)
        given = tuple(map(str, words))
        if "--json" in given and out:
            command = command_of(given)
            found = list(undocumented(json.loads(out), documented(command)))
            assert not found, f"docs/reference/cli.md, {command} --json: does not name {found}"
        return code, out, err

    return run
