"""What Airflow itself says of the provider: its listings, its connection form, its test button.

All of it is asked in one process of Airflow, which costs seconds to start.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_chain.form import FIELDS
from tests.airflow_home import AirflowHome
from tests.integration.airflow.model import QuickTeam, to_connection

SECRET = "hunter2-hunter2"
PRIVATE = "1f" * 32
PROGRAM = """
import contextlib, io, json, sys

from airflow.sdk import DAG

before = set(sys.modules)
from airflow_chain.operators.anchor import AnchorOperator
from airflow_chain.operators.promote import PromoteModelOperator
from airflow_chain.operators.propose import ProposePromotionOperator
from airflow_chain.operators.register import RegisterModelVersionOperator
from airflow_chain.operators.revoke import RevokeModelOperator
from airflow_chain.operators.verify import VerifyModelOperator, VerifyRunOperator
from airflow_chain.sensors.promotion import PromotionApprovedSensor
from airflow_chain.triggers.promotion_event import PromotionEventTrigger

with DAG("parsed"):
    for kind in (PromoteModelOperator, ProposePromotionOperator, RegisterModelVersionOperator):
        kind(task_id=kind.__name__, model_name="fraud", version=1)
    RevokeModelOperator(task_id="revoke", model_name="fraud", version=1, reason="bad")
    VerifyModelOperator(task_id="verify", model_name="fraud", version=1)
    VerifyRunOperator(task_id="verify_run", run_id="0" * 32)
    AnchorOperator(task_id="anchor")
    PromotionApprovedSensor(task_id="wait", proposal_id="0" * 64)
PromotionEventTrigger(model_name="fraud")
found = {"imported": sorted(set(sys.modules) - before)}

from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
from airflow.cli import cli_parser
from airflow.sdk import Connection

metas = {meta.connection_type: meta for meta in HookMetaService.hook_meta_data()}
found["form"] = metas["mlops_chain"].model_dump(mode="json")

LISTINGS = json.loads(sys.argv[1])
parser = cli_parser.get_parser()
for words in LISTINGS:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        args = parser.parse_args(words + (["--output", "json"] if words[0] != "config" else []))
        args.func(args)
    text = said.getvalue()
    found[" ".join(words)] = text.strip() if words[0] == "config" else json.loads(text)

from airflow_chain.hooks.chain import ChainHook
from airflow_chain.versions import mask

tested = {}
for conn_id in ("mlops_chain_default", "stranger", "empty", "typo", "pasted", "web", "missing"):
    tested[conn_id] = ChainHook(conn_id).test_connection()
