"""An approval counts for the model that has the name now in a real MLflow, not for a former one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import UnknownProposal
from chain_client.governing.promoting import Patience, find_proposal, promote_once
from chain_client.governing.proposing import Wish
from chain_client.governing.proposing_once import propose_once
from chain_client.registry.targets import Target
from chain_client.signing import open_signer
from tests.airflow_home import AirflowHome, open_chain
from tests.closing import everything_closed
from tests.integration.airflow.model import QuickTeam, make_model

CHAMPION = Target.alias("champion")


def test_a_model_that_was_deleted_and_made_again_is_not_approved(
    founded_home: Path, tmp_path: Path, airflow_in_process: AirflowHome
) -> None:
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    from airflow_chain.triggers.approval import Wanted

    team = QuickTeam(tmp_path / "company")
    team.folder.mkdir(exist_ok=True)
    team.found_from(founded_home)
    make_model(team)
    wanted = Wanted(model_name="fraud", version=1, target="@champion")
    with everything_closed():
        client = open_chain(team.home)
        keys = [open_signer(f"keystore:{name}.json", base=team.folder) for name in ("bob", "carol")]
        document = propose_once(
            client,
            Wish("fraud", 1, CHAMPION),
            open_signer("keystore:ada.json", base=team.folder),
        ).document
        for key in keys:
            client.registry.approve(document, signer=key)
        assert wanted.look(client)["cause"] == "quorum"
        promote_once(client, document, Patience(60, 0.1))
        assert wanted.look(client)["cause"] == "promoted"
        # Not through the gate: by whoever has MLflow's database.
        plain: Any = SqlAlchemyStore
        store = plain(f"sqlite:///{team.folder}/mlflow.db")
        store.delete_registered_model("fraud")
        gone = wanted.look(client)
        assert gone["verdict"] == "waiting"
        store.create_registered_model("fraud")
        files = tmp_path / "others"
        files.mkdir()
        (files / "model.txt").write_text("weights that nobody ever saw")
        assert store.create_model_version("fraud", files.as_uri()).version == 1
        store.engine.dispose()
        found = wanted.look(client)
        assert (found["verdict"], found["cause"]) == ("waiting", "text_unknown")
        former = Wanted(proposal_id=document.id.hex()).look(client)
        assert (former["verdict"], former["cause"]) == ("closed", "model_replaced")
        with pytest.raises(UnknownProposal, match="nobody proposed"):
            find_proposal(client, name="fraud", version=1, target=CHAMPION)
