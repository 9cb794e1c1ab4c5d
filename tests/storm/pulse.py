"""A plain client of the server that writes at a steady pace, and notes how long each call takes."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_PAUSE_S = 0.1
_KEY = "pulse"


@dataclass
class Pulse:
    """Calls of one metric each, with a number of its own.

    Args:
        url: of the MLflow server.
    """

    url: str
    run_id: str = ""
    calls: list[tuple[float, float]] = field(default_factory=list)
    """When each call that succeeded began, and the seconds it took."""
    acknowledged: list[int] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    """Why calls failed: the server or its worker was killed."""

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse")

    def start(self) -> None:
        """Begin, with a run of its own."""
        made = self._post("experiments/create", {"name": "pulse"})
        run = self._post("runs/create", {"experiment_id": made["experiment_id"], "start_time": 1})
        self.run_id = run["run"]["info"]["run_id"]
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def parted(self, outages: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
        """Seconds of the calls without an outage of the chain, and of those within one."""
        without: list[float] = []
        within: list[float] = []
        for began, seconds in self.calls:
            is_within = any(start <= began < end for start, end in outages)
            (within if is_within else without).append(seconds)
        return sorted(without), sorted(within)

    def _run(self) -> None:
        number = 0
        while not self._end.wait(_PAUSE_S):
            began = time.monotonic()
            body = {"run_id": self.run_id, "key": _KEY, "value": float(number), "step": number}
            try:
                self._post("runs/log-metric", body | {"timestamp": 1_700_000_000_000 + number})
            except OSError as exc:
                self.refused[str(exc)[:80]] += 1
            else:
                self.calls.append((began, time.monotonic() - began))
                self.acknowledged.append(number)
            number += 1

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - a server of ours on the loopback
            f"{self.url}/api/2.0/mlflow/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
                return dict(json.load(reply))
        except urllib.error.HTTPError as exc:
            with exc, contextlib.suppress(OSError):
                exc.read()
            raise OSError(f"{path}: {exc.code}") from None
        except (ValueError, ConnectionError) as exc:
            raise OSError(str(exc)) from exc
        except Exception as exc:  # a reply that breaks off has many shapes
            raise OSError(type(exc).__name__) from exc
