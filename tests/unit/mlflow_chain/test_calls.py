"""Which calls are recorded on their own, and that each intent is settled."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_chain.stores import wrapping
from mlflow_chain.stores.wrapping import rewrap

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own imports warn


class Registry:
    """A store whose call does what a test asks for."""

    def __init__(self) -> None:
        self.within: Callable[[], object] = lambda: None

    def delete_registered_model(self, name: str) -> str:
        within, self.within = self.within, lambda: None
        within()
        return name


class Recorder:
    """Notes what begins, and how it ends."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []

    def begin(self, type_: str, subject: Any, payload: Any, *, actor: Any) -> Any:
        self.begun.append(subject.id)
        return SimpleNamespace(event_id=bytes(16), type=type_, subject=subject)

    def done(self, intent: Any, **ignored: Any) -> None:
        self.ended.append(intent.subject.id)

    def failed(self, intent: Any, error: BaseException, *, in_doubt: bool) -> None:
        self.ended.append(f"{intent.subject.id} {type(error).__name__} {in_doubt}")


@pytest.fixture
def recorder() -> Recorder:
    """What the store records with."""
    return Recorder()


@pytest.fixture
def store(recorder: Recorder) -> Registry:
    """A store that is recorded."""
    made = Registry()
    recording: Any = SimpleNamespace(
        recorder=recorder,
        store_id="s",
        actor=None,
        is_remote=False,
        extras=frozenset(),
        gate=None,
    )
    recording.current = lambda: recording
    rewrap(made, recording)
    return made


def _in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_call_that_a_store_makes_to_itself_is_the_same_call(
    store: Registry, recorder: Recorder
) -> None:
    store.within = lambda: store.delete_registered_model("inner")
    assert store.delete_registered_model("outer") == "outer"
    assert recorder.begun == recorder.ended == ["outer"]


def test_a_thread_that_inherits_the_context_of_a_call_is_recorded_on_its_own(
    store: Registry, recorder: Recorder
) -> None:
    def inherit() -> None:
        context = contextvars.copy_context()
        _in_thread(lambda: context.run(store.delete_registered_model, "of the thread"))

    store.within = inherit
    store.delete_registered_model("outer")
    assert recorder.begun == ["outer", "of the thread"]
    assert recorder.ended == ["of the thread", "outer"]


def test_a_context_that_outlives_its_call_hides_nothing(
    store: Registry, recorder: Recorder
) -> None:
    kept: list[contextvars.Context] = []
    store.within = lambda: kept.append(contextvars.copy_context())
    store.delete_registered_model("first")
    kept[0].run(store.delete_registered_model, "second")
    assert recorder.begun == recorder.ended == ["first", "second"]


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_whatever_breaks_before_the_store_is_asked_settles_the_intent(
    store: Registry,
    recorder: Recorder,
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*ignored: object) -> None:
        raise error

    monkeypatch.setattr(wrapping, "wish_for_files", fail)
    store.within = lambda: pytest.fail("the store was asked")
    with pytest.raises(error):
        store.delete_registered_model("outer")
    assert recorder.ended == [f"outer {error.__name__} False"]
