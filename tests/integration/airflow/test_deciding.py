"""Operators that decide, run by Airflow on a real chain: registered, proposed, approved, promoted.

One ``dag.test()`` does it all, each twice and wrongly; the tests look at what came of it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chain_client.client import ChainClient
from chain_client.event_codec import decode_event
from chain_client.events import Subject
from chain_client.ledger.model_registry_values import RegistryEvent
from chain_client.registry.check_reports import CheckReport
from chain_client.registry.documents import proposals
from chain_client.registry.durations import show_time
from chain_client.types import TxHash, to_hex
from tests.airflow_home import AirflowHome, dag_test, open_chain
from tests.integration.airflow.model import QuickTeam, champion, make_model, to_connection

if TYPE_CHECKING:
    from tests.airflow_home import Tested

pytestmark = pytest.mark.timeout(900)
LINK = "_link_ChainLink"
DAG = """
from pathlib import Path

from airflow.sdk import DAG, chain, task

from airflow_chain.operators import promote, propose, register, revoke, verify

FOLDER = Path({folder!r})
CHAMPION = {{"model_name": "fraud", "alias": "champion"}}


def noting(kind):
    # How it fails is kept: Airflow 3.1 tells no callback in a test.

    class Noting(kind):
        def execute(self, context):
            try:
                return super().execute(context)
            except Exception as exc:
                file = FOLDER / f"{{self.task_id}}.failure"
                file.write_text(f"{{type(exc).__name__}}: {{exc}}")
                raise

    return Noting


PromoteModelOperator = noting(promote.PromoteModelOperator)
ProposePromotionOperator = noting(propose.ProposePromotionOperator)
RegisterModelVersionOperator = noting(register.RegisterModelVersionOperator)
RevokeModelOperator = noting(revoke.RevokeModelOperator)
VerifyModelOperator = noting(verify.VerifyModelOperator)

with DAG("decide", schedule=None) as dag:

    @task
    def choose():
        return {{"version": 1}}

    @task(trigger_rule="all_done")
    def approve(proposal_id):
        from airflow_chain.hooks.chain import ChainHook
        from chain_client.signing import open_signer

        hook = ChainHook()
        client = hook.get_conn()
        for name in ("bob", "carol"):
            key = open_signer(f"keystore:{{name}}.json", base=FOLDER)
            client.registry.approve(client.registry.find_document(proposal_id[2:]), signer=key)
        hook.close()

    @task(trigger_rule="all_done")
    def tamper():
        (FOLDER / "files/2/model.txt").write_text("other weights")

    @task(trigger_rule="all_done")
    def describe():
        from mlflow.tracking import MlflowClient

        uri = f"sqlite:///{{FOLDER}}/mlflow.db"
        MlflowClient(uri, uri).set_model_version_tag("fraud", "4", "ticket", "ML-17")

    version = "{{{{ ti.xcom_pull(task_ids='choose')['version'] }}}}"
    steps = [choose()]
    for name in ("register", "register_again"):
        steps.append(
            RegisterModelVersionOperator(task_id=name, model_name="fraud", version=version)
        )
    for name in ("propose", "propose_again"):
        steps.append(ProposePromotionOperator(task_id=name, version=version, **CHAMPION))
    early = PromoteModelOperator(task_id="promote_early", version=1, **CHAMPION)
    steps += [early, approve(steps[3].output["proposal_id"])]
    later = {{"trigger_rule": "all_done", "poll_interval": 0.1, "timeout": 30}}
    steps += [
        PromoteModelOperator(task_id="promote", proposal_id=steps[3].output, **later),
        PromoteModelOperator(task_id="promote_again", version="1", **CHAMPION, **later),
        ProposePromotionOperator(task_id="propose_current", version=1, **CHAMPION, **later),
    ]
    changed = ProposePromotionOperator(task_id="propose_2", version=2, **CHAMPION, **later)
    steps += [changed, approve.override(task_id="approve_2")(changed.output["proposal_id"])]
    steps += [
        tamper(),
        PromoteModelOperator(task_id="promote_tampered", version=2, **CHAMPION, **later),
        RegisterModelVersionOperator(
            task_id="register_tampered", model_name="fraud", version=2, **later
        ),
        VerifyModelOperator(
            task_id="verify_tampered", model_name="fraud", version=2, trigger_rule="all_done"
        ),
        VerifyModelOperator(
            task_id="verify_current", model_name="fraud", alias="champion", trigger_rule="all_done"
        ),
        RegisterModelVersionOperator(
            task_id="register_3", model_name="fraud", version=3, mlops_chain_conn_id="keyless",
            **later
        ),
    ]
    for name in ("revoke", "revoke_again"):
        steps.append(
            RevokeModelOperator(
                task_id=name, model_name="fraud", version=3, reason="leaked data", **later
            )
        )
    keyless = {{"mlops_chain_conn_id": "keyless", **later}}
    steps += [
        ProposePromotionOperator(task_id="no_key", version=4, **CHAMPION, **keyless),
        ProposePromotionOperator(task_id="no_number", version="four", **CHAMPION, **later),
        ProposePromotionOperator(
            task_id="no_target", model_name="fraud", version=4, target="champion", **later
        ),
        ProposePromotionOperator(
            task_id="not_gated", model_name="fraud", version=4, alias="test", **later
        ),
        ProposePromotionOperator(
            task_id="no_right", version=5, mlops_chain_conn_id="stranger", **CHAMPION, **later
        ),
        RegisterModelVersionOperator(task_id="no_such", model_name="fraud", version=99, **later),
        RegisterModelVersionOperator(
            task_id="no_connection", model_name="fraud", version=1,
            mlops_chain_conn_id="nowhere", **later
        ),
    ]
    checked = {{"model_name": "fraud", "version": 4, "alias": "checked", **later}}
    for name in ("blocked", "blocked_again", "described", "described_again"):
        if name == "described":
            steps.append(describe())
        steps.append(ProposePromotionOperator(task_id=name, **checked))
    chain(*steps)
