"""Every door through which a server writes or removes files, with the champion's behind it."""

from __future__ import annotations

import http.client
import itertools
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pytest

from tests.integration.attacks.conftest import ADMIN, ARTIFACTS, FINAL, MLFLOW, Fortress

pytestmark = pytest.mark.filterwarnings("ignore")

AJAX = "/ajax-api/2.0/mlflow"
AJAX_ARTIFACTS = "/ajax-api/2.0/mlflow-artifacts/artifacts"
REFUSED = r"403|PERMISSION_DENIED|attested"
_numbers = itertools.count(1)

INSIDE = ["MLmodel", "code/new.py", "registered_model_meta", "code", ""]


@pytest.mark.parametrize("route", [ARTIFACTS, AJAX_ARTIFACTS])
def test_no_upload_and_no_deletion_reaches_approved_or_proposed_files(
    fort: Fortress, route: str
) -> None:
    for below in (fort.model_below, fort.candidate_below):
        for name in INSIDE:
            path = f"{route}/{below}/{name}".rstrip("/")
            for method, data in (("PUT", b"evil"), ("DELETE", None)):
                fort.refused(fort.ask(method, path, data=data), "of model 'fraud'")


def test_no_folder_around_them_goes(fort: Fortress) -> None:
    for below in (fort.model_below, fort.candidate_below):
        for folder in [str(above) for above in Path(below).parents if str(above) != "."]:
            path = f"{ARTIFACTS}/{folder}"
            for method, data in (("PUT", b"a file in its place"), ("DELETE", None)):
                fort.refused(fort.ask(method, path, data=data), "of model 'fraud'")


def test_what_lies_beside_them_is_nobody_s_business(fort: Fortress) -> None:
    for path in ("0/models/other/artifacts/MLmodel", f"{fort.model_below}-2/MLmodel"):
        assert fort.ask("PUT", f"{ARTIFACTS}/{path}", data=b"1").status_code == 200
        assert fort.ask("DELETE", f"{ARTIFACTS}/{path}").status_code == 200


SPELLINGS = [
    "{0}//MLmodel",
    "/{0}/MLmodel",
    "//{0}/MLmodel",
    "./{0}/./MLmodel",
    "x/../{0}/MLmodel",
    "x%2f..%2f{0}%2fMLmodel",
    "x/%2e%2e/{0}/MLmodel",
    "x/%252e%252e/{0}/MLmodel",
    "x/..%5c{0}/MLmodel",
    "{0}%00/MLmodel",
    "{0}/MLmodel%00",
    "{0}/MLmodel%3fx",
    "{0};x/MLmodel",
    "{0}/MLmodel/.",
    "{0}/MLmodel/",
    "{0}/code/..%2fMLmodel",
    "workspaces/default/{0}/MLmodel",
    "workspaces/../{0}/MLmodel",
    "file:{1}/{0}/MLmodel",
    "file://{1}/{0}/MLmodel",
    "{1}/{0}/MLmodel",
    "%2f{1}/{0}/MLmodel",
    "mlflow-artifacts:/{0}/MLmodel",
    "{3}/%6d-{2}/artifacts/MLmodel",
    "{3}/%256d-{2}/artifacts/MLmodel",
]


def test_no_spelling_of_a_path_gets_round_it(fort: Fortress) -> None:
    address = urlsplit(fort.server.url)
    login = "Basic " + b64encode(":".join(ADMIN).encode()).decode()
    above = fort.model_below.partition("/m-")[0]
    short = fort.model_id.removeprefix("m-")
    for spelling in SPELLINGS:
        path = spelling.format(fort.model_below, fort.artifacts, short, above)
        for method in ("PUT", "DELETE"):
            # Sent as it is: other clients would tidy it up.
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
            headers = {"Authorization": login}
            connection.request(method, f"{ARTIFACTS}/{path}", b"evil", headers)
            answer = connection.getresponse()
            said = answer.read()
            connection.close()
            # What MLflow takes for another place, it may write there; the files tell.
            # A NUL is nothing that Python opens, so that MLflow fails there.
            assert answer.status < 500 or "%00" in path, (method, path, answer.status, said)


