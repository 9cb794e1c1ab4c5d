"""Doing something at the moment when a module has been loaded."""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_logger = logging.getLogger(__name__)

Act = Callable[[Any], None]


def after_loading(acts: Mapping[str, Act]) -> None:
    """Call a function with each named module as soon as it is loaded, or now if it is.

    Guarantee: an error in the function is logged and never breaks the import.
    """
    waiting = {}
    for name, act in acts.items():
        module = sys.modules.get(name)
        spec = None if module is None else module.__spec__
        if module is None:
            waiting[name] = act
        elif spec is None or not getattr(spec, "_initializing", False):
            _perform(act, module)
    if waiting:
        sys.meta_path.insert(0, _Waiting(waiting))


class _Waiting:
    """A finder that finds what the others find, and hears when it has been loaded."""

    def __init__(self, acts: dict[str, Act]) -> None:
        self._acts = acts
        self._asking: set[tuple[str, int]] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        asking = (name, threading.get_ident())
        if name not in self._acts or asking in self._asking:
            return None
        self._asking.add(asking)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking.discard(asking)
        loader: Any = None if spec is None else spec.loader
        if loader is None:
            return spec
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            # Only now: who asks for a spec need not load it, and a loader may have many modules.
            act = self._acts.pop(name, None) if module.__name__ == name else None
            if act is not None:
                _perform(act, module)

        loader.exec_module = exec_module
        return spec


def _perform(act: Act, module: ModuleType) -> None:
    try:
        act(module)
    except Exception:
        _logger.exception("mlops-chain could not attach itself to %s", module.__name__)