"""
CHECKS = """
[default."alias:checked"]
group = "risk"
approvals = 2
checks = ["described"]
[checks.described]
plugin = "promotion-checks"
kind = "tags"
required = { ticket = "ML-[0-9]+" }
"""


@dataclass(frozen=True)
class Decided:
    """What a DAG did.

    Args:
        team: whose model it is.
        airflow_home: where it ran.
        tested: what Airflow says.
        events: what the registry says.
    """

    team: QuickTeam
    airflow_home: AirflowHome
    tested: Tested
    events: list[RegistryEvent]

    def result(self, task_id: str, key: str = "return_value") -> Any:
        """What a task pushed."""
        found = self.airflow_home.rows(
            "select value from xcom where task_id = ? and key = ?", task_id, key
        )
        return json.loads(found[0][0]) if found else None

    def failure(self, task_id: str) -> str:
        """The exception with which a task failed."""
        assert self.state(task_id) == "failed"
        return (self.team.folder / f"{task_id}.failure").read_text()

    def state(self, task_id: str) -> str | None:
        """Of a task."""
        return self.tested.tasks[task_id, -1].state

    def count(self, name: str, version: int) -> int:
        """Events of the registry about a version."""
        return sum(
            event.name == name
            and (event.args.get("version") or event.args["proposal"].version) == version
            for event in self.events
        )


def registry_events(client: ChainClient) -> list[RegistryEvent]:
    """Everything that happened in the registry."""
    try:
        return client.registry.events()
    finally:
        client.close()


@pytest.fixture(scope="module")
def decided(
    founded_home: Path, airflow_template: AirflowHome, tmp_path_factory: pytest.TempPathFactory
) -> Decided:
    """A whole DAG, run once."""
    team = QuickTeam(tmp_path_factory.mktemp("decided"))
    team.found_from(founded_home)
    make_model(team)
    policy = team.folder / "policy.toml"
    policy.write_text(policy.read_text() + CHECKS)
    team.run("policy", "apply", str(policy), "--yes")
    extra = team.extra(explorer_url="https://chain.example")
    airflow_home = airflow_template.copied(tmp_path_factory.mktemp("airflow") / "home")
    airflow_home = airflow_home.with_variables(
        AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT=to_connection(extra, team.password),
        AIRFLOW_CONN_STRANGER=to_connection(
            {"home": str(team.home), "requester_key": "keystore:keys/submitter.json"}
        ),
        AIRFLOW_CONN_KEYLESS=to_connection({"home": str(team.home)}),
        AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
        MLOPS_CHAIN_PLUGINS="all",
    )
    airflow_home.put_dag("decide.py", DAG.format(folder=str(team.folder)))
    tested = dag_test(airflow_home, "decide", timeout_s=600)
    return Decided(team, airflow_home, tested, registry_events(open_chain(team.home)))


def test_a_version_is_registered_once_and_the_second_task_finds_it(decided: Decided) -> None:
    first, again = decided.result("register"), decided.result("register_again")
    assert first == again
    assert decided.count("VersionRegistered", 1) == 1
    client = open_chain(decided.team.home)
    try:
        record = client.registry.contract.version(bytes.fromhex(first["model_id"][2:]), 1)
        assert record is not None
        assert record.leaf_index == first["leaf_index"]
        receipt = client.ledger.receipt(TxHash(bytes.fromhex(first["tx_hash"][2:])))
        assert receipt is not None
        assert receipt.block_number == first["block"]
    finally:
        client.close()


def test_a_proposal_is_made_once_and_names_who_asked_and_until_when(decided: Decided) -> None:
    found = decided.result("propose")
    assert found == decided.result("propose_again") == decided.result("propose_current")
    assert decided.count("ProposalMade", 1) == 1
    assert found["target"] == "alias:champion"
    assert found["deadline_s"] > time.time()
    users = json.loads(decided.team.run("user", "list", "--json"))["users"]
    assert {"user": "ada", "address": found["requester"]} in users


def test_a_proposals_id_can_be_taken_by_its_name_and_all_else_is_one_value(
    decided: Decided,
) -> None:
    assert decided.result("propose", "proposal_id") == decided.result("propose")["proposal_id"]
    pushed = decided.airflow_home.rows("select key from xcom where task_id = 'propose'")
    assert sorted(key for (key,) in pushed) == sorted([LINK, "proposal_id", "return_value"])


def test_the_log_of_a_proposal_says_what_is_to_be_done_next_and_until_when(
    decided: Decided,
) -> None:
    short = decided.result("propose")["proposal_id"][2:14]
    until = show_time(decided.result("propose")["deadline_s"])
    said = decided.tested.output
    assert f"next, until {until}: mlops-chain model approve {short} --key" in said
    assert "deadline_s" not in said


def test_without_approvals_nothing_is_promoted_and_the_task_says_who_may_approve(
    decided: Decided,
) -> None:
    said = decided.failure("promote_early")
    assert said.startswith("AirflowFailException: PromotionDenied: ")
    assert "0 of 2 approvals; bob, carol may still approve" in said


def test_an_approved_version_is_promoted_once_and_the_alias_follows(decided: Decided) -> None:
    first = decided.result("promote")
    assert first == decided.result("promote_again")
    assert (first["version"], first["sequence"]) == (1, 1)
    assert first["proposal_id"] == decided.result("propose")["proposal_id"]
    changes = [event for event in decided.events if event.name == "CurrentChanged"]
    assert [to_hex(event.tx_hash) for event in changes] == [first["tx_hash"]]
    assert champion(decided.team) == 1


def test_a_version_whose_files_were_changed_after_its_approval_is_not_promoted(
    decided: Decided,
) -> None:
    assert decided.state("approve_2") == "success"
    said = decided.failure("promote_tampered")
    assert "ModelMismatch" in said
    assert "the files of version 2 of 'fraud' are not those that were approved" in said
    assert "registered with another digest" in decided.failure("register_tampered")
    assert "version_files_changed" in decided.failure("verify_tampered")
    # Whoever verifies another version hears of it, too: the model's record does not hold.
    assert "model_digest_differs model fraud/version 2" in decided.failure("verify_current")
    assert champion(decided.team) == 1


def test_a_check_that_blocks_fails_the_task_and_leaves_nothing_and_a_retry_doubles_nothing(
    decided: Decided,
) -> None:
    for name in ("blocked", "blocked_again"):
        said = decided.failure(name)
        assert said.startswith("AirflowFailException: PromotionDenied: ")
        assert "may not be proposed for alias:checked: described: the version has no tag" in said
        assert decided.result(name) is None
    # What was mended is proposed once, with the report of the try that passed.
    found = decided.result("described")
    assert found == decided.result("described_again")
    assert (decided.count("ProposalMade", 4), decided.count("VersionRegistered", 4)) == (1, 1)
    client = open_chain(decided.team.home)
    try:
        of_4 = [one for one in proposals(client.log) if one.version == 4]
        assert [to_hex(one.id) for one in of_4] == [found["proposal_id"]]
        reports = [
            CheckReport.from_json(decode_event(entry.event or b"").payload.get("report"))
            for entry in client.log.find_events(
                Subject(of_4[0].names.model.store_id, "checks", "").to_key()
            )
        ]
        assert [report.passed for report in reports] == [False, False, True]
        assert of_4[0].names.checks == reports[-1]
    finally:
        client.close()


def test_a_version_is_revoked_once(decided: Decided) -> None:
    first = decided.result("revoke")
    assert first == decided.result("revoke_again")
    assert first["still_current"] == []
    assert decided.count("VersionRevoked", 3) == 1


@pytest.mark.parametrize(
    ("task", "kind", "words"),
    [
        ("no_key", "AirflowFailException", ["'keyless'", "Requester's key", "keystore:"]),
        ("no_number", "AirflowFailException", ["version:", "a whole number", "'four'"]),
        ("no_target", "AirflowFailException", ["'champion' is no target", "alias:<name>"]),
        (
            "not_gated",
            "AirflowFailException",
            ["no policy is in force for alias:test", "(gated: alias:champion, alias:checked)"],
        ),
        (
            "no_right",
            "AirflowFailException",
            ["not the role", "mlops-chain role grant requester 0x"],
        ),
        ("no_such", "AirflowFailException", ["no version 99 of model 'fraud'"]),
        ("no_connection", "AirflowNotFoundException", ["nowhere"]),
    ],
)
def test_a_failure_says_what_is_wrong_and_what_was_expected(
    decided: Decided, task: str, kind: str, words: list[str]
) -> None:
    said = decided.failure(task)
    assert said.startswith(f"{kind}: ")
    assert all(word in said for word in words), said


def test_the_link_is_the_explorers_or_else_stays_on_the_page_and_shows_a_command(
    decided: Decided,
) -> None:
    found = decided.result("promote")
    explorer = f"https://chain.example/tx/{found['tx_hash']}"
    assert decided.result("promote", LINK) == explorer
    command = f"#mlops-chain --home {decided.team.home} model history fraud"
    assert decided.result("register_3", LINK) == command
    said = decided.tested.output
    assert all(f"to see it: {found}" in said for found in (explorer, command.removeprefix("#")))


def test_whoever_may_not_ask_is_told_before_anything_is_written(decided: Decided) -> None:
    client = open_chain(decided.team.home)
    try:
        versions = {document.fields.version for document in proposals(client.log)}
    finally:
        client.close()
    assert versions == {1, 2, 4}
    assert decided.count("VersionRegistered", 5) == 0


def test_a_tasks_state_store_keeps_what_was_done(decided: Decided) -> None:
    tables = decided.airflow_home.rows("select name from sqlite_master where type = 'table'")
    if ("task_state_store",) not in tables:
        return  # before Airflow 3.3 there is none, and nobody missed it above
    kept = dict(decided.airflow_home.rows("select task_id, value from task_state_store"))
    assert json.loads(kept["promote"]) == decided.result("promote")


def test_no_secret_stands_in_a_log_or_in_the_metadata_database(decided: Decided) -> None:
    password = decided.team.password
    assert password not in decided.tested.output
    assert password.encode() not in decided.airflow_home.database.read_bytes()
