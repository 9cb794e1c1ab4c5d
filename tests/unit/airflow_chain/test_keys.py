"""Names of what is recorded."""

from __future__ import annotations

import pytest

from airflow_chain.keys import DagRunKey, DagVersionKey, TaskKey

RUN = "manual__2026-11-20T22:58:02+00:00"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (DagRunKey("train", RUN), f"train/{RUN}"),
        (DagRunKey("train", "by/hand"), "train/by/hand"),
        (TaskKey("train", RUN, "fit"), f"train/{RUN}/fit/-1"),
        (TaskKey("train", "by/hand/0", "group.fit", 12), "train/by/hand/0/group.fit/12"),
        (DagVersionKey("train", "ab" * 32), "train/" + "ab" * 32),
    ],
)
def test_an_id_gives_back_its_key(key: DagRunKey | TaskKey | DagVersionKey, text: str) -> None:
    assert key.to_id() == text
    assert type(key).from_id(text) == key


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (DagRunKey, "train"),
        (DagRunKey, ""),
        (TaskKey, "train/run/fit"),
        (TaskKey, "train/run/fit/x"),
        (DagVersionKey, "train/ab"),
    ],
)
def test_what_is_no_id_is_refused(
    kind: type[DagRunKey | TaskKey | DagVersionKey], text: str
) -> None:
    with pytest.raises(ValueError, match=r"id|expected"):
        kind.from_id(text)
