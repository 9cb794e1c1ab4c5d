"""Which locations count as attested: above, below, and whatever else is the same place."""

from __future__ import annotations

import pytest

from mlflow_chain.files.attested import Locations

MODEL = "mlflow-artifacts:/1/models/m-a/artifacts"
LOCATIONS = Locations.of([MODEL, "mlflow-artifacts:/1/models/m-b", "/data/Models/x"])


@pytest.mark.parametrize(
    "target",
    [
        MODEL,
        f"{MODEL}/MLmodel",
        f"{MODEL}/code/deep/a.py",
        MODEL.upper().replace("MLFLOW-ARTIFACTS", "mlflow-artifacts"),
    ],
)
def test_a_location_is_found_around_what_lies_in_it(target: str) -> None:
    ((location, folder),) = LOCATIONS.around(target)
    assert location == MODEL
    assert folder.casefold() == MODEL.casefold()


@pytest.mark.parametrize("target", [f"{MODEL}-2/x", "mlflow-artifacts:/1/models/m-a", "/data"])
def test_what_only_begins_alike_is_not_in_it(target: str) -> None:
    assert list(LOCATIONS.around(target)) == []


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("mlflow-artifacts:", 2),
        ("mlflow-artifacts:/1", 2),
        ("mlflow-artifacts:/1/models/M-A", 1),
        ("mlflow-artifacts:/1/models/m", 0),
        ("mlflow-artifacts:/10", 0),
        (MODEL, 0),
        ("/data/models", 1),
        ("/", 1),
    ],
)
def test_every_location_below_a_folder_is_found(target: str, found: int) -> None:
    assert len(list(LOCATIONS.below(target))) == found


def test_a_name_in_another_form_of_unicode_is_told_of_too() -> None:
    composed, apart = "/m/mod\u00e8le", "/m/mode\u0300le"
    assert [name for name, _ in Locations.of([composed]).around(f"{apart}/x")] == [composed]


def test_the_part_that_is_a_target_is_given_as_it_is_written_in_the_location() -> None:
    assert list(LOCATIONS.below("/DATA/models")) == [("/data/Models/x", "/data/Models")]
