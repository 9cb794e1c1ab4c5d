"""Puts faults into copies of the contracts, one at a time, and sees that the tests find each.

The table is `mutants.toml`. A fault survives if every test passes with it; one is enough to fail the run.
Each fault has a temporary copy of its own, so nothing here is changed and several run at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
COPIED = ("src", "test", "tools", "foundry.toml", "package.json")
# What has nothing to do with the registry, or (gas) is no fault.
LEFT_OUT = ("EventLog*", "LogHandler*", "Rfc9162*", "PublicVectors*", "Tree*", "*Gas*", "Timelock*")
# Tests don't hold the code of the contracts, so one fault is one compilation.
SETTINGS = {
    "FOUNDRY_DENY": "never",
    "FOUNDRY_DYNAMIC_TEST_LINKING": "true",
    "FOUNDRY_FUZZ_RUNS": "16",
    "FOUNDRY_INVARIANT_RUNS": "4",
}


class Survived(Exception):
    """Faults that no test found, or that are no faults; the text names them."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Args:
        name: what goes wrong with it.
        file: the source, in `src`.
        old: text that stands there exactly once.
        new: what it becomes.
        by: ``tests`` if any test may find it, ``model`` if the invariants must.
        fast: whether it runs each time.
    """

    name: str
    file: str
    old: str
    new: str
    by: str = "tests"
    fast: bool = False

    def write(self, folder: Path) -> None:
        """Put the fault into the copy at ``folder``.

        Raises:
            Survived: its text doesn't stand there once.
        """
        source = folder / "src" / self.file
        text = source.read_text("utf-8")
        if text.count(self.old) != 1:
            raise Survived(f"{self.name}: stands {text.count(self.old)} times in {self.file}")
        source.write_text(text.replace(self.old, self.new), "utf-8")


def read_mutants(table: Path = HERE / "mutants.toml") -> list[Mutant]:
    """All faults, in the order of the table."""
    return [Mutant(**row) for row in tomllib.loads(table.read_text("utf-8"))["mutant"]]


def find_mutants(forge: str, environment: Mapping[str, str], mutants: Sequence[Mutant]) -> None:
    """See that the tests pass without faults and fail with each.

    Raises:
        Survived: with at least one they pass, or it doesn't compile.
    """
    words = {**environment, **SETTINGS}
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        base = copy_project(Path(scratch) / "base", leave_out=LEFT_OUT)
        sound = _run(forge, base, words, "Registry")
        if sound.returncode:
            raise Survived(f"the tests fail without any fault:\n{sound.stdout[-4000:]}")
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            found = list(pool.map(lambda mutant: _try(forge, base, words, mutant), mutants))
    alive = [line for line in found if line is not None]
    if alive:
        raise Survived("\n".join(alive))
    print(f"{len(mutants)} of {len(mutants)} mutants died")


def copy_project(target: Path, *more: str, leave_out: Sequence[str] = ()) -> Path:
    """Copy the Solidity project, with the same npm packages; nothing compiled comes along.

    Args:
        target: folder to make.
        more: further files or folders of the project.
        leave_out: patterns of files that aren't needed.
    """
    target.mkdir()
    for name in (*COPIED, *more):
        if (HERE / name).is_dir():
            ignored = shutil.ignore_patterns(*leave_out)
            shutil.copytree(HERE / name, target / name, ignore=ignored)
        else:
            shutil.copy2(HERE / name, target / name)
    (target / "node_modules").symlink_to(HERE / "node_modules")
    return target


def _try(forge: str, base: Path, words: Mapping[str, str], mutant: Mutant) -> str | None:
    with tempfile.TemporaryDirectory(prefix="mutant-", dir=base.parent) as scratch:
        folder = Path(scratch) / "copy"
        shutil.copytree(base, folder, symlinks=True)
        mutant.write(folder)
        which = "RegistryInvariants" if mutant.by == "model" else "Registry"
        answer = _run(forge, folder, words, which)
    if "[FAIL" in answer.stdout:
        print(f"died: {mutant.name}", flush=True)
        return None
    if answer.returncode:
        return f"doesn't compile: {mutant.name}\n{answer.stdout[-2000:]}"
    return f"survived: {mutant.name}"


def _run(
    forge: str, folder: Path, words: Mapping[str, str], which: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [forge, "test", "--fail-fast", "--match-contract", which],
        cwd=folder,
        env=dict(words),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
