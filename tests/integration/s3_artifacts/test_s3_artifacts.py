"""Models whose files are in S3: digests without reading, and versions that outlive all else."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

import mlflow_chain
from chain_client.attestations import find_attestation, recorded_in
from chain_client.hosts import AttestedFiles, Scope
from chain_client.plugin_host import PluginHost, using_plugin_host
from mlflow_chain.host import MlflowHost
from tests.integration.s3_artifacts.conftest import PLAIN, VERSIONED, Model, Warehouse
from tests.mlflow_server import Site, serving

pytestmark = pytest.mark.filterwarnings("ignore")


def attest(warehouse: Warehouse, model: Model) -> AttestedFiles:
    """What the files of its version are."""
    people = warehouse.people
    people.drain()
    binding = people.binding()
    recorded = recorded_in(people.client.log, binding.store_id)
    return MlflowHost().attest(binding, model.name, 1, "", recorded)


def findings(warehouse: Warehouse, model: Model) -> list[tuple[str, str]]:
    """Kind and file of each finding about a model's files."""
    warehouse.people.drain()
    report = warehouse.people.client.verify(Scope())
    about = f"{model.prefix.split('/')[-3]}"
    return sorted(
        (finding.kind, finding.subject.partition("/artifact ")[2])
        for finding in report.findings
        if about in finding.subject
    )


def local_files(model: Model) -> dict[str, str]:
    """SHA-256 of each file as it was logged."""
    return {
        path.relative_to(model.source).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in model.source.rglob("*")
        if path.is_file()
    }


def test_attesting_takes_the_digests_of_s3_and_reads_only_the_description(
    warehouse: Warehouse,
) -> None:
    model = warehouse.log()
    with warehouse.watching() as asked:
        files = attest(warehouse, model)
    assert asked.read() == ["MLmodel"]
    assert {f["path"]: f["sha256"] for f in files.manifest} == local_files(model)
    assert files.tells_changes
    assert len(files.versions) == len(files.manifest)


def test_files_are_attested_once_and_the_log_has_their_versions(warehouse: Warehouse) -> None:
    model = warehouse.log()
    files = attest(warehouse, model)
    warehouse.people.register(model.name, 1)
    client = warehouse.people.client
    found = find_attestation(client.log, warehouse.people.binding().store_id, files.location)
    assert found is not None
    assert found.files == files
    listed = warehouse.s3.list_object_versions(Bucket=model.bucket, Prefix=model.prefix)
    versions = {v["Key"].removeprefix(model.prefix): v["VersionId"] for v in listed["Versions"]}
    assert {f["path"]: v for f, v in zip(files.manifest, found.files.versions, strict=True)} == (
        versions
    )


def test_an_object_of_parts_is_read_because_its_checksum_is_not_of_its_bytes(
    warehouse: Warehouse,
) -> None:
    from boto3.s3.transfer import TransferConfig

    model = warehouse.log()
    big = model.source / "data.bin"
    warehouse.s3.upload_file(
        str(big),
        model.bucket,
        f"{model.prefix}parts.bin",
        ExtraArgs={"ChecksumAlgorithm": "SHA256"},
        Config=TransferConfig(multipart_threshold=1),
    )
    with warehouse.watching() as asked:
        files = attest(warehouse, model)
    assert asked.read() == ["MLmodel", "parts.bin"]
    digests = {f["path"]: f["sha256"] for f in files.manifest}
    assert digests["parts.bin"] == digests["data.bin"]


