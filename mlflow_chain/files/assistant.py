"""MLflow's assistant installs skills into any folder that a caller on the server's machine names.

It writes them by itself, past every repository. So it is asked about like one.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

from mlflow_chain.files.write_once import refuse_to_change
from mlflow_chain.stores.reclassing import find_recording

_API = "mlflow.server.assistant.api"
_GUARDED = "_mlops_chain_guarded"


def guard_assistant() -> None:
    """Let the assistant of this server write no file where attested ones lie.

    Guarantee: without an assistant, or without a recorded store, nothing changes.
    """
    api = sys.modules.get(_API)
    install = getattr(api, "install_skills", None)
    if api is None or install is None or hasattr(install, _GUARDED):
        return

    @functools.wraps(install)
    def install_elsewhere(destination_path: Any, *args: Any, **kwargs: Any) -> Any:
        recording = _recording()
        if recording is not None:
            folder = os.path.realpath(Path(destination_path).expanduser())
            refuse_to_change(recording, [(folder, True)])
        return install(destination_path, *args, **kwargs)

    setattr(install_elsewhere, _GUARDED, True)
    api.install_skills = install_elsewhere  # type: ignore[attr-defined]


def _recording() -> Any:
    handlers: Any = sys.modules["mlflow.server.handlers"]
    source = find_recording(handlers._get_tracking_store())
    return None if source is None else source.current()
