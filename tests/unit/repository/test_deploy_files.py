"""The texts in `deploy/`: what they start exists, what they set is a setting, nothing is open."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from chain_client.cli import cli
from chain_client.config import HOME_VARIABLE, setting_keys, variable_of

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "systemd" / "mlops-chain-relay.service"
CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
COMPOSE = ROOT / "deploy" / "container" / "compose.yaml"
VARIABLES = {HOME_VARIABLE, *map(variable_of, setting_keys())}


def unit_lines() -> list[tuple[str, str, str]]:
    """Section, key and value of each line that is no comment; all of them are whole."""
    found, section = [], ""
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            found.append((section, key, value))
    return found


def unit_value(key: str) -> str:
    [value] = [value for _, name, value in unit_lines() if name == key]
    return value


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments of a Containerfile, continued lines joined."""
    text = CONTAINERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def compose() -> dict[str, Any]:
    found = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def assert_starts_a_relay(words: list[str]) -> None:
    """The words after the program are a command with options that exist."""
    assert words[0] == "relay"
    command = cli.commands["relay"]
    with click.Context(command) as context:
        command.parse_args(context, words[1:])


def test_the_unit_starts_a_relay_that_tells_systemd_how_it_is() -> None:
    program, *words = unit_value("ExecStart").split()
    assert program.startswith("/")
    assert program.endswith("/mlops-chain")
    assert_starts_a_relay(words)
    assert {"--once", "--until-idle"}.isdisjoint(words)
    assert unit_value("Type") == "notify"
    assert unit_value("NotifyAccess") == "main"
    assert int(unit_value("WatchdogSec")) >= 60  # signs of life come every five seconds


def test_the_unit_restarts_a_relay_less_and_less_often_and_lets_it_end_its_round() -> None:
    assert unit_value("Restart") == "always"
    assert unit_value("StartLimitIntervalSec") == "0"
    assert int(unit_value("RestartSec")) < int(unit_value("RestartMaxDelaySec"))
    assert int(unit_value("RestartSteps")) > 0
    assert unit_value("KillMode") == "mixed"
    assert int(unit_value("TimeoutStopSec")) >= 60
    assert not [key for _, key, _ in unit_lines() if key == "KillSignal"]  # SIGTERM


def test_the_unit_runs_as_a_user_without_rights_and_sets_settings_only() -> None:
    assert unit_value("User") not in ("", "root")
    assert unit_value("CapabilityBoundingSet") == ""
    assert unit_value("NoNewPrivileges") == "true"
    set_here = [value for _, key, value in unit_lines() if key == "Environment"]
    assert {value.partition("=")[0] for value in set_here} <= VARIABLES
    sections = {section for section, _, _ in unit_lines()}
    assert sections == {"Unit", "Service", "Install"}
    home = dict(value.split("=", 1) for value in set_here)[HOME_VARIABLE]
    assert home in unit_value("ReadWritePaths").split()


def test_the_container_runs_a_relay_as_a_user_without_a_shell_between() -> None:
    found = dict(instructions())
    assert found["USER"] not in ("root", "0")
    entry = [yaml.safe_load(found[name]) for name in ("ENTRYPOINT", "CMD")]
    assert entry[0] == ["mlops-chain"]
    assert_starts_a_relay(entry[1])
    assert found["STOPSIGNAL"] == "SIGTERM"
    assert "/healthz" in found["HEALTHCHECK"]
    assert found["FROM"].partition(":")[2] not in ("", "latest")
    for name, text in instructions():
        if name == "ENV":
            assert text.partition("=")[0] in VARIABLES


def test_the_container_installs_extras_that_exist() -> None:
    [extras] = re.findall(r"\"/build\[([a-z,]+)\]\"", CONTAINERFILE.read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("service", ["relay-1", "relay-2"])
def test_each_relay_of_the_composition_has_a_home_a_name_and_the_one_log(service: str) -> None:
    document = compose()
    found = document["services"][service]
    environment = found["environment"]
    ours = {name for name in environment if name.startswith("MLOPS_CHAIN_")}
    assert ours <= VARIABLES
    assert environment["MLOPS_CHAIN_LOG_URL"] == (
        "postgresql+psycopg://relay@postgres:5432/mlops_chain"
    )
    assert found["hostname"] == service
    assert "ports" not in found
    [volume] = found["volumes"]
    name, _, place = volume.partition(":")
    assert name in document["volumes"]
    assert f"ENV {HOME_VARIABLE}={place}" in CONTAINERFILE.read_text(encoding="utf-8")
    assert found["restart"] == "always"


def test_the_composition_holds_no_password_and_its_relays_no_home_in_common() -> None:
    document = compose()
    homes = [document["services"][name]["volumes"][0] for name in ("relay-1", "relay-2")]
    assert len(set(homes)) == 2
    for service in document["services"].values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or name.endswith("_FILE"), name
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), name
    used = {
        entry["source"] if isinstance(entry, dict) else entry
        for service in document["services"].values()
        for entry in service["secrets"]
    }
    assert used == set(document["secrets"])