def test_a_version_put_and_deleted_again_while_files_are_attested_is_not_attested(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops_chain_aws.artifacts import S3Artifacts

    model = warehouse.log()
    find = S3Artifacts.find

    def exchanged(store: S3Artifacts, path: str, version: str | None = None) -> Any:
        evil = warehouse.s3.put_object(
            Bucket=model.bucket,
            Key=f"{model.prefix}data.bin",
            Body=b"evil",
            ChecksumAlgorithm="SHA256",
        )
        try:
            return find(store, path, version)
        finally:
            warehouse.s3.delete_object(
                Bucket=model.bucket, Key=f"{model.prefix}data.bin", VersionId=evil["VersionId"]
            )

    monkeypatch.setattr(S3Artifacts, "find", exchanged)
    assert {f["path"]: f["sha256"] for f in attest(warehouse, model).manifest} == local_files(model)


@pytest.fixture(scope="module")
def promoted(made: tuple[Warehouse, dict[str, str]]) -> Model:
    """A model that is champion; each test puts it into the state that it asks for."""
    warehouse, variables = made
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        model = warehouse.log()
        warehouse.promote(model)
    return model


def test_what_was_attested_is_loaded_whatever_is_current_in_the_bucket(
    warehouse: Warehouse, promoted: Model, tmp_path: Path
) -> None:
    code = next(path for path in local_files(promoted) if path.startswith("code/"))
    warehouse.put(promoted, code, b"raise SystemExit('evil')")
    warehouse.put(promoted, "extra.py", b"evil")
    warehouse.s3.delete_object(Bucket=promoted.bucket, Key=f"{promoted.prefix}data.bin")
    assert findings(warehouse, promoted) == [
        ("artifact_changed", code),
        ("artifact_missing", "data.bin"),
        ("artifact_unexpected", "extra.py"),
    ]
    with pytest.raises(MlflowException, match="changed"):
        MlflowClient().set_registered_model_alias(promoted.name, "champion", "1")
    assert mlflow_chain.load_model(promoted.champion).predict(None) == "approved"
    copy = mlflow.artifacts.download_artifacts(f"chain+{promoted.champion}", dst_path=str(tmp_path))
    assert {p.name for p in Path(copy).rglob("*") if p.is_file()} == {
        Path(path).name for path in local_files(promoted)
    }


def test_without_the_plugin_only_what_is_current_counts(
    warehouse: Warehouse, promoted: Model
) -> None:
    with using_plugin_host(PluginHost(third_party=False)):
        with pytest.raises(MlflowException, match="not those that were approved"):
            mlflow_chain.load_model(promoted.champion)
        with pytest.raises(MlflowException, match="no plugin here"):
            MlflowClient().set_registered_model_alias(promoted.name, "champion", "1")


def test_a_client_that_may_not_read_versions_gets_what_is_current_compared_with_the_chain(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chain_client.errors import HostUnavailable
    from mlops_chain_aws.artifacts import S3Artifacts

    model = warehouse.log()
    warehouse.promote(model)

    def refused(*_: object) -> None:
        raise HostUnavailable("S3 does not allow the action s3:GetObjectVersion")

    monkeypatch.setattr(S3Artifacts, "open", refused)
    assert mlflow_chain.load_model(model.champion).predict(None) == "approved"
    warehouse.put(model, "data.bin", b"evil")
    with pytest.raises(MlflowException, match="not those that were approved"):
        mlflow_chain.load_model(model.champion)


def test_a_version_that_somebody_deleted_for_ever_is_named_and_nothing_is_loaded(
    warehouse: Warehouse,
) -> None:
    model = warehouse.log()
    warehouse.promote(model)
    key = f"{model.prefix}data.bin"
    (version,) = warehouse.s3.list_object_versions(Bucket=model.bucket, Prefix=key)["Versions"]
    warehouse.put(model, "data.bin", (model.source / "data.bin").read_bytes())
    warehouse.s3.delete_object(Bucket=model.bucket, Key=key, VersionId=version["VersionId"])
    with pytest.raises(MlflowException, match=r"no longer has version .* of 'data.bin'"):
        mlflow_chain.load_model(model.champion)
    assert not model.imported()
    warehouse.people.attest(model.name, 1)
    assert mlflow_chain.load_model(model.champion).predict(None) == "approved"


def test_files_of_a_bucket_without_versions_are_compared_when_they_are_loaded(
    warehouse: Warehouse,
) -> None:
    model = warehouse.log(PLAIN)
    files = attest(warehouse, model)
    assert not files.tells_changes
    assert files.versions == ()
    assert {f["path"]: f["sha256"] for f in files.manifest} == local_files(model)
    warehouse.promote(model)
    before = (model.source / "data.bin").read_bytes()
    warehouse.put(model, "data.bin", before[::-1].replace(b"d", b"e"))
    MlflowClient().set_registered_model_alias(model.name, "champion", "1")
    with pytest.raises(MlflowException, match="not those that were approved"):
        mlflow_chain.load_model(model.champion)
    assert findings(warehouse, model) == [("artifact_changed", "data.bin")]
    warehouse.put(model, "data.bin", before)
    assert mlflow_chain.load_model(model.champion).predict(None) == "approved"


def test_what_was_attested_without_the_plugin_passes_the_gate_where_it_is_installed(
    warehouse: Warehouse,
) -> None:
    model = warehouse.log()
    with using_plugin_host(PluginHost(third_party=False)):
        warehouse.promote(model)
    MlflowClient().set_registered_model_alias(model.name, "champion", "1")
    assert mlflow_chain.load_model(model.champion).predict(None) == "approved"
    warehouse.put(model, "data.bin", b"shorter")
    with pytest.raises(MlflowException, match="changed"):
        MlflowClient().set_registered_model_alias(model.name, "champion", "1")


def test_verification_says_which_files_it_did_not_read(warehouse: Warehouse) -> None:
    model = warehouse.log()
    warehouse.people.drain()
    with warehouse.watching() as asked:
        report = warehouse.people.client.verify(Scope())
    assert "data.bin" not in asked.read()
    assert any("their bytes were not read" in check.detail for check in report.checks)
    assert findings(warehouse, model) == []


def test_attested_files_in_a_bucket_are_write_once(
    warehouse: Warehouse, promoted: Model, tmp_path: Path
) -> None:
    (tmp_path / "data.bin").write_bytes(b"evil")
    model_id = promoted.prefix.split("/")[-3]
    with pytest.raises(MlflowException, match=f"version 1 of model '{promoted.name}'"):
        MlflowClient().log_model_artifact(model_id, str(tmp_path / "data.bin"))


def test_behind_a_server_the_attested_versions_are_loaded_from_its_bucket(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_uri = mlflow.get_tracking_uri()
    monkeypatch.setenv("MLOPS_CHAIN_PLUGINS", "all")
    site = Site(warehouse.folder, warehouse.people.client.home)
    kept = f"s3://{VERSIONED}/served"
    with serving(site, "--artifacts-destination", kept) as server:
        mlflow.set_tracking_uri(server.url)
        try:
            model = warehouse.log("", root="mlflow-artifacts:")
            model = replace(model, bucket=VERSIONED, prefix=f"served/{model.prefix}")
            warehouse.promote(model)
            warehouse.put(model, "data.bin", b"evil")
            assert mlflow_chain.load_model(model.champion).predict(None) == "approved"
            with pytest.raises(MlflowException, match="changed"):
                MlflowClient().set_registered_model_alias(model.name, "champion", "1")
        finally:
            mlflow.set_tracking_uri(own_uri)
    assert findings(warehouse, model) == [("artifact_changed", "data.bin")]
