"""How a home comes to its registry: new, of an earlier version, with a timelock, or not at all."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.doctor import examine
from chain_client.errors import ConfigurationError, ContractMissing, HomeNotWritable
from chain_client.home import OWNER_KEY
from chain_client.ledger import open_ledger
from chain_client.ledger.deployment import Deployment, check_deployment
from chain_client.ledger.model_registry import (
    ADMIN_ROLE,
    REGISTRAR_ROLE,
    ModelRegistryContract,
)
from chain_client.ledger.timelock import ADMIN_ROLE as TIMELOCK_ADMIN_ROLE
from chain_client.ledger.timelock import (
    CANCELLER_ROLE,
    EXECUTOR_ROLE,
    PROPOSER_ROLE,
    TimelockContract,
)
from chain_client.log import Log
from chain_client.provision import provision, provision_registry
from chain_client.registry.identity import Salt, read_salt
from chain_client.signing import open_signer
from chain_client.types import Address, Digest, to_hex
from tests.earlier_homes import make_home_without_registry, settings_of
from tests.embedded_chains import KeyInMemory, transact

DELAY_S = 172_800


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path / "home")


def address_of(settings: Settings, key: str) -> Address:
    return open_signer(f"keystore:keys/{key}.json", base=settings.home).address()


def contract_of(settings: Settings, deployment: Deployment) -> ModelRegistryContract:
    assert deployment.registry is not None
    ledger = open_ledger(settings)
    check_deployment(ledger, deployment)
    return ModelRegistryContract(ledger, deployment.registry)


def without_registry(deployment: Deployment) -> Deployment:
    return replace(
        deployment,
        registry=None,
        registry_code_hash=None,
        registry_salt_hash=None,
        registry_block=None,
    )


def nonce_of_owner(settings: Settings) -> int:
    ledger = open_ledger(settings)
    return ledger.nonce(address_of(settings, "owner"))


def test_a_new_home_has_a_registry_whose_registrar_may_register(settings: Settings) -> None:
    made = provision(settings)
    registry = contract_of(settings, made)
    registrar, owner = address_of(settings, "registrar"), address_of(settings, "owner")
    assert registry.has_role(REGISTRAR_ROLE, registrar)
    assert not registry.has_role(REGISTRAR_ROLE, owner)
    assert registry.has_role(ADMIN_ROLE, owner)
    assert not registry.has_role(ADMIN_ROLE, registrar)
    salt = read_salt(settings.home / "keys" / "registry-salt")
    assert registry.salt_hash() == salt.hash() == made.registry_salt_hash
    assert made.timelock is None
    assert Deployment.read(settings.home / "deployment.json") == made
    assert len({address_of(settings, key) for key in ("submitter", "registrar", "owner")}) == 3
    assert address_of(settings, "log-writer") == made.writer


def test_keys_and_salt_are_for_their_owner_alone(settings: Settings) -> None:
    provision(settings)
    keys = settings.home / "keys"
    assert {
        file.name: stat.S_IMODE(file.stat().st_mode) for file in keys.iterdir()
    } == dict.fromkeys(
        [
            *("owner.json", "log-writer.json", "registrar.json", "submitter.json"),
            *("password", "registry-salt", "gate-seal"),
        ],
        0o600,
    )
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700


def test_a_home_of_an_earlier_version_gets_its_registry_once(settings: Settings) -> None:
    before = make_home_without_registry(settings)
    assert before.registry is None
    made = provision_registry(settings, before)
    assert without_registry(made) == before
    assert contract_of(settings, made).has_role(REGISTRAR_ROLE, address_of(settings, "registrar"))
    sent = nonce_of_owner(settings)
    files = {file: file.read_bytes() for file in (settings.home / "keys").iterdir()}
    # by one who has not seen the new file yet, by one who has, and from the start
    assert provision_registry(settings, before) == made
    assert provision_registry(settings, made) == made
    assert provision(settings) == made
    assert nonce_of_owner(settings) == sent
    assert files == {file: file.read_bytes() for file in (settings.home / "keys").iterdir()}


def test_many_processes_give_a_home_one_registry(settings: Settings) -> None:
    before = make_home_without_registry(settings)
    code = (
        "import sys; from tests.earlier_homes import settings_of; from pathlib import Path;"
        "from chain_client import ChainClient;"
        "client = ChainClient.open(settings_of(Path(sys.argv[1]))); client.provide_registry();"
        "print(client.deployment.registry.hex())"
    )
    root = Path(__file__).parents[4]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(settings.home)],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [child.communicate(timeout=60)[0].strip() for child in children]
    made = Deployment.read(settings.home / "deployment.json")
    assert made.registry is not None
    assert answers == [made.registry.hex()] * 4
    assert nonce_of_owner(settings) == 4  # two contracts, a log, a right
    assert made.deployment_id == before.deployment_id


def test_with_a_timelock_the_owner_has_no_direct_right(settings: Settings) -> None:
    made = provision(settings, timelock_delay_s=DELAY_S)
    assert made.timelock is not None
    registry, owner = contract_of(settings, made), address_of(settings, "owner")
    assert registry.has_role(ADMIN_ROLE, made.timelock)
    assert not registry.has_role(ADMIN_ROLE, owner)
    assert registry.has_role(REGISTRAR_ROLE, address_of(settings, "registrar"))
    lock = TimelockContract(open_ledger(settings), made.timelock)
    assert lock.min_delay_s() == DELAY_S
    assert all(
        lock.has_role(role, owner) for role in (PROPOSER_ROLE, EXECUTOR_ROLE, CANCELLER_ROLE)
    )
    assert not lock.has_role(TIMELOCK_ADMIN_ROLE, owner)
    assert lock.has_role(TIMELOCK_ADMIN_ROLE, made.timelock)


def test_a_registry_is_handed_to_a_timelock_later_and_only_once(settings: Settings) -> None:
    without = provision(settings)
    made = provision_registry(settings, without, DELAY_S)
    assert made.registry == without.registry
    assert made.timelock is not None
    sent = nonce_of_owner(settings)
    assert provision_registry(settings, without, DELAY_S) == made
    # One who read the home long ago takes nothing of it back.
    assert provision_registry(settings, without_registry(without)) == made
    assert nonce_of_owner(settings) == sent
    with pytest.raises(ConfigurationError, match=r"a timelock of 172800 s .* and 60 s were asked"):
        provision_registry(settings, made, 60)
    assert Deployment.read(settings.home / "deployment.json") == made


@pytest.mark.parametrize("when", ["sent", "written"])
def test_a_lost_salt_is_never_replaced(settings: Settings, when: str) -> None:
    made = provision(settings)
    file = settings.home / "keys" / "registry-salt"
    kept = file.read_text()
    file.unlink()
    client = ChainClient(settings, made)
    if when == "sent":  # the deployment's file is from before, so it is made again
        before = without_registry(made)
        before.write(settings.home / "deployment.json")
        with pytest.raises(
            ConfigurationError, match=r"registry-salt, .* put it back from your backup"
        ):
            provision_registry(settings, before)
    else:
        assert provision_registry(settings, made) == made
    assert not file.exists()
    with pytest.raises(ConfigurationError, match=r"registry-salt, .* put it back from your backup"):
        _ = client.salt
    file.write_text(kept)
    assert client.salt.hash() == made.registry_salt_hash
    assert provision_registry(settings, Deployment.read(settings.home / "deployment.json")) == made


def test_a_foreign_salt_is_refused(settings: Settings) -> None:
    made = provision(settings)
    file = settings.home / "keys" / "registry-salt"
    foreign = Salt.create()
    file.write_text(foreign.value.hex())
    with pytest.raises(ConfigurationError, match="not the one that the ModelRegistry") as caught:
        _ = ChainClient(settings, made).salt
    assert foreign.value.hex() not in str(caught.value)
    before = without_registry(made)
    before.write(settings.home / "deployment.json")
    with pytest.raises(ConfigurationError, match="was deployed with another salt"):
        provision_registry(settings, before)
    assert Deployment.read(settings.home / "deployment.json") == before


def test_an_owner_that_is_no_admin_any_more_can_not_hand_over(settings: Settings) -> None:
    made = provision(settings, timelock_delay_s=DELAY_S)
    forgotten = replace(made, timelock=None)
    forgotten.write(settings.home / "deployment.json")
    # What was sent is found again, so nothing is lost with the file's line.
    assert provision_registry(settings, forgotten, DELAY_S) == made
    log = settings.home / "log.db"
    log.unlink()
    fresh = Log(settings.resolve_url(settings.log_url))
    fresh.create()
    fresh.close()
    forgotten.write(settings.home / "deployment.json")
    with pytest.raises(ConfigurationError, match="is no admin of the registry any more"):
        provision_registry(settings, forgotten, DELAY_S)


def test_a_registry_with_other_admins_is_not_handed_to_a_timelock(settings: Settings) -> None:
    made = provision(settings)
    registry, other = contract_of(settings, made), KeyInMemory(44)
    ledger = open_ledger(settings)
    owner = open_signer(OWNER_KEY, base=settings.home)
    grant = registry.grant_role_call(ADMIN_ROLE, other.address())
    assert transact(ledger, owner, grant).succeeded
    sent = nonce_of_owner(settings)
    with pytest.raises(ConfigurationError, match=f"{to_hex(other.address())} can administer"):
        provision_registry(settings, made, DELAY_S)
    assert nonce_of_owner(settings) == sent
    assert registry.has_role(ADMIN_ROLE, owner.address())
    revoke = registry.revoke_role_call(ADMIN_ROLE, other.address())
    assert transact(ledger, owner, revoke).succeeded
    assert provision_registry(settings, made, DELAY_S).timelock is not None


def test_doctor_names_an_admin_beside_the_timelock(settings: Settings) -> None:
    made = provision(settings)
    client = ChainClient(settings, made)
    registry, owner = client.model_registry, open_signer(OWNER_KEY, base=settings.home)
    # Both are admins, as after a hand-over that somebody undid in part.
    lock = KeyInMemory(45).address()
    grant = registry.grant_role_call(ADMIN_ROLE, lock)
    assert transact(client.ledger, owner, grant).succeeded

    def detail() -> tuple[bool, str]:
        client.deployment = replace(made, timelock=lock)
        (found,) = [check for check in examine(client) if check.name == "registry"]
        return found.ok, found.detail

    is_whole, text = detail()
    assert not is_whole
    assert f"{to_hex(owner.address())} can administer it beside the timelock" in text
    renounce = registry.renounce_role_call(ADMIN_ROLE, owner.address())
    assert transact(client.ledger, owner, renounce).succeeded
    assert detail()[0]
    client.close()


def test_a_registry_that_was_exchanged_is_refused(settings: Settings) -> None:
    made = provision(settings)
    ledger = open_ledger(settings)
    with pytest.raises(ContractMissing, match="no contract at 0x0101"):
        check_deployment(ledger, replace(made, registry=Address(b"\1" * 20)))
    with pytest.raises(ContractMissing, match="but 0x0000"):
        check_deployment(ledger, replace(made, registry_code_hash=Digest(bytes(32))))
    with pytest.raises(ConfigurationError, match=r"another salt than deployment\.json says"):
        check_deployment(ledger, replace(made, registry_salt_hash=Digest(bytes(32))))


def test_a_home_without_a_registry_says_how_to_get_one(settings: Settings) -> None:
    client = ChainClient(settings, make_home_without_registry(settings))
    for name in ("model_registry", "salt"):
        with pytest.raises(ConfigurationError, match="no model registry yet: run mlops-chain init"):
            getattr(client, name)
    client.provide_registry()
    assert client.model_registry.salt_hash() == client.salt.hash() == client.registry.salt.hash()
    assert client.registry.contract.address == client.model_registry.address
    client.close()


def test_a_home_that_can_not_be_written_is_told(settings: Settings, tmp_path: Path) -> None:
    made = provision(settings)
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeNotWritable):
        provision_registry(settings_of(tmp_path / "file" / "home"), replace(made, registry=None))


def test_the_earlier_home_is_what_the_earlier_version_wrote(settings: Settings) -> None:
    make_home_without_registry(settings)
    content = json.loads((settings.home / "deployment.json").read_text())
    assert content["schema_version"] == 1
    assert not [name for name in content if "registry" in name or "timelock" in name]
    assert not [file for file in (settings.home / "keys").iterdir() if "regist" in file.name]
