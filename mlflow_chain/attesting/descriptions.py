"""What a model's description, its ``MLmodel``, may name: files beside it, and nothing else.

MLflow joins a model's folder with paths that it reads there, and loads code and pickles from where
that leads. One that leads out of the folder names bytes that no digest binds and nobody approved.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from chain_client.errors import InvalidInput
from chain_client.manifests import ModelManifest
from mlflow_chain.files.stored import LOADING_NOTE, StoredFiles

NAME: Final = "MLmodel"

_LONGEST: Final = 4 * 1024 * 1024
_MOST_VALUES: Final = 100_000
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:/|file:", re.IGNORECASE)
"""The beginning of a URI, or of a path with a drive."""

_INSTEAD: Final = (
    "Log it again, with everything that it needs among its own files (code_paths, artifacts, "
    "save_pretrained=True), and register that"
)


class DescriptionRefused(InvalidInput):
    """An ``MLmodel`` names what does not lie beside it, or can't be read."""


def check_descriptions(
    files: StoredFiles, manifest: ModelManifest, versions: Mapping[str, str] | None = None
) -> None:
    """Check every ``MLmodel``, in whichever folder.

    Guarantee: what was checked are the bytes of the manifest, and nothing that MLflow takes from
    them for a place to load from leads out of the description's own folder.

    Args:
        files: the version's.
        manifest: of them.
        versions: which version of a file is meant, where the storage keeps versions.

    Raises:
        DescriptionRefused: one leads out, can't be read as MLflow does, or was changed meanwhile.
        FileUnreadable: one can't be read.
    """
    for entry in manifest.files:
        if entry.path.rpartition("/")[2].casefold() != NAME.casefold():
            continue
        content = files.read(entry.path, _LONGEST, (versions or {}).get(entry.path))
        if content is None and entry.size > _LONGEST:
            raise DescriptionRefused(f"{entry.path!r} is longer than {_LONGEST} bytes")
        if content is None or hashlib.sha256(content).hexdigest() != entry.sha256:
            raise DescriptionRefused(f"{entry.path!r} was changed while it was read; try again")
        found = next(ways_out(content), None)
        if found is not None:
            raise DescriptionRefused(
                f"in {entry.path!r}, {found}: MLflow would load what is not among the version's "
                f"files. {_INSTEAD}"
            )


def ways_out(content: bytes) -> Iterator[str]:
    """What in an ``MLmodel`` leads out of its folder, for people. Pure.

    What MLflow only keeps and never loads may say anything: where an artifact once came from, of
    the path of a model's code all but its last part, a configuration that is handed to the model.

    Args:
        content: of the file.
    """
    import yaml

    try:
        described = yaml.safe_load(content.decode())
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        yield f"the YAML can't be read ({type(exc).__name__})"
        return
    if not isinstance(described, Mapping):
        # MLflow can't load it.
        return
    try:
        yield from _walk(described.get("flavors"), ("flavors",), [0])
        example = described.get("saved_input_example_info")
        yield from _walk(example, ("saved_input_example_info",), [0])
    except RecursionError:
        yield "values too deep"


def _walk(value: Any, trail: tuple[str, ...], seen: list[int]) -> Iterator[str]:
    seen[0] += 1
    if seen[0] > _MOST_VALUES:
        yield f"more than {_MOST_VALUES} values"
        return
    if isinstance(value, str):
        reason = _leads_out(value)
        if reason is not None:
            yield f"{'.'.join(trail)} is {reason}"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            below = (*trail, str(key))
            if not _is_only_kept(below, inner, value):
                yield from _special(below, inner)
                yield from _walk(_last_part(below, inner), below, seen)
            if seen[0] > _MOST_VALUES:
                return
    elif isinstance(value, (list, tuple, set)):
        for place, inner in enumerate(value):
            yield from _walk(inner, (*trail, str(place)), seen)
            if seen[0] > _MOST_VALUES:
                return


def _is_only_kept(trail: tuple[str, ...], value: Any, beside: Mapping[Any, Any]) -> bool:
    """Whether MLflow keeps a value, and never loads from where it leads."""
    match trail:
        case ("flavors", "python_function", "artifacts", _, "uri"):
            return isinstance(beside.get("path"), str)
        case ("flavors", _, "config"):
            return isinstance(value, Mapping)
        case ("flavors", "transformers", "source_model_name"):
            return "source_model_revision" not in beside
    return False


def _last_part(trail: tuple[str, ...], value: Any) -> Any:
    """All that MLflow takes of the place where a model's code once was."""
    if len(trail) == 3 and trail[2] == "model_code_path" and isinstance(value, str):
        # A path that ends so has no last part that is a file's name.
        return value.replace("\\", "/").rpartition("/")[2] or "/"
    return value


def _special(trail: tuple[str, ...], value: Any) -> Iterator[str]:
    """What leads out although it is no path that does, or is one of any form."""
    shown = ".".join(trail)
    match trail:
        case ("flavors", "python_function", "config") if isinstance(value, str) and value:
            yield f"{shown} is a path"
        case ("flavors", "transformers", "local_base_model_path") if value:
            yield f"{shown} is a path"
        case ("flavors", "transformers", "source_model_revision") if value:
            yield f"{shown} names weights that a hub keeps"


def _leads_out(text: str) -> str | None:
    spelled = text
    for _ in range(4):
        path = spelled.replace("\\", "/").strip()
        parts = path.split("/")
        if path.startswith(("/", "~")):
            return "an absolute path"
        if _URI.match(path):
            return "a URI"
        if ".." in parts:
            return "a path with '..'"
        if LOADING_NOTE.casefold() in (part.casefold() for part in parts):
            return f"{LOADING_NOTE}, which MLflow writes anew with every load"
        # MLflow takes a path for a URI here and there, and decodes it.
        decoded = unquote(spelled)
        if decoded == spelled:
            return None
        spelled = decoded
    return "encoded again and again"
