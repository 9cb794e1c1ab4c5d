"""Examines the contracts: gas snapshot, coverage, Slither, mutants, proofs. `contracts.mk` calls it.

Slither and halmos come from PyPI into `cache/tools`, an environment of their own, because what they
need and what MLflow needs don't go together. Both read what forge compiled with our solc.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from mutants import Survived, copy_project, find_mutants, read_mutants
from run import CannotRun, Node, find_forge, find_node, install

HERE = Path(__file__).resolve().parent
TOOLS = HERE / "cache" / "tools"
REQUIREMENTS = HERE / "tools" / "requirements.txt"
GAS = HERE / "gas-snapshot.json"
AUDIT = HERE / "AUDIT.md"


class Found(Exception):
    """The examination found something; the text says what, and what to do."""


def gas(node: Node) -> None:
    """See that nothing costs more than `gas-snapshot.json` says.

    Raises:
        Found: something costs more, or isn't in the snapshot.
    """
    measured, kept = _measure(node), json.loads(GAS.read_text("utf-8"))
    lines = [
        f"  {name}: {kept.get(name, 'not in the snapshot')} -> {cost}"
        for name, cost in measured.items()
        if name not in kept or cost > kept[name]
    ]
    if lines:
        raise Found(
            "gas has grown:\n" + "\n".join(lines) + "\nif that is meant, `make contracts-gas` writes "
            "the snapshot anew; say in the commit why"
        )
    cheaper = [name for name, cost in measured.items() if cost < kept[name]]
    gone = sorted(set(kept) - set(measured))
    if cheaper or gone:
        print("the gas snapshot can be written anew:", ", ".join([*cheaper, *gone]))
    print(f"gas: none of {len(measured)} figures has grown")


def write_gas(node: Node) -> None:
    """Write `gas-snapshot.json` anew."""
    GAS.write_text(json.dumps(_measure(node), indent=1) + "\n", "utf-8")
    print(f"{GAS.name}: written")


def _measure(node: Node) -> dict[str, int]:
    """What the gas tests print, by name; the dearest where a name comes twice."""
    words = [find_forge(), "test", "--match-contract", "GasTest", "-vv"]
    text = _output(words, node)
    costs: dict[str, int] = {}
    for name, cost in re.findall(r"^\s+(\S.*), gas: (\d+)$", text, re.MULTILINE):
        costs[name] = max(costs.get(name, 0), int(cost))
    return dict(sorted(costs.items()))


def coverage(node: Node) -> None:
    """Print which part of the sources the tests run through.

    forge measures code without optimization, for which the gas budgets don't hold: those tests are
    left out.
    """
    words = [
        find_forge(), "coverage", "--report", "summary", "--no-match-contract", "GasTest",
        "--no-match-coverage", "^(test|prove|node_modules)/",
    ]  # fmt: skip
    few = {"FOUNDRY_DENY": "never", "FOUNDRY_FUZZ_RUNS": "16", "FOUNDRY_INVARIANT_RUNS": "2"}
    with tempfile.TemporaryDirectory(prefix="coverage-") as scratch:
        folder = copy_project(Path(scratch) / "copy")
        text = _output(words, node, folder, **few)
    print(text[text.index("╭") :])


def audit(node: Node) -> None:
    """See that Slither finds nothing that `AUDIT.md` doesn't answer.

    Raises:
        Found: there is a finding without an answer, or an answer without a finding.
    """
    with tempfile.TemporaryDirectory(prefix="audit-") as scratch:
        folder = copy_project(Path(scratch) / "copy")
        shutil.rmtree(folder / "test")
        _output([find_forge(), "build", "--build-info"], node, folder)
        report = folder / "slither.json"
        slither = [str(_tools() / "slither"), ".", "--ignore-compile", "--json", str(report)]
        slither += ["--foundry-out-directory", "out", "--filter-paths", "node_modules"]
        said = _output(slither, node, folder, may_fail=True, PATH=_path(node))
        if not report.exists():
            raise Found(f"Slither gave no report:\n{said[-4000:]}")
        answer = json.loads(report.read_text("utf-8"))
    if not answer["success"]:
        raise Found(f"Slither failed: {answer['error']}")
    found = {_name(finding) for finding in answer["results"].get("detectors", [])}
    answered = set(re.findall(r"^\| `(\S+ \S+)` \|", AUDIT.read_text("utf-8"), re.MULTILINE))
    if found != answered:
        raise Found(
            "Slither and AUDIT.md don't agree\n"
            f"  not answered: {sorted(found - answered) or 'nothing'}\n"
            f"  not found any more: {sorted(answered - found) or 'nothing'}"
        )
    print(f"Slither: {len(found)} findings, all answered in AUDIT.md")


def _name(finding: dict[str, object]) -> str:
    """A finding by its detector and the first thing it is about."""
    elements = finding["elements"]
    assert isinstance(elements, list)
    element = elements[0]
    parent = element.get("type_specific_fields", {}).get("parent", {})
    return f"{finding['check']} {parent.get('name', '')}.{element['name']}"


def fast_mutants(node: Node) -> None:
    """See that the tests find some faults."""
    mutants = [mutant for mutant in read_mutants() if mutant.fast]
    find_mutants(find_forge(), node.environment(), mutants)


def all_mutants(node: Node) -> None:
    """See that the tests find every fault of `mutants.toml`."""
    find_mutants(find_forge(), node.environment(), read_mutants())


def prove(node: Node) -> None:
    """Prove with halmos what stands in `prove/`."""
    settings = {"FOUNDRY_TEST": "prove", "FOUNDRY_DENY": "never"}
    with tempfile.TemporaryDirectory(prefix="prove-") as scratch:
        folder = copy_project(Path(scratch) / "copy", "prove")
        environment = {**node.environment(), **settings, "PATH": _path(node)}
        for contracts, rounds in (("Prove(Groups|Policies)", 70), ("ProveRegistry", 3)):
            words = [str(_tools() / "halmos"), "--root", str(folder), "--loop", str(rounds)]
            words += ["--match-contract", contracts]
            subprocess.run(words, cwd=folder, env=environment, check=True)


def _path(node: Node) -> str:
    """A PATH on which Slither and halmos find forge."""
    return os.pathsep.join([str(Path(find_forge()).parent), node.environment()["PATH"]])


def _tools() -> Path:
    """Where the programs from PyPI are; installs them if they aren't there yet."""
    wanted = REQUIREMENTS.read_text("utf-8")
    stamp = TOOLS / ".installed"
    programs = TOOLS / "bin"
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return programs
    print("installing Slither and halmos (a minute the first time)", flush=True)
    for maker in (["venv", "--clear"], ["virtualenv", "--clear", "--quiet"]):
        made = subprocess.run([sys.executable, "-m", *maker, str(TOOLS)], capture_output=True)
        if made.returncode == 0 and (programs / "pip").exists():
            break
    else:
        raise CannotRun("this Python can't make virtual environments: apt-get install python3-venv")
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, "--no-input", "-r", str(REQUIREMENTS)], check=False)
    if installed.returncode:
        shutil.rmtree(TOOLS)
        raise CannotRun("Slither and halmos couldn't be installed from PyPI")
    stamp.write_text(wanted, "utf-8")
    return programs


def _output(
    words: list[str], node: Node, folder: Path = HERE, may_fail: bool = False, **more: str
) -> str:
    result = subprocess.run(
        words,
        cwd=folder,
        env={**node.environment(), **more},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if result.returncode and not may_fail:
        raise Found(result.stdout[-6000:])
    return result.stdout


TASKS: dict[str, Callable[[Node], None]] = {
    "gas": gas,
    "write-gas": write_gas,
    "coverage": coverage,
    "audit": audit,
    "fast-mutants": fast_mutants,
    "mutants": all_mutants,
    "prove": prove,
}


def main() -> int:
    """Do what the command line says; 0 if all is well."""
    parser = argparse.ArgumentParser(description="Examine the contracts.")
    parser.add_argument("tasks", nargs="+", choices=sorted(TASKS))
    try:
        node = find_node()
        install(node)
        for task in parser.parse_args().tasks:
            TASKS[task](node)
    except (CannotRun, Found, Survived) as exc:
        print(exc, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as exc:
        return exc.returncode or 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
