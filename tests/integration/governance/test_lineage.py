"""What lineage says of approvals: by whom, or that there is none; the chain is only read."""

from __future__ import annotations

from typing import Any

from tests.integration.governance.conftest import Site


def _approval(site: Site, target: str = "fraud@champion", *, relay: bool = True) -> dict[str, Any]:
    if relay:
        site.chain("relay", "--once")
    (told,) = site.json("lineage", target)["lineages"]
    (node,) = [node for node in told["nodes"] if node["kind"] == "target"]
    found: dict[str, Any] = node["facts"]["approval"]
    return found


def test_the_step_of_an_alias_says_whether_and_by_whom_it_was_approved(site: Site) -> None:
    site.store.set_registered_model_alias("fraud", "free", 2)
    first = site.propose(1)
    site.approve(first, "bob", "carol")
    site.json("model", "promote", first)
    site.json("sync")
    found = _approval(site)
    assert {
        name: found[name] for name in ("state", "cause", "version", "proposal", "threshold")
    } == {
        "state": "approved",
        "cause": "promoted",
        "version": 1,
        "proposal": first,
        "threshold": 2,
    }
    assert [one["name"] for one in found["approvers"]] == ["bob", "carol"]
    assert found["requester"]["name"] == "ada"
    assert _approval(site, "fraud@free")["state"] == "not_gated"
    text = site.chain("lineage", "models:/fraud@champion")
    assert f"approved by bob, carol: proposal {first[2:14]} of ada, block {found['block']}" in text

    second = site.propose(2)
    site.json(
        *("model", "break-glass", "--proposal", second, "--reason", "outage"),
        *("--key", site.keys["dora"], "--yes"),
    )
    # The chain has moved, and MLflow has not followed yet.
    assert _approval(site, relay=False) == {
        "state": "differs",
        "text": "NOT what the chain says: there version 2 is current",
    }
    site.json("sync")
    found = _approval(site)
    assert (found["state"], found["version"], found["approvers"]) == ("broke_glass", 2, [])
    assert "BREAKING THE GLASS" in found["text"]

    words = ("model", "revoke", "fraud", 2, "--reason", "leak", "--key", site.keys["dora"])
    site.json(*words, "--yes")
    assert "REVOKED on chain" in site.chain("lineage", "fraud/2")

    (site.home / "keys" / "registry-salt").unlink()
    found = _approval(site)
    assert found["state"] == "unknown"
    assert "salt" in found["text"]


def test_an_alias_that_was_set_past_the_gate_is_not_called_approved(site: Site) -> None:
    site.propose(1)
    site.store.engine.dispose()
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    import mlflow_chain
    from chain_client.client import ChainClient
    from chain_client.config import Settings

    client = ChainClient.open(Settings(home=site.home, relay_autostart=False, gate_mode="warn"))
    plain: Any = SqlAlchemyStore
    store: Any = mlflow_chain.wrap(plain(f"sqlite:///{site.folder}/mlflow.db"), client)
    store.set_registered_model_alias("fraud", "champion", 1)
    store.engine.dispose()
    client.recorder.close()
    client.close()
    assert _approval(site)["state"] == "not_approved"
