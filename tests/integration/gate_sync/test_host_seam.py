"""What the core sees and sets of MLflow's models, before any gate is asked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.errors import InvalidInput
from chain_client.hosts import Governs, ModelIncarnation, ReservedTags, StoreBinding, TargetState
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded

HOST = MlflowHost()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home and a plain database that are made once; tests work on copies."""
    folder = tmp_path_factory.mktemp("made")
    ChainClient.open(Settings(home=folder / "home", relay_autostart=False), create=True).close()
    store_class: Any = SqlAlchemyStore
    url = f"sqlite:///{folder / 'mlflow.db'}"
    store_class(url, str(folder / "artifacts"))._dispose_engine()
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A home without any policy."""
    return Path(shutil.copytree(made / "home", tmp_path / "home"))


@pytest.fixture
def client(home: Path) -> Iterator[ChainClient]:
    """That home, opened."""
    settings = Settings(home=home, relay_autostart=False, spool_durability="process")
    opened = ChainClient.open(settings)
    yield opened
    opened.recorder.close()
    opened.close()


@pytest.fixture
def recorded(client: ChainClient, made: Path, tmp_path: Path) -> Recorded:
    """An empty database."""
    file = Path(shutil.copy(made / "mlflow.db", tmp_path))
    return Recorded(client, f"chain+sqlite:///{file}", file)


@pytest.fixture
def registry(recorded: Recorded) -> Iterator[Any]:
    """Its model registry."""
    plain: Any = RegistryStore
    store: Any = mlflow_chain.wrap(plain(recorded.uri.removeprefix("chain+")), recorded.client)
    yield store
    store.engine.dispose()


@pytest.fixture
def binding(registry: Any, client: ChainClient) -> StoreBinding:
    """The database, with a model of three versions."""
    registry.create_registered_model("fraud")
    for _ in range(3):
        registry.create_model_version("fraud", "/files/fraud")
    (found,) = client.folder.bindings()
    return found


def _created_ms(registry: Any, name: str) -> int:
    return int(registry.get_registered_model(name).creation_timestamp)


def _set(binding: StoreBinding, home: Path, target: str, version: int | None, **tags: str) -> None:
    named = {f"mlops_chain.{name}": value for name, value in tags.items()}
    HOST.set_target(binding, "fraud", "", target, version, named, home=home)


def test_a_model_is_known_by_its_creation_time(binding: StoreBinding, registry: Any) -> None:
    created = _created_ms(registry, "fraud")
    expected = ModelIncarnation(binding.store_id, "", "fraud", created)
    assert list(HOST.models(binding)) == [expected]
    assert HOST.find_model(binding, "fraud") == expected
    assert HOST.find_model(binding, "fraud", "default") == expected
    assert HOST.find_model(binding, "fraud", "team-a") is None
    assert HOST.find_model(binding, "Fraud") is None


def test_a_prompt_is_no_model_and_its_mark_hides_none(binding: StoreBinding, registry: Any) -> None:
    registry.create_prompt("greeting")
    registry.create_prompt_version("greeting", "Hello {{name}}")
    registry.set_registered_model_alias("greeting", "champion", 1)
    assert [model.name for model in HOST.models(binding)] == ["fraud"]
    # A version with files below a prompt's name can be loaded as a model.
    registry.create_model_version("greeting", "/files/fraud")
    registry.set_registered_model_alias("greeting", "live", 2)
    assert {model.name for model in HOST.models(binding)} == {"fraud", "greeting"}
    assert list(HOST.targets(binding, ["greeting"])) == [
        TargetState("", "greeting", "alias:champion", (1,)),
        TargetState("", "greeting", "alias:live", (2,)),
    ]


def test_a_deleted_version_holds_nothing(binding: StoreBinding, registry: Any, home: Path) -> None:
    _set(binding, home, "stage:Production", 2, proposal="0x12")
    registry.delete_model_version("fraud", 2)
    assert list(HOST.targets(binding)) == []
    assert list(HOST.reserved_tags(binding)) == []
    with pytest.raises(InvalidInput, match="no version 2"):
        _set(binding, home, "stage:Production", 2)


def test_aliases_and_stages_are_set_moved_and_taken_away(
    binding: StoreBinding, recorded: Recorded, home: Path
) -> None:
    _set(binding, home, "alias:champion", 1, proposal="0x12")
    _set(binding, home, "stage:Production", 1)
    _set(binding, home, "stage:Production", 2)
    assert list(HOST.targets(binding)) == [
        TargetState("", "fraud", "alias:champion", (1,)),
        TargetState("", "fraud", "stage:Archived", (1,)),
        TargetState("", "fraud", "stage:Production", (2,)),
    ]
    _set(binding, home, "alias:champion", None)
    _set(binding, home, "stage:Production", None)
    assert list(HOST.targets(binding)) == [
        TargetState("", "fraud", "stage:Archived", (1, 2)),
    ]
    assert recorded.findings() == []


def test_setting_what_stands_already_writes_nothing(
    binding: StoreBinding, recorded: Recorded, home: Path
) -> None:
    for _ in range(2):
        _set(binding, home, "alias:champion", 3, proposal="0x12", digest="0x34")
        _set(binding, home, "stage:Staging", 2)
    types = recorded.types()
    assert types.count("registered_model.alias_set") == 1
    assert types.count("model_version.stage_set") == 1
    assert types.count("model_version.tag_set") == 2


def test_reserved_tags_are_made_what_is_asked_and_others_stay(
    binding: StoreBinding, registry: Any, home: Path, recorded: Recorded
) -> None:
    from mlflow.entities.model_registry import ModelVersionTag

    registry.set_model_version_tag("fraud", 1, ModelVersionTag("team", "risk"))
    _set(binding, home, "alias:champion", 1, proposal="0x12", digest="0x34")
    HOST.set_reserved_tags(binding, "fraud", "", 1, {"mlops_chain.digest": "0x56"}, home=home)
    assert list(HOST.reserved_tags(binding)) == [
        ReservedTags("", "fraud", 1, {"mlops_chain.digest": "0x56"})
    ]
    HOST.set_reserved_tags(binding, "fraud", "", 1, {}, home=home)
    assert list(HOST.reserved_tags(binding)) == []
    assert registry.get_model_version("fraud", 1).tags == {"team": "risk"}
    with pytest.raises(InvalidInput, match="reserved"):
        HOST.set_reserved_tags(binding, "fraud", "", 1, {"team": "mine"}, home=home)
    assert recorded.findings() == []


def test_models_of_other_workspaces_are_seen_and_set_in_theirs(
    binding: StoreBinding, recorded: Recorded, home: Path, registry: Any
) -> None:
    recorded.edit(
        "insert into registered_models (workspace, name, creation_time) values (?, ?, ?)",
        *("team-a", "fraud", 1234),
    )
    recorded.edit(
        "insert into model_versions (workspace, name, version, source, current_stage, status) "
        "values ('team-a', 'fraud', 1, '/files/other', 'None', 'READY')"
    )
    assert HOST.find_model(binding, "fraud", "team-a") == ModelIncarnation(
        binding.store_id, "team-a", "fraud", 1234
    )
    HOST.set_target(binding, "fraud", "team-a", "alias:champion", 1, {}, home=home)
    assert list(HOST.targets(binding)) == [TargetState("team-a", "fraud", "alias:champion", (1,))]
    assert registry.get_registered_model("fraud").aliases == {}
    (event,) = [e for e in recorded.events() if e.type == "registered_model.alias_set"]
    assert event.subject.id == "team-a/fraud"


@pytest.mark.parametrize(("name", "version"), [("fraud", 9), ("unknown", 1)])
def test_what_is_not_there_is_refused(
    binding: StoreBinding, home: Path, name: str, version: int
) -> None:
    with pytest.raises(InvalidInput, match=name):
        HOST.set_target(binding, name, "", "alias:champion", version, {}, home=home)


def test_the_host_governs() -> None:
    assert isinstance(HOST, Governs)
