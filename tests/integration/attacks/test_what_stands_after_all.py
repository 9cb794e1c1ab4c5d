"""The last word on all attacks that went before: the same bytes, nothing found, drafts kept.

It runs after the other modules of this folder, on the servers that they attacked.
"""

from __future__ import annotations

import json

import mlflow
import pytest

import mlflow_chain
from chain_client.registry.drafts import list_drafts
from tests.integration.attacks.conftest import ADMIN, ARTIFACTS, Fortress, content
from tests.mlflow_server import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_plain_client_loads_the_bytes_that_were_approved(fort: Fortress) -> None:
    approved = content(fort.site.folder / "sources" / "1")
    for uri in ("models:/fraud@champion", "models:/fraud/Production"):
        loaded = fort.loaded(uri)
        loaded.pop("registered_model_meta", None)  # MLflow's client notes there what it loaded
        assert loaded == approved
    assert mlflow.pyfunc.load_model("models:/fraud@champion").predict([]) == "1"


def test_a_verified_load_accepts_them(fort: Fortress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(fort.site.home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    assert mlflow_chain.load_model("models:/fraud@champion").predict([]) == "1"


def test_every_refusal_that_names_a_draft_has_one(fort: Fortress) -> None:
    if not fort.refusals.texts:  # this module alone: one attack is made here
        fort.refused(fort.set_alias("fraud", "champion", 3), "it needs 2 approvals")
    wanted = fort.refusals.drafts()
    assert wanted

    def all_are_there() -> bool:
        with fort.opened() as client:
            found = {draft.id: draft for draft in list_drafts(client.log)}
        kept = [found[id_] for id_ in wanted if id_ in found]
        assert all(draft.who == ADMIN[0] for draft in kept)
        return len(kept) == len(wanted)

    wait_until(all_are_there, 60)


def test_no_refusal_tells_a_secret(fort: Fortress) -> None:
    keys = fort.site.home / "keys"
    secrets = [ADMIN[1], *(file.read_text().strip() for file in keys.iterdir() if file.is_file())]
    for file in keys.glob("*.json"):
        found = json.loads(file.read_text())
        secrets.append(str(found["crypto"]["ciphertext"]))
    log = fort.server.log.read_text()
    for secret in secrets:
        assert all(secret not in text for text in fort.refusals.texts)
        assert secret not in log
    assert all(str(fort.site.home) not in text for text in fort.refusals.texts)


def test_a_copy_where_a_workspace_would_keep_it_hides_no_other_file(fort: Fortress) -> None:
    """What lies at `workspaces/…` is never compared in the place of a root outside."""
    real = fort.artifacts / fort.run_below / "toy" / "data.bin"
    before = real.read_bytes()
    decoy = f"{ARTIFACTS}/workspaces/default/{fort.run_below}/toy/data.bin"
    assert fort.ask("PUT", decoy, data=before).status_code == 200
    real.write_bytes(b"by somebody with access to the storage")
    try:

        def is_found() -> bool:
            return any("toy/data.bin" in subject for subject in _findings(fort))

        wait_until(is_found, 60)
    finally:
        real.write_bytes(before)


def _findings(fort: Fortress) -> list[str]:
    _, said = fort.site.command("verify", "--json")
    return [str(finding["subject"]) for finding in json.loads(said)["findings"]]


def test_verification_finds_nothing(fort: Fortress) -> None:
    def is_clean() -> bool:
        code, said = fort.site.command("verify", "--json")
        report = json.loads(said)
        return code == 0 and report["findings"] == []

    wait_until(is_clean, 60, lambda: fort.site.command("verify", "--json")[1])
