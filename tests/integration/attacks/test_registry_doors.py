"""Every door of the registry, attacked by MLflow's admin through a plain client or plain HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from tests.integration.attacks.conftest import ARTIFACTS, MLFLOW, Fortress

pytestmark = pytest.mark.filterwarnings("ignore")

AJAX = "/ajax-api/2.0/mlflow"
PROPOSE = "mlops-chain draft propose "
"""How whoever has a key goes on."""


@pytest.mark.parametrize("route", [MLFLOW, AJAX])
def test_no_alias_moves_to_a_version_that_is_not_approved(fort: Fortress, route: str) -> None:
    for version in ("2", "3"):
        body = {"name": "fraud", "alias": "champion", "version": version}
        answer = fort.ask("POST", f"{route}/registered-models/alias", body)
        fort.refused(answer, "it needs 2 approvals", PROPOSE)
    body = {"name": "fraud", "alias": "champion"}
    answer = fort.ask("DELETE", f"{route}/registered-models/alias", body)
    fort.refused(answer, "its removal is not approved", "mlops-chain model remove fraud")


def test_an_unusual_spelling_of_a_version_or_alias_is_no_way_round(fort: Fortress) -> None:
    for version in ("03", " 3", "+3", "3 ", "٣", "3.0", "1e0", "-1", "0x3"):
        assert fort.set_alias("fraud", "champion", version).status_code in (400, 403, 404)
    for alias in ("champion ", " champion", "champion\n", "champion\x00", "champion%00"):
        assert fort.set_alias("fraud", alias, "3").status_code in (400, 403, 409)
    for name in ("fraud ", " fraud", "fraud\x00", "FRAUD", "frаud"):
        assert fort.set_alias(name, "champion", "3").status_code in (400, 403, 404)
    assert fort.set_alias("fraud", "champion", "99").status_code == 404


def test_an_alias_in_capitals_is_another_alias(fort: Fortress) -> None:
    # SQLite tells them apart, and so does whoever loads.
    assert fort.set_alias("fraud", "CHAMPION", "3").status_code == 200
    assert fort.client.get_model_version_by_alias("fraud", "CHAMPION").version == "3"
    assert fort.client.get_model_version_by_alias("fraud", "champion").version == "1"
    fort.client.delete_registered_model_alias("fraud", "CHAMPION")


def test_a_model_of_another_name_is_gated_too(fort: Fortress) -> None:
    fort.refused(fort.set_alias("toy", "champion", 1), "no version is approved", PROPOSE)
    name = fort.names("new")
    fort.make_model(name)
    fort.refused(fort.set_alias(name, "champion", 1), "no version is approved", PROPOSE)
    fort.refused(fort.transition(name, 1, "Production"), "no version is approved", PROPOSE)
    # By a rename, no alias comes under a name that it was not approved for.
    other = fort.names("renamed")
    fort.client.rename_registered_model(name, other)
    fort.refused(fort.set_alias(other, "champion", 1), "no version is approved", PROPOSE)
    fort.client.delete_registered_model(other)


def test_no_version_enters_production(fort: Fortress) -> None:
    for stage in ("Production", "production", "PRODUCTION"):
        fort.refused(fort.transition("fraud", 3, stage), "stage:Production", PROPOSE)
        alone = fort.transition("fraud", 3, stage, archive_existing_versions=False)
        fort.refused(alone, "archive_existing_versions=True")


def test_the_champion_does_not_leave_production(fort: Fortress) -> None:
    for stage in ("Archived", "archived", "Staging", "None"):
        for archives in (True, False):
            answer = fort.transition("fraud", 1, stage, archive_existing_versions=archives)
            if answer.status_code == 400:  # MLflow archives nothing for such a stage
                continue
            fort.refused(answer, "its removal is not approved", "mlops-chain model remove")
    answer = fort.transition("fraud", 1, "Deleted_Internal", archive_existing_versions=False)
    assert answer.status_code in (400, 403)


def test_nothing_is_deleted_renamed_or_made_anew(fort: Fortress) -> None:
    for route in (MLFLOW, AJAX):
        for version, why in (("1", "current on chain"), ("2", "it is proposed")):
            body = {"name": "fraud", "version": version}
            answer = fort.ask("DELETE", f"{route}/model-versions/delete", body)
            fort.refused(answer, why, "mlops-chain model show fraud")
        answer = fort.ask("DELETE", f"{route}/registered-models/delete", {"name": "fraud"})
        fort.refused(answer, "version 1 is current on chain", "mlops-chain model show fraud")
        body = {"name": "fraud", "new_name": "was-fraud"}
        answer = fort.ask("POST", f"{route}/registered-models/rename", body)
        fort.refused(answer, "version 1 is current on chain")
        body = {"name": "toy", "new_name": "fraud"}
        taken = fort.ask("POST", f"{route}/registered-models/rename", body)
        again = fort.ask("POST", f"{route}/registered-models/create", {"name": "fraud"})
        for answer in (taken, again):
            assert answer.status_code == 400
            assert answer.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"


def test_copies_are_approved_for_nothing(fort: Fortress) -> None:
    into = fort.client.copy_model_version("models:/toy/1", "fraud")
    fort.refused(fort.set_alias("fraud", "champion", into.version), "it needs 2 approvals")
    name = fort.names("copy")
    out = fort.client.copy_model_version("models:/fraud@champion", name)
    assert not [key for key in out.tags if key.startswith("mlops_chain.")]
    fort.refused(fort.set_alias(name, "champion", 1), "no version is approved")
    # Back under the champion's name, with the champion's own bytes: still another version.
    back = fort.client.copy_model_version(f"models:/{name}/1", "fraud")
    fort.refused(fort.set_alias("fraud", "champion", back.version), "it needs 2 approvals")


@pytest.mark.parametrize(
    "source",
    [
        "models:/fraud@champion",
        "models:/{model_id}",
        "mlflow-artifacts:/{below}",
        "mlflow-artifacts:/{below}/../artifacts",
        "runs:/{run_id}/unapproved",
        "file:///etc",
        "mlflow-artifacts:/",
        "",
    ],
)
def test_a_version_with_a_source_of_somebody_s_choice_is_approved_for_nothing(
    fort: Fortress, source: str
) -> None:
    text = source.format(model_id=fort.model_id, run_id=fort.run_id, below=fort.model_below)
    for owner in ({}, {"model_id": fort.model_id}, {"run_id": fort.run_id}):
        body = {"name": "fraud", "source": text, **owner}
        answer = fort.ask("POST", f"{MLFLOW}/model-versions/create", body)
        if answer.status_code == 200:
            version = answer.json()["model_version"]["version"]
            fort.refused(fort.set_alias("fraud", "champion", version), "it needs 2 approvals")
            return
        assert 400 <= answer.status_code < 500, answer.text


def test_no_field_that_is_loaded_can_be_updated(fort: Fortress) -> None:
    evil = "mlflow-artifacts:/0/other"
    body = {
        **{"name": "fraud", "version": "1", "description": "", "run_id": fort.run_id},
        **{"source": evil, "storage_location": evil, "current_stage": "None", "aliases": []},
    }
    assert fort.ask("PATCH", f"{MLFLOW}/model-versions/update", body).status_code in (200, 400)
    body = {"name": "fraud", "new_name": "other", "description": "", "aliases": [], "tags": []}
    answer = fort.ask("PATCH", f"{MLFLOW}/registered-models/update", body)
    assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize("key", ["mlops_chain.approvals", "MLOPS_CHAIN.digest"])
def test_tags_that_show_what_the_chain_says_are_not_for_users(fort: Fortress, key: str) -> None:
    tag = {"key": key, "value": "99 of 2: everybody"}
    for method, verb in (("POST", "set-tag"), ("DELETE", "delete-tag")):
        of_model, of_version = {"name": "fraud", **tag}, {"name": "fraud", "version": "1", **tag}
        if method == "DELETE":
            of_model.pop("value")
            of_version.pop("value")
        for route in (MLFLOW, AJAX):
            answer = fort.ask(method, f"{route}/registered-models/{verb}", of_model)
            fort.refused(answer, "mlops-chain sync")
            answer = fort.ask(method, f"{route}/model-versions/{verb}", of_version)
            fort.refused(answer, "mlops-chain sync")
    body = {"name": fort.names("tagged"), "tags": [tag]}
    fort.refused(fort.ask("POST", f"{MLFLOW}/registered-models/create", body), "mlops-chain sync")
    body = {
        **{"name": "toy", "source": f"models:/{fort.model_id}", "model_id": fort.model_id},
        "tags": [tag],
    }
    made = fort.ask("POST", f"{MLFLOW}/model-versions/create", body)
    assert made.status_code == 200, made.text
    assert made.json()["model_version"].get("tags", []) == []


def test_a_model_does_not_become_a_prompt(fort: Fortress) -> None:
    marker = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    for body in ({"name": "fraud", **marker}, {"name": "toy", **marker}):
        answer = fort.ask("POST", f"{MLFLOW}/registered-models/set-tag", body)
        fort.refused(answer, "can't become a prompt")
        answer = fort.ask("POST", f"{MLFLOW}/model-versions/set-tag", {**body, "version": "1"})
        fort.refused(answer, "can't become a prompt")
    marked = {"name": "fraud", "source": "dummy-source", "tags": [marker]}
    made = fort.ask("POST", f"{MLFLOW}/model-versions/create", marked)
    if made.status_code == 200:
        version = made.json()["model_version"]["version"]
        fort.refused(fort.set_alias("fraud", "champion", version), "it needs 2 approvals")


def test_a_prompt_with_files_is_a_model(fort: Fortress) -> None:
    name = fort.names("fraud2")
    marked = [
        {"key": "mlflow.prompt.is_prompt", "value": "true"},
        {"key": "mlflow.prompt.text", "value": "hello"},
    ]
    body = {"name": name, "tags": marked}
    assert fort.ask("POST", f"{MLFLOW}/registered-models/create", body).status_code == 200
    owned = {"run_id": fort.run_id, "model_id": fort.model_id}
    sources = (
        "dummy-source",
        f"mlflow-artifacts:/{fort.run_below}/unapproved",
        f"models:/{fort.model_id}",
        "models:/toy/1",
        f"file://{fort.artifacts}/{fort.run_below}/unapproved",
    )
    loadable = []
    for source in sources:
        body = {"name": name, "source": source, "tags": marked, **owned}
        answer = fort.ask("POST", f"{MLFLOW}/model-versions/create", body)
        assert answer.status_code < 500, answer.text
        if answer.status_code != 200:
            continue
        version = answer.json()["model_version"]["version"]
        if source == sources[0]:  # a prompt, and nothing else: it holds nothing to load
            assert fort.set_alias(name, "champion", version).status_code == 200
            with pytest.raises(MlflowException):
                fort.loaded(f"models:/{name}@champion")
        else:
            loadable.append(version)
    for version in loadable:
        fort.refused(fort.set_alias(name, "champion", version), "no version is approved")
        fort.refused(fort.transition(name, version, "Production"), "no version is approved")


def test_graphql_changes_nothing(fort: Fortress) -> None:
    query = {"query": "{__schema {mutationType {fields {name}}}}"}
    answer = fort.ask("POST", "/graphql", query)
    assert answer.status_code == 200
    fields = answer.json()["data"]["__schema"]["mutationType"]["fields"]
    found = {field["name"] for field in fields}
    # Their names are those of mutations, and both only search.
    assert found <= {"testMutation", "mlflowSearchRuns", "mlflowSearchDatasets"}


def test_workspaces_take_no_model_away(fort: Fortress) -> None:
    place = "/api/3.0/mlflow/workspaces"
    name = fort.names("team")
    made = fort.ask("POST", place, {"name": name})
    if "--enable-workspaces" not in fort.server.process.args:  # type: ignore[operator]
        assert made.status_code in (400, 404, 501, 503), made.text
        return
    assert made.status_code == 201, made.text
    for mode in ("RESTRICT", "CASCADE", "SET_DEFAULT"):
        gone = fort.ask("DELETE", f"{place}/default?mode={mode}")
        assert 400 <= gone.status_code < 500, gone.text
    # Another team's `fraud` is another model, and gated as well.
    there: dict[str, Any] = {"headers": {"X-MLFLOW-WORKSPACE": name}}
    answer = fort.ask("POST", f"{MLFLOW}/registered-models/create", {"name": "fraud"}, **there)
    assert answer.status_code == 200, answer.text
    body = {"name": "fraud", "source": f"mlflow-artifacts:/workspaces/{name}/0/x"}
    answer = fort.ask("POST", f"{MLFLOW}/model-versions/create", body, **there)
    if answer.status_code == 200:
        answer = fort.set_alias("fraud", "champion", 1, **there)
        fort.refused(answer, "no version is approved")
    # Its members reach no file of the others.
    for path in (fort.model_below, f"workspaces/default/{fort.model_below}"):
        answer = fort.ask("DELETE", f"{ARTIFACTS}/{path}", **there)
        assert answer.status_code in (200, 400, 403, 404), answer.text
    for mode in ("SET_DEFAULT", "CASCADE"):
        gone = fort.ask("DELETE", f"{place}/{name}?mode={mode}")
        # MLflow's own word for two models of one name is a status of its own.
        assert gone.status_code < 500 or gone.json()["error_code"] == "INVALID_STATE", gone.text