def test_a_logged_model_is_neither_written_nor_deleted(fort: Fortress, tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "MLmodel").write_text("evil")
    client = fort.client
    with pytest.raises(Exception, match=REFUSED):
        client.log_model_artifacts(fort.model_id, str(tmp_path / "evil"))
    for route in (MLFLOW, AJAX):
        answer = fort.ask("DELETE", f"{route}/logged-models/{fort.model_id}")
        fort.refused(answer, "attested")


def test_a_run_s_own_client_does_not_write_there(fort: Fortress) -> None:
    with pytest.raises(Exception, match=REFUSED):
        fort.client.log_text(fort.run_id, "evil", "model/MLmodel")
    query = f"run_uuid={fort.run_id}&path=model/MLmodel"
    answer = fort.ask("POST", f"{AJAX}/upload-artifact?{query}", data=b"evil")
    if not fort.run_below.startswith("workspaces/"):
        # There MLflow derives a place from the run's id, which is not where the run's files are.
        fort.refused(answer, "of model 'fraud'")
    fort.client.log_text(fort.run_id, "nobody's business", "notes.txt")


PLACES = [
    "mlflow-artifacts:/{0}",
    "mlflow-artifacts:/{0}/code",
    "mlflow-artifacts:///{0}",
    "mlflow-artifacts:/x/../{0}",
    "mlflow-artifacts:/x/%2e%2e/{0}",
    "mlflow-artifacts:{0}",
    "file://{1}/{0}",
    "{1}/{0}",
    "file:{1}/{0}",
    "{1}/x/../{0}",
    "file://{1}/x/%2e%2e/{0}",
    "file://localhost{1}/{0}",
    "{1}//{0}",
]


def test_an_experiment_whose_files_would_lie_there_gets_none(fort: Fortress) -> None:
    for place in PLACES:
        location = place.format(fort.model_below, fort.artifacts)
        body = {"name": f"inside-{next(_numbers)}", "artifact_location": location}
        made = fort.ask("POST", f"{MLFLOW}/experiments/create", body)
        if made.status_code != 200:
            assert 400 <= made.status_code < 500, (place, made.text)
            continue
        experiment = made.json()["experiment_id"]
        started = {"experiment_id": experiment, "start_time": 1}
        run = fort.ask("POST", f"{MLFLOW}/runs/create", started).json()["run"]["info"]
        query = f"run_uuid={run['run_id']}&path=MLmodel"
        answer = fort.ask("POST", f"{AJAX}/upload-artifact?{query}", data=b"evil")
        assert answer.status_code < 500, (place, answer.text)
        body = {"experiment_id": experiment, "name": "inside"}
        made = fort.ask("POST", f"{MLFLOW}/logged-models", body)
        assert made.status_code == 200
        # The UI's prompt lab writes files by itself.
        lab = {
            "experiment_id": experiment,
            "run_name": "lab",
            "prompt_template": "{{x}}",
            "prompt_parameters": [{"key": "x", "value": "1"}],
            "model_route": "r",
            "model_parameters": [{"key": "temperature", "value": 0.1}],
            "model_input": "i",
            "model_output": "o",
            "model_output_parameters": [],
            "mlflow_version": mlflow.__version__,
            "user_id": "u",
            "start_time": 1,
            "tags": [],
        }
        answer = fort.ask("POST", f"{AJAX}/runs/create-promptlab-run", lab)
        assert answer.status_code in (200, 400, 403, 404, 409, 500), (place, answer.text)


