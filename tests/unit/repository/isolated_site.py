"""A folder of packages that holds what a distribution declares to need, and nothing else.

The packages are those of this environment, linked: an install without a network.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Collection, Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def build_wheel(project: Path, target: Path) -> Path:
    """The wheel of a project, built into ``target``."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", target],
        cwd=project,
        check=True,
        capture_output=True,
    )
    [built] = target.glob("*.whl")
    return built


def install(site: Path, wheels: Iterable[Path], extras: Collection[str] = ()) -> set[str]:
    """Unpack wheels, and link what they declare to need, and what that needs in turn.

    Args:
        site: the folder of packages; it is made if there is none.
        wheels: what is unpacked into it.
        extras: those of the wheels that are asked for; a wheel without one of them ignores it.

    Returns:
        names of the distributions that were linked.
    """
    site.mkdir(parents=True, exist_ok=True)
    wanted: list[Requirement] = []
    given: set[str] = set()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        unpacked = Distribution.at(next(site.glob(f"{wheel.name.partition('-')[0]}-*.dist-info")))
        given.add(canonicalize_name(unpacked.name))
        wanted += _applying(unpacked, ("", *extras))
    linked: set[tuple[str, str]] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *sorted(requirement.extras)):
            if name in given or (name, extra) in linked:
                continue
            linked.add((name, extra))
            found = distribution(name)
            _link(found, site)
            wanted += _applying(found, (extra,))
    return {name for name, _ in linked}


def _applying(found: Distribution, extras: Iterable[str]) -> list[Requirement]:
    """What a distribution needs here with one of these extras; the empty one is none."""
    environments = [{"extra": extra} for extra in extras]
    return [
        needed
        for needed in map(Requirement, found.requires or ())
        if needed.marker is None or any(map(needed.marker.evaluate, environments))
    ]


def _link(found: Distribution, site: Path) -> None:
    """Link a distribution's files: a package as a whole, what several may share file by file."""
    root = Path(str(found.locate_file("")))
    for file in found.files or ():
        if file.parts[0] == "..":
            continue
        part = Path(file.parts[0])
        for name in file.parts[1:]:
            if (root / part / "__init__.py").exists():
                break
            part /= name
        target = site / part
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(root / part)


def run_isolated(code: str, site: Path, cwd: Path, *arguments: object) -> str:
    """What Python prints that knows its own library and the site, and no more.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _START + code, site, *map(str, arguments)],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


_START = "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
