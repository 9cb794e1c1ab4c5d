"""Which models' descriptions lead out of their folder, and which that MLflow writes don't."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas
import pytest
import yaml

from chain_client.errors import InvalidInput
from chain_client.events import Event
from mlflow_chain.attesting.attest import attest, read_manifest
from mlflow_chain.attesting.descriptions import check_descriptions, ways_out
from mlflow_chain.files.locations import Spot, Storage
from mlflow_chain.files.stored import StoredFiles

pytestmark = pytest.mark.filterwarnings("ignore")


def nothing(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
    """A log that has nothing."""
    return iter(())


def described(flavor: str, **values: Any) -> bytes:
    """An MLmodel with one flavour."""
    return bytes(yaml.safe_dump({"flavors": {flavor: values}}), "utf-8")


OUT = [
    "/shared/elsewhere",
    "//shared/elsewhere",
    "../elsewhere",
    "code/../../elsewhere",
    "code\\..\\..\\elsewhere",
    "%2e%2e/elsewhere",
    "%252e%252e/elsewhere",
    "%2Fshared/elsewhere",
    "~/elsewhere",
    "file:///shared/elsewhere",
    "FILE:/shared",
    "file:elsewhere",
    "s3://bucket/elsewhere",
    "runs:/0/elsewhere",
    "models:/other/1",
    "C:/elsewhere",
    "registered_model_meta",
    "./Registered_Model_Meta",
]


@pytest.mark.parametrize("value", OUT)
@pytest.mark.parametrize("key", ["code", "data", "model_path", "any", "model_data"])
def test_a_value_that_leads_out_of_the_folder_is_found(key: str, value: str) -> None:
    (found,) = ways_out(described("python_function", **{key: value}))
    assert found.startswith(f"flavors.python_function.{key} is ")


@pytest.mark.parametrize(
    ("flavor", "values"),
    [
        ("python_function", {"env": {"conda": "/etc/conda.yaml"}}),
        ("python_function", {"env": "../conda.yaml"}),
        ("python_function", {"artifacts": {"a": {"path": "/a", "uri": "x"}}}),
        ("python_function", {"artifacts": {"a": {"uri": "/a"}}}),
        ("python_function", {"config": "config.yaml"}),
        ("python_function", {"config": ["/etc/config.yaml"]}),
        ("python_function", {"model_code_path": "/srv/me/.."}),
        ("python_function", {"model_code_path": "/srv/me/"}),
        ("python_function", {"model_code_path": "/srv/me/registered_model_meta"}),
        ("mine", {"files": [{"deep": ("a", "../b")}]}),
        ("transformers", {"local_base_model_path": "base"}),
        ("transformers", {"source_model_name": "a/b", "source_model_revision": "c0ffee"}),
        ("transformers", {"source_model_name": "/a", "source_model_revision": None}),
    ],
)
def test_also_where_the_value_stands_deep_or_has_a_meaning_of_its_own(
    flavor: str, values: dict[str, Any]
) -> None:
    assert list(ways_out(described(flavor, **values)))


@pytest.mark.parametrize(
    ("flavor", "values"),
    [
        ("python_function", {"code": "code", "data": "model.pkl", "env": {"conda": "conda.yaml"}}),
        ("python_function", {"code": None, "data": ".", "loader_module": "mlflow.sklearn"}),
        ("python_function", {"model_code_path": "/srv/me/agent.py"}),
        ("python_function", {"artifacts": {"a": {"path": "artifacts/a", "uri": "/tmp/a"}}}),
        ("python_function", {"config": {"url": "https://host/x", "folder": "/data"}}),
        ("sklearn", {"skops_trusted_types": ["numpy.dtype"], "pickled_model": "model..pkl"}),
        ("transformers", {"source_model_name": "/tmp/checkpoint", "model_binary": "model"}),
    ],
)
def test_what_stays_in_the_folder_or_is_only_kept_is_no_way_out(
    flavor: str, values: dict[str, Any]
) -> None:
    assert list(ways_out(described(flavor, **values))) == []


def test_an_example_that_lies_elsewhere_is_found() -> None:
    found = ways_out(b"flavors: {}\nsaved_input_example_info: {artifact_path: /etc/passwd}")
    assert list(found) == ["saved_input_example_info.artifact_path is an absolute path"]


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize(
    "content",
    [
        b"flavors: [",
        b"\xff\xfeflavors: {}",
        b"flavors: {a: !!python/object/apply:os.getpid []}",
        b"flavors: {}\n---\nflavors: {}",
        b"flavors: " + b"[" * 5_000 + b"]" * 5_000,
        f"{BOMB}flavors: *a39\n".encode(),
    ],
)
def test_a_description_that_nobody_can_read_in_full_is_refused(content: bytes) -> None:
    assert list(ways_out(content))


@pytest.mark.parametrize("name", ["MLmodel", "deep/inside/MLmodel", "sub/mlmodel"])
def test_versions_with_a_description_that_leads_out_are_not_attested(
    tmp_path: Path, name: str
) -> None:
    place = tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "data.bin").write_bytes(b"d")
    place.write_bytes(described("python_function", code="code", loader_module="m"))
    attest(str(tmp_path), Storage(), nothing)
    place.write_bytes(described("python_function", code="../elsewhere", loader_module="m"))
    with pytest.raises(InvalidInput, match=r"python_function\.code is a path with '\.\.'"):
        attest(str(tmp_path), Storage(), nothing)


def test_only_the_bytes_of_the_manifest_count(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_bytes(b"flavors: {}")
    files = StoredFiles(Spot(str(tmp_path)))
    manifest = read_manifest(files)
    (tmp_path / "MLmodel").write_bytes(b"flavors: []")
    with pytest.raises(InvalidInput, match="changed while it was read"):
        check_descriptions(files, manifest)


def _model() -> Any:
    class Model(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

    return Model()


def _sklearn(folder: Path, beside: Path) -> None:
    from sklearn.linear_model import LinearRegression

    data = pandas.DataFrame({"x": [1.0, 2.0]})
    model = LinearRegression().fit(data, [1.0, 2.0])
    mlflow.sklearn.save_model(model, folder, input_example=data, pip_requirements=["none"])


def _xgboost(folder: Path, beside: Path) -> None:
    from xgboost import XGBRegressor

    model = XGBRegressor(n_estimators=1).fit([[1.0], [2.0]], [1.0, 2.0])
    mlflow.xgboost.save_model(model, folder, model_format="json", pip_requirements=["none"])


def _pyfunc(folder: Path, beside: Path) -> None:
    (beside / "more.py").write_text("")
    (beside / "weights.bin").write_bytes(b"w")
    mlflow.pyfunc.save_model(
        folder,
        python_model=_model(),
        code_paths=[str(beside / "more.py")],
        artifacts={"weights": str(beside / "weights.bin")},
        pip_requirements=["none"],
        model_config={"endpoint": "/invocations", "shared": "../x"},
    )


def _from_code(folder: Path, beside: Path) -> None:
    (beside / "agent.py").write_text(
        "import mlflow\n"
        "class Agent(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None): return 'agent'\n"
        "mlflow.models.set_model(Agent())\n"
    )
    agent = str(beside / "agent.py")
    mlflow.pyfunc.save_model(folder, python_model=agent, pip_requirements=["none"])


def _loader(folder: Path, beside: Path) -> None:
    (beside / "own_loader.py").write_text("def _load_pyfunc(path): return None\n")
    (beside / "data").mkdir()
    (beside / "data" / "d.bin").write_bytes(b"d")
    mlflow.pyfunc.save_model(
        folder,
        loader_module="own_loader",
        pip_requirements=["none"],
        data_path=str(beside / "data"),
        code_paths=[str(beside / "own_loader.py")],
    )


def _nested(folder: Path, beside: Path) -> None:
    _sklearn(beside / "inner", beside)
    mlflow.pyfunc.save_model(
        folder,
        python_model=_model(),
        artifacts={"inner": str(beside / "inner")},
        pip_requirements=["none"],
    )


@pytest.mark.parametrize("save", [_sklearn, _xgboost, _pyfunc, _from_code, _loader, _nested])
def test_models_as_mlflow_saves_them_are_attested(
    tmp_path: Path, save: Callable[[Path, Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    beside = tmp_path / "beside"
    beside.mkdir()
    save(tmp_path / "model", beside)
    found = attest(str(tmp_path / "model"), Storage(), nothing)
    assert "MLmodel" in {entry["path"] for entry in found.manifest}