def test_no_archived_trace_is_deleted_there(fort: Fortress) -> None:
    """With an archived trace, MLflow deletes a file where a tag says that its archive is.

    MLflow 3.17 takes no such tag of a caller; whichever does, asks before it deletes.
    """
    traces: list[str] = []
    for number, place in enumerate(PLACES):
        location = place.format(fort.model_below, fort.artifacts)
        tags = {
            "mlflow.trace.spansLocation": "ARCHIVE_REPO",
            "mlflow.trace.archiveLocation": location,
            "mlflow.artifactLocation": location,
        }
        trace_id = f"tr-{number:032x}"
        info = {
            "trace_id": trace_id,
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": "0"},
            },
            "request_time": "2026-01-01T00:00:00Z",
            "state": "OK",
            "tags": tags,
        }
        made = fort.ask("POST", "/api/3.0/mlflow/traces", {"trace": {"trace_info": info}})
        assert made.status_code < 500, made.text
        traces.append(trace_id)
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        body = {"experiment_id": "0", "timestamp_ms": 1, "request_metadata": [], "tags": listed}
        made = fort.ask("POST", f"{MLFLOW}/traces", body)
        assert made.status_code < 500, made.text
        if made.status_code == 200:
            trace_id = made.json()["trace_info"]["request_id"]
            ended = {"timestamp_ms": 2, "status": "OK", "request_metadata": [], "tags": listed}
            answer = fort.ask("PATCH", f"{MLFLOW}/traces/{trace_id}", ended)
            assert answer.status_code < 500, answer.text
            traces.append(trace_id)
    for version in ("2.0", "3.0"):
        body = {"experiment_id": "0", "request_ids": traces}
        gone = fort.ask("POST", f"/api/{version}/mlflow/traces/delete-traces", body)
        assert gone.status_code in (200, *FINAL), gone.text


def test_no_upload_in_parts_or_by_a_signed_url_begins_there(fort: Fortress) -> None:
    for kind in ("create", "complete", "abort"):
        for route in ("/api/2.0", "/ajax-api/2.0"):
            body = {"path": "MLmodel", "num_parts": 1, "upload_id": "x", "parts": []}
            path = f"{route}/mlflow-artifacts/mpu/{kind}/{fort.model_below}"
            answer = fort.ask("POST", path, body)
            assert answer.status_code in (400, 403, 404, 501), answer.text
    for owner in ({"run_id": fort.run_id}, {"model_id": fort.model_id}):
        body = {**owner, "path": "model/MLmodel"}
        answer = fort.ask("POST", f"{MLFLOW}/artifacts/presigned-upload-url", body)
        assert answer.status_code in (400, 403, 404, 501), answer.text


def test_the_ui_s_assistant_installs_nothing_there(fort: Fortress) -> None:
    """It writes to any folder that somebody on the server's own machine names."""
    base = "/ajax-api/3.0/mlflow/assistant"
    for provider in ("ollama", "mlflow_gateway", "claude_code", "codex"):
        chosen = {"providers": {provider: {"model": "default", "selected": True}}}
        fort.ask("PUT", f"{base}/config", chosen)
        for below in (fort.model_below, f"{fort.model_below}/code"):
            body = {"type": "custom", "custom_path": str(fort.artifacts / below)}
            answer = fort.ask("POST", f"{base}/skills/install", body)
            assert answer.status_code in (403, 404, 412), (provider, answer.status_code)


def test_garbage_collection_leaves_the_files_of_what_is_approved(fort: Fortress) -> None:
    fort.client.delete_run(fort.run_id)
    words = ("-m", "mlflow", "gc", "--backend-store-uri", fort.site.uri)
    login = {"MLFLOW_TRACKING_USERNAME": ADMIN[0], "MLFLOW_TRACKING_PASSWORD": ADMIN[1]}
    done = fort.site.run(
        *words, "--run-ids", fort.run_id, "--tracking-uri", fort.server.url, **login
    )
    fort.client.restore_run(fort.run_id)
    assert "of model 'fraud'" in done.stderr + done.stdout, done.stderr[-2000:]
