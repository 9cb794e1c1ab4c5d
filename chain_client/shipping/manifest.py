"""What a shipped source says of its own files, so that the receiver knows that it is whole. Pure.

A source arrives as a folder named by its id in hex, with its segments and this file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chain_client.types import SourceId

MANIFEST_NAME = "parcel.json"
STAGED_PREFIX = ".shipping-"
"""Before a folder's name while it is brought, and so is nobody's to read."""
_KIND = "mlops-chain parcel"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's size in bytes, and the SHA-256 of its bytes in hex."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The segments of a source by file name."""

    source_id: SourceId
    segments: Mapping[str, Segment]

    def to_bytes(self) -> bytes:
        """The file's content: the same for the same segments."""
        content = {
            "kind": _KIND,
            "version": _VERSION,
            "source": self.source_id.hex(),
            "segments": {
                name: {"size": item.size_bytes, "sha256": item.sha256}
                for name, item in sorted(self.segments.items())
            },
        }
        return json.dumps(content, indent=1).encode()

    def digest(self) -> str:
        """Hex text that no other content has."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """The inverse of `to_bytes`.

        Raises:
            ValueError: it is damaged, or of a later version.
        """
        try:
            content: dict[str, Any] = json.loads(data)
            if content["kind"] != _KIND or content["version"] != _VERSION:
                raise ValueError("not a manifest of this version")
            segments = {
                str(name): Segment(int(item["size"]), str(item["sha256"]))
                for name, item in content["segments"].items()
            }
            return cls(SourceId(bytes.fromhex(content["source"])), segments)
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
            raise ValueError("the manifest is damaged") from exc


def staged_name(manifest: Manifest) -> str:
    """Name of the folder in which a source is brought: the same content has the same name."""
    return f"{STAGED_PREFIX}{manifest.source_id.hex()}-{manifest.digest()[:16]}"
