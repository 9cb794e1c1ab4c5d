"""Distributions with plugins, as an installer leaves them in a folder; nothing is installed.

The folder is put on the path of a process (``monkeypatch.syspath_prepend``, or ``PYTHONPATH`` for
another process), which then finds them as any that is installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def write_distribution(
    folder: Path,
    name: str,
    *,
    modules: Mapping[str, str],
    plugins: Mapping[str, str],
    version: str = "1.0",
) -> None:
    """Write a distribution.

    Args:
        folder: to be on the path.
        name: of the distribution.
        modules: source by the module's name. Names should be unlike those of other tests.
        plugins: what each entry point names, by its name.
        version: of the distribution.
    """
    for module, source in modules.items():
        file = folder / f"{module.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source), encoding="utf-8")
    described = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    described.mkdir(parents=True, exist_ok=True)
    (described / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    entries = "\n".join(f"{entry} = {value}" for entry, value in plugins.items())
    (described / "entry_points.txt").write_text(f"[mlops_chain]\n{entries}\n", encoding="utf-8")
    importlib.invalidate_caches()
