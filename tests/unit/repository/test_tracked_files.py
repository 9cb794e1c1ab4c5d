"""What holds for every file of the repository."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.unit.repository.checkout import ROOT, tracked_files, tracked_texts

HERE = "tests/unit/repository/test_tracked_files.py"

_MACHINE_PATHS = re.compile(r"(?<![\w.~$}/-])/(?:root|work|Users|opt/pypi|home/(?!airflow\b)\w+)/")
_REGISTRY_HOSTS = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com|npmmirror\.com"
    r"|conda\.anaconda\.org|proxy\.golang\.org|index\.crates\.io"
)
_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")


def _hits(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in tracked_texts()
        if path != HERE and pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_holds_a_path_of_a_machine() -> None:
    assert _hits(_MACHINE_PATHS) == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert _hits(_REGISTRY_HOSTS) == []


def test_no_file_says_that_it_is_unfinished() -> None:
    assert _hits(_UNFINISHED) == []


def test_what_is_run_directly_is_executable() -> None:
    modes = {path: mode for mode, path in tracked_files(".ci", "tools")}
    scripts = {
        path: mode for path, mode in modes.items() if (ROOT / path).read_bytes().startswith(b"#!")
    }
    assert ".ci/run" in scripts
    assert "tools/make-venv" in scripts
    assert set(scripts.values()) == {"100755"}


CONSTRAINTS = ("constraints.txt", "constraints-mlflow-3.12.txt", "constraints-airflow-3.1.txt")


@pytest.mark.parametrize("constraints", CONSTRAINTS)
def test_constraints_are_names_and_versions_only(constraints: str) -> None:
    lines = [line for line in _constraint_lines(constraints) if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[\w.]+", line)] == []
    names = [line.partition("==")[0] for line in lines]
    assert len(names) == len(set(names))
    assert "mlops-chain" not in names


@pytest.mark.parametrize("constraints", CONSTRAINTS)
def test_every_dependency_that_the_tests_install_is_constrained(constraints: str) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["mlflow"], *extras["dev"]]
    names = {re.split(r"[\[<>=;~ ]", each)[0].lower().replace("_", "-") for each in wanted}
    assert names - {line.partition("==")[0] for line in _constraint_lines(constraints)} == set()


def _constraint_lines(file: str) -> list[str]:
    return (ROOT / file).read_text(encoding="utf-8").splitlines()