found["tested"] = tested
found["kind"] = type(Connection.get("mlops_chain_default").get_hook()).__name__
found["redacted"] = mask(Connection.get("empty").extra_dejson, "extra")
print("RESULT " + json.dumps(found, default=str))
"""
LISTINGS = [
    ["providers", "list"],
    ["providers", "get", "mlops-chain", "--full"],
    ["providers", "hooks"],
    ["providers", "links"],
    ["providers", "triggers"],
    ["providers", "configs"],
    ["providers", "behaviours"],
    ["providers", "widgets"],
    ["plugins"],
    ["config", "get-value", "mlops_chain", "default_conn_id"],
]


@dataclass(frozen=True)
class Asked:
    """What Airflow said.

    Args:
        team: whose home the connections are of.
        said: by what was asked.
        output: of the process.
        result: the part of it that is the answers.
    """

    team: QuickTeam
    said: dict[str, Any]
    output: str
    result: str

    def rows(self, listing: str) -> list[dict[str, Any]]:
        """The rows of a listing that are ours."""
        rows: list[dict[str, Any]] = self.said[listing]
        return [row for row in rows if "chain" in json.dumps(row)]


@pytest.fixture(scope="module")
def asked(
    founded_home: Path, airflow_template: AirflowHome, tmp_path_factory: pytest.TempPathFactory
) -> Asked:
    """One process of Airflow, asked for everything."""
    team = QuickTeam(tmp_path_factory.mktemp("asked"))
    team.found_from(founded_home)
    stranger = {"home": str(team.home), "requester_key": "keystore:keys/submitter.json"}
    extra = {
        "home": str(team.folder / "nothing"),
        "secret_ledger_url": f"https://rpc.example/{SECRET}",
        "secret_ledger_headers": f"Authorization: {SECRET}",
        "secret_log_url": f"postgresql+psycopg://me:{SECRET}@db/log",
    }
    airflow_home = airflow_template.copied(tmp_path_factory.mktemp("airflow") / "home")
    airflow_home = airflow_home.with_variables(
        AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT=to_connection(team.extra(), team.password),
        AIRFLOW_CONN_STRANGER=to_connection(stranger),
        AIRFLOW_CONN_EMPTY=to_connection(extra),
        AIRFLOW_CONN_PASTED=to_connection({**stranger, "requester_key": PRIVATE}),
        AIRFLOW_CONN_WEB="http://web.example",
        AIRFLOW_CONN_TYPO=to_connection({"hone": "/x"}),
    )
    done = airflow_home.run_python(PROGRAM, json.dumps(LISTINGS))
    found = done.stdout.partition("RESULT ")[2]
    return Asked(team, json.loads(found), done.stdout + done.stderr, found)


def test_the_provider_is_listed_with_all_that_it_brings(asked: Asked) -> None:
    (listed,) = asked.rows("providers list")
    assert (listed["package_name"], listed["version"]) == ("mlops-chain", version("mlops-chain"))
    (got,) = asked.said["providers get mlops-chain --full"]
    assert got["name"] == "MLOps chain"
    assert "airflow_chain.operators.promote" in got["operators"][0]["python-modules"]
    (hook,) = asked.rows("providers hooks")
    assert hook["class"] == "airflow_chain.hooks.chain.ChainHook"
    assert hook["conn_id_attribute_name"] == "mlops_chain_conn_id"
    assert {"extra_link_class_name": "airflow_chain.links.ChainLink"} in asked.rows(
        "providers links"
    )
    triggers = {row["class"] for row in asked.rows("providers triggers")}
    assert "airflow_chain.triggers.promotion_event" in triggers
    (behaviour,) = asked.rows("providers behaviours")
    assert behaviour["field_behaviours"] == "mlops_chain"
    widgets = {row["connection_parameter_name"] for row in asked.rows("providers widgets")}
    assert widgets == {f"extra__mlops_chain__{name}" for name in FIELDS}


def test_the_configuration_is_listed_and_has_its_defaults(asked: Asked) -> None:
    assert "ship_timeout_s" in json.dumps(asked.rows("providers configs"))
    assert asked.said["config get-value mlops_chain default_conn_id"] == "mlops_chain_default"


def test_the_plugin_is_listed_once(asked: Asked) -> None:
    (plugin,) = asked.rows("plugins")
    assert plugin["name"] == "mlops_chain"
    assert "airflow.plugins" in plugin["source"]


def test_nothing_of_the_provider_made_airflow_complain(asked: Asked) -> None:
    said = asked.output.replace(asked.result, "").splitlines()
    ours = [line for line in said if re.search("mlops|airflow_chain", line)]
    # Airflow 3.1 says so of every type of connections whose name has an underscore.
    assert not [line for line in ours if "shall not contain '_'" not in line]


def test_a_dag_with_operators_is_parsed_without_what_they_work_with(asked: Asked) -> None:
    heavy = ("mlflow", "sqlalchemy", "web3", "eth", "rlp", "coincurve", "chain_client.client")
    imported = asked.said["imported"]
    assert "airflow_chain.operators.promote" in imported
    assert not [name for name in imported if name.startswith(heavy)]


def test_the_form_hides_what_is_secret_and_shows_no_field_without_a_use(asked: Asked) -> None:
    form = asked.said["form"]
    hidden = {
        name
        for name, item in form["extra_fields"].items()
        if item["schema"].get("format") == "password"
    }
    assert hidden == {name for name, item in FIELDS.items() if item.is_hidden}
    standard = form["standard_fields"]
    assert all(standard[name]["hidden"] for name in ("host", "port", "login", "url_schema"))
    assert standard["password"]["title"] == "Password of the keys"


def test_airflow_masks_what_is_hidden_wherever_it_shows_a_connection(asked: Asked) -> None:
    masked = asked.said["redacted"]
    assert {name for name, value in masked.items() if value == "***"} == {
        name for name, item in FIELDS.items() if item.is_hidden
    }
    assert SECRET not in asked.output
    assert PRIVATE[:12] not in asked.output


def test_a_connection_gives_its_hook(asked: Asked) -> None:
    assert asked.said["kind"] == "ChainHook"


def test_the_test_button_says_in_a_sentence_what_is_there(asked: Asked) -> None:
    is_fine, said = asked.said["tested"]["mlops_chain_default"]
    assert is_fine, said
    for words in (
        "answers at block",
        "entries",
        "the requester's key is 0x",
        "the breaker's key is 0x",
        "no database with models records into",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ("stranger", ["no such role", "mlops-chain role grant requester 0x"]),
        (
            "empty",
            ["HomeMissing", "there is no home at", "field 'Home folder'", "mlops-chain join"],
        ),
        ("typo", ["unknown field 'hone'", "expected home,"]),
        ("pasted", ["'pasted'", "Requester's key", "looks like a private key"]),
        ("web", ["'web' is of type 'http'", "'mlops_chain'"]),
        ("missing", ["isn't defined", "missing"]),
    ],
)
def test_the_test_button_says_what_is_wrong_and_what_to_do(
    asked: Asked, connection: str, words: list[str]
) -> None:
    is_fine, said = asked.said["tested"][connection]
    assert not is_fine
    assert all(word in said for word in words), said
