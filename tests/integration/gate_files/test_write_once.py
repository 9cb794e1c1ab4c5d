"""The files of an attested version, attacked at every door of a server by plain clients."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.tracking import MlflowClient

from tests.integration.gate_files.conftest import Keeping, Version, write_model
from tests.mlflow_server import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

REFUSED = (MlflowException, requests.HTTPError)
ROUTES = ("/api/2.0/mlflow-artifacts/artifacts", "/ajax-api/2.0/mlflow-artifacts/artifacts")
STREAMS = hasattr(LocalArtifactRepository, "log_artifact_from_stream")
"""Whether this MLflow stages an upload as it arrives; else it comes whole, from a file."""


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def attested(keeping: Keeping, tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A version that is attested."""
    model = write_model(tmp_path_factory.mktemp("model") / "m", "write_once_model")
    version = keeping.register("fraud", model)
    found = keeping.attest(version)
    assert found.files.location == f"mlflow-artifacts:/{version.below}"
    return version


@pytest.fixture(autouse=True)
def _unchanged(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever is tried, the files stay what they were."""
    names = {"keeping": "attested", "parts": "parted"}
    version = next(
        (request.getfixturevalue(v) for k, v in names.items() if k in request.fixturenames), None
    )
    before = None if version is None else content(version.folder)
    yield
    assert before is None or content(version.folder) == before  # type: ignore[union-attr]


def is_refused(answer: requests.Response) -> bool:
    """Whether it is a refusal that clients do not try again, and that says of what."""
    if answer.status_code != 403:
        return False
    said = answer.json()
    assert said["error_code"] == "PERMISSION_DENIED"
    assert "version 1 of model 'fraud'" in said["message"]
    assert "mlops-chain model" in said["message"]
    return True


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "path", ["MLmodel", "data.bin", "new.bin", ".gitignore", "code/new.py", "data.bin/below"]
)
def test_no_upload_reaches_the_folder_of_an_attested_version(
    keeping: Keeping, attested: Version, route: str, path: str
) -> None:
    url = f"{route}/{attested.below}/{path}"
    assert is_refused(keeping.server.ask(url, method="PUT", data=b"evil"))


SPELLINGS = [
    "{0}//MLmodel",
    "/{0}/MLmodel",
    "./{0}/./MLmodel",
    "x/../{0}/MLmodel",
    "x%2F..%2F{0}%2FMLmodel",
    "%2e/{0}/MLmodel",
    "{1}",
    "{2}",
    "{0}/code/../MLmodel",
    "{0}/%4D%4Cmodel",
    "{0}/%254D%254Cmodel",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_the_path_gets_round_it(
    keeping: Keeping, attested: Version, spelling: str
) -> None:
    escaped = "".join(f"%{ord(letter):02x}" for letter in f"{attested.below}/MLmodel")
    twice = escaped.replace("%", "%25")
    path = spelling.format(attested.below, escaped, twice)
    address = urlsplit(keeping.server.url)
    for method in ("PUT", "DELETE"):
        # Sent as it is: other clients would tidy it up.
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
        connection.request(method, f"{ROUTES[0]}/{path}", body=b"evil")
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        # Some are no path that MLflow takes; none is answered with success.
        assert answer.status in (308, 400, 403, 404, 405), (method, answer.status, said)


@pytest.mark.parametrize("path", ["MLmodel", "code", ""])
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_of_an_attested_version_is_deleted(
    keeping: Keeping, attested: Version, route: str, path: str
) -> None:
    url = f"{route}/{attested.below}/{path}".rstrip("/")
    assert is_refused(keeping.server.ask(url, method="DELETE"))


def test_no_folder_above_an_attested_version_is_deleted_or_overwritten(
    keeping: Keeping, attested: Version
) -> None:
    above = Path(attested.below).parents
    for folder in [str(folder) for folder in above if str(folder) != "."]:
        url = f"{ROUTES[0]}/{folder}"
        assert is_refused(keeping.server.ask(url, method="DELETE"))
        assert is_refused(keeping.server.ask(url, method="PUT", data=b"a file in its place"))


def test_a_logged_model_s_own_client_can_t_change_it(
    keeping: Keeping, attested: Version, tmp_path: Path
) -> None:
    client = MlflowClient(keeping.server.url)
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "data.bin").write_bytes(b"evil")
    with pytest.raises(REFUSED, match="attested for approval"):
        client.log_model_artifacts(attested.model_id, str(tmp_path / "evil"))


def test_a_run_whose_files_would_lie_in_it_can_t_log_any(
    keeping: Keeping, attested: Version, tmp_path: Path
) -> None:
    client = MlflowClient(keeping.server.url)
    for number, place in enumerate((attested.below, f"{attested.below}/code")):
        experiment = client.create_experiment(f"inside-{number}", f"mlflow-artifacts:/{place}")
        run = client.create_run(experiment)
        with pytest.raises(REFUSED, match="attested for approval"):
            client.log_text(run.info.run_id, "evil", "x.py")
        path = "/ajax-api/2.0/mlflow/upload-artifact"
        query = f"?run_uuid={run.info.run_id}&path=code/evil.py"
        answer = keeping.server.ask(path + query, method="POST", data=b"evil")
        assert answer.status_code == 403 or is_outside(keeping, attested, answer)


def is_outside(keeping: Keeping, attested: Version, answer: requests.Response) -> bool:
    """Whether MLflow put the file somewhere else: this route derives a path from the run's id."""
    return answer.status_code == 200 and not (attested.folder / "code" / "evil.py").exists()


def test_a_folder_that_leads_there_by_a_symbolic_link_is_no_way_round(
    keeping: Keeping, attested: Version
) -> None:
    link = keeping.artifacts / "shortcut"
    if not link.is_symlink():
        link.symlink_to(attested.folder)
    for path in ("shortcut/MLmodel", "shortcut/new.bin"):
        assert is_refused(keeping.server.ask(f"{ROUTES[0]}/{path}", method="PUT", data=b"evil"))
        assert is_refused(keeping.server.ask(f"{ROUTES[0]}/{path}", method="DELETE"))


def test_an_upload_that_began_before_the_attestation_is_not_stored_after_it(
    keeping: Keeping, tmp_path: Path
) -> None:
    version = keeping.register("slow", write_model(tmp_path / "m", "slow_model"))
    address = urlsplit(keeping.server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    connection.putrequest("PUT", f"{ROUTES[0]}/{version.below}/data.bin")
    connection.putheader("Content-Length", "2000000")
    connection.endheaders()
    connection.send(b"x" * 1_500_000)
    staged = version.folder.glob
    before = (version.folder / "data.bin").read_bytes()
    if STREAMS:
        wait_until(lambda: any(f.stat().st_size for f in staged(".artifact.uploading.*")), 30)
    # What is staged is refused by attesting itself; so it is hidden from it here.
    hidden = {half: half.rename(tmp_path / half.name) for half in staged(".artifact.uploading.*")}
    keeping.attest(version)
    for half, moved in hidden.items():
        moved.rename(half)
    connection.send(b"x" * 500_000)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 403
    assert (version.folder / "data.bin").read_bytes() == before
    assert list(staged(".artifact.uploading.*")) == []


def test_everything_that_is_not_attested_goes_on(
    keeping: Keeping, attested: Version, tmp_path: Path
) -> None:
    client = MlflowClient(keeping.server.url)
    run = client.create_run("0")
    client.log_text(run.info.run_id, "1", "MLmodel")
    client.log_text(run.info.run_id, "2", "MLmodel")
    client._tracking_client._get_artifact_repo(run.info.run_id).delete_artifacts("MLmodel")
    keeping.register("other", write_model(tmp_path / "m", "other_model"))
    beside = f"{Path(attested.below).parent}/artifacts-of-others/x"
    assert keeping.server.ask(f"{ROUTES[0]}/{beside}", method="PUT", data=b"1").status_code == 200
    assert keeping.server.ask(f"{ROUTES[0]}/{beside}", method="DELETE").status_code == 200


@pytest.fixture(scope="module")
def parted(parts: Keeping, tmp_path_factory: pytest.TempPathFactory) -> Version:
    """An attested version in a storage that takes files in parts."""
    model = write_model(tmp_path_factory.mktemp("model") / "m", "parted_model")
    version = parts.register("fraud", model)
    found = parts.attest(version)
    assert found.files.fingerprint[0] == "listing"  # type: ignore[index]
    return version


def test_no_upload_in_parts_begins_or_ends_in_it(parts: Keeping, parted: Version) -> None:
    route = "/api/2.0/mlflow-artifacts/mpu"
    begun = {"path": "data.bin", "num_parts": 1}
    assert is_refused(parts.server.ask(f"{route}/create/{parted.below}", begun))
    stored = parts.artifacts / ".parts" / "data.bin"
    stored.mkdir(parents=True, exist_ok=True)
    (stored / "1").write_bytes(b"evil")
    ended = {
        "path": "data.bin",
        "upload_id": "data.bin",
        "parts": [{"part_number": 1, "etag": "e", "url": ""}],
    }
    assert is_refused(parts.server.ask(f"{route}/complete/{parted.below}", ended))


def test_a_storage_that_is_no_folder_is_kept_too(parts: Keeping, parted: Version) -> None:
    url = f"{ROUTES[0]}/{parted.below}"
    assert is_refused(parts.server.ask(f"{url}/MLmodel", method="PUT", data=b"evil"))
    assert is_refused(parts.server.ask(f"{url}/MLmodel", method="DELETE"))
    assert is_refused(parts.server.ask(str(Path(url).parent), method="DELETE"))


def test_a_client_that_records_by_itself_keeps_them_too(
    keeping: Keeping, attested: Version, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site = keeping.site
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, mlflow\n"
        "from mlflow.exceptions import MlflowException\n"
        "from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "mlflow.search_experiments()\n"
        "repository = get_artifact_repository(sys.argv[2])\n"
        "(tmp := __import__('pathlib').Path(sys.argv[3])).mkdir()\n"
        "(tmp / 'MLmodel').write_text('evil')\n"
        "for act in (lambda: repository.log_artifact(str(tmp / 'MLmodel')),\n"
        "            lambda: repository.log_artifacts(str(tmp)),\n"
        "            lambda: repository.delete_artifacts('MLmodel')):\n"
        "    try:\n"
        "        act()\n"
        "    except MlflowException as exc:\n"
        "        print(exc.error_code)\n"
    )
    done = site.run(str(script), site.uri, str(attested.folder), str(tmp_path / "evil"))
    assert done.stdout.split() == ["PERMISSION_DENIED"] * 3, done.stderr[-2000:]


def test_while_the_log_does_not_answer_registered_versions_are_write_once_and_nothing_else(
    keeping: Keeping, attested: Version, tmp_path: Path
) -> None:
    registered = keeping.register("unattested", write_model(tmp_path / "m", "unattested_model"))
    client = MlflowClient(keeping.server.url)
    run = client.create_run("0")
    log = next(keeping.site.home.glob("log*.db"))
    away = log.rename(log.with_name("away"))
    try:
        for below in (attested.below, registered.below):
            url = f"{ROUTES[0]}/{below}/MLmodel"
            answer = keeping.server.ask(url, method="PUT", data=b"evil")
            assert answer.status_code == 403
        client.log_text(run.info.run_id, "goes on", "x.txt")
    finally:
        away.rename(log)
    url = f"{ROUTES[0]}/{registered.below}/new.bin"
    assert keeping.server.ask(url, method="PUT", data=b"1").status_code == 200


def test_verification_finds_nothing_in_all_this(keeping: Keeping, attested: Version) -> None:
    keeping.relay()
    assert keeping.report().findings == []
