"""What stands on chain for names, and the small languages: targets, durations, evidence."""

from __future__ import annotations

import hmac
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.hosts import ModelIncarnation
from chain_client.registry.durations import (
    parse_duration,
    show_duration,
    show_roughly,
    show_time,
)
from chain_client.registry.evidence import (
    KINDS,
    NO_EVIDENCE,
    EvidenceItem,
    hash_evidence,
    to_kinds,
    to_mask,
)
from chain_client.registry.identity import (
    ANY_MODEL,
    Salt,
    create_salt,
    digest_commitment,
    group_id,
    model_id,
    read_salt,
    target_id,
)
from chain_client.registry.targets import Target
from chain_client.signing.keccak import keccak256
from tests.strategies import examples
from tests.unit.chain_client.registry.documents_for_tests import SALT, evidence, models

OTHER = Salt(b"\x34" * 32)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alias:champion", "alias:champion"),
        ("@champion", "alias:champion"),
        ("@Champion", "alias:Champion"),
        ("stage:production", "stage:Production"),
        ("stage:STAGING", "stage:Staging"),
    ],
)
def test_a_target_is_named_as_mlflow_stores_it(text: str, expected: str) -> None:
    target = Target.parse(text)
    assert str(target) == expected
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize(
    "text",
    [
        "champion",
        "@",
        "alias:",
        "alias:a b",
        "alias:a\n",
        "stage:None",
        "stage:",
        "tag:x",
        "@" * 300,
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Target.parse(text)


def test_ids_are_fixed_by_the_reference() -> None:
    salt = Salt(bytes(range(32)))
    model = model_id(salt, "store", "ws", "fraud", 1_700_000_000_123)
    # As docs/reference/approval-files.md has it: other programs may have to compute them.
    expected = hmac.digest(
        bytes(range(32)), b'["model","store","ws","fraud",1700000000123]', "sha256"
    )
    assert model == expected
    target = hmac.digest(bytes(range(32)), b'["target","alias:champion"]', "sha256")
    assert target_id(salt, "@champion") == target
    group = hmac.digest(bytes(range(32)), b'["group","risk"]', "sha256")
    assert group_id(salt, "risk") == group
    digest = hmac.digest(
        bytes(range(32)),
        f'["digest","0x{"11" * 32}",3,"0x{"22" * 32}"]'.encode(),
        "sha256",
    )
    assert digest_commitment(salt, b"\x11" * 32, 3, b"\x22" * 32) == digest


@settings(max_examples=examples(100))
@given(models, models)
def test_each_incarnation_has_an_id_of_its_own(
    one: ModelIncarnation, other: ModelIncarnation
) -> None:
    def on_chain(model: ModelIncarnation, salt: Salt = SALT) -> bytes:
        return model_id(salt, model.store_id, model.workspace, model.name, model.creation_ms)

    assert (on_chain(one) == on_chain(other)) == (one == other)
    assert on_chain(one) != on_chain(one, OTHER)
    assert on_chain(one) != ANY_MODEL


def test_an_empty_group_has_no_id() -> None:
    with pytest.raises(InvalidInput):
        group_id(SALT, "")


def test_a_salt_is_made_once_kept_private_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "registry-salt"
    salt = create_salt(path)
    assert create_salt(path) == salt == read_salt(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["registry-salt"]
    assert salt.value.hex() not in repr(salt)
    assert repr(salt.value) not in repr(salt)
    salt.check(keccak256(salt.value))
    with pytest.raises(ConfigurationError) as caught:
        salt.check(OTHER.hash())
    assert salt.value.hex() not in str(caught.value)


def test_processes_that_make_a_salt_at_once_get_one(tmp_path: Path) -> None:
    path = tmp_path / "registry-salt"
    start, made = threading.Barrier(8), []

    def make() -> None:
        start.wait(30)
        made.append(create_salt(path))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 8
    assert set(made) == {read_salt(path)}


@pytest.mark.parametrize("content", ["", "12", "zz" * 32, "11" * 33])
def test_a_damaged_salt_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "registry-salt"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="damaged"):
        read_salt(path)
    with pytest.raises(ConfigurationError, match="damaged"):
        create_salt(path)
    assert path.read_text() == content


def test_a_missing_salt_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="put it back"):
        read_salt(tmp_path / "registry-salt")
    with pytest.raises(InvalidInput):
        Salt(b"short")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("5min", 300), ("1h", 3600), ("1h 30min", 5400), ("1h30m", 5400),
     ("7d", 604_800), ("2w", 1_209_600), (0, 0), (60, 60), ("0s", 0)],
)  # fmt: skip
def test_durations_are_read(text: str | int, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1x", "1h ", " 1h", "-1h", "1.5h", -1, True, "1h" * 30]
)
def test_what_is_no_duration_is_refused(text: str | int) -> None:
    with pytest.raises(InvalidInput):
        parse_duration(text)


@settings(max_examples=examples(100))
@given(st.integers(0, 2**32 - 1))
def test_a_shown_duration_is_read_back(seconds: int) -> None:
    assert parse_duration(show_duration(seconds)) == seconds
    assert show_duration(seconds).startswith(show_roughly(seconds))


def test_times_are_shown_in_utc() -> None:
    assert show_time(1_795_190_400) == "2026-11-20 16:00:00 UTC"
    with pytest.raises(InvalidInput):
        show_time(2**48)


def test_kinds_of_evidence_keep_their_bits() -> None:
    assert to_mask(["run", "evaluation"]) == 0b101
    assert to_kinds(0b101) == ("run", "evaluation")
    assert to_kinds(1 << 31) == ("kind 31",)
    assert to_kinds(to_mask(KINDS)) == tuple(KINDS)
    assert len(set(KINDS.values())) == len(KINDS)
    with pytest.raises(InvalidInput, match="no kind of evidence"):
        to_mask(["gossip"])


@settings(max_examples=examples(60))
@given(evidence, evidence)
def test_evidence_is_bound_item_by_item(
    one: tuple[EvidenceItem, ...], other: tuple[EvidenceItem, ...]
) -> None:
    salt = b"\x01" * 32
    assert (hash_evidence(salt, one) == hash_evidence(salt, other)) == (one == other)
    assert (hash_evidence(salt, one) == NO_EVIDENCE) == (not one)
    for item in one:
        assert EvidenceItem.parse(str(item)) == item


@pytest.mark.parametrize(
    "text", ["run", "run:", "run:-1", "run:0x12", "gossip:1", "run:9999999999999999", "run:²"]
)
def test_what_is_no_evidence_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        EvidenceItem.parse(text)
    with pytest.raises(InvalidInput, match="at most"):
        hash_evidence(b"\x01" * 32, [EvidenceItem("run", 1)] * 65)
