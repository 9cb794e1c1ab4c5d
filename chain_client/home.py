"""The home folder: where what belongs to one deployment lies on disk."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chain_client.errors import ConfigurationError, HomeNotWritable
from chain_client.hosts import StoreBinding
from chain_client.mounts import WITHOUT_FOLDERS, find_file_system
from chain_client.wishes import Wishes

OWNER_KEY = "keystore:keys/owner.json"
"""Deploys the contract, opens logs and rotates their writer."""
WRITER_KEY = "keystore:keys/log-writer.json"
"""Anchors heads, unless `log.writer` names another one; the relay's only key."""
_KEYSTORE = "keystore:"


class Home:
    """Paths of a home, and its small files.

    Args:
        path: absolute path of the folder; need not exist.
        spool: absolute path of the spool's folder, if it is not in the home (`spool.folder`).
    """

    def __init__(self, path: Path, spool: Path | None = None) -> None:
        self.path = path
        self.deployment_file = path / "deployment.json"
        self.cross_deployment_file = path / "cross-deployment.json"
        self.deploying_file = path / "deploying.json"
        self.joined_file = path / "joined.json"
        self.keys = path / "keys"
        self.registry_salt = self.keys / "registry-salt"
        self.gate_seal = self.keys / "gate-seal"
        self.gate_snapshot = path / "gate" / "snapshot.json"
        self.chain = path / "chain"
        self.spool = spool or path / "spool"
        """Where processes record; what says who reads it lies with it, for homes may share it."""
        self.shares_spool = self.spool != path / "spool"
        beside = self.spool if self.shares_spool else path
        self.stores = path / "stores"
        self.read_back = path / "read-back"
        self.ingester_file = beside / "ingester-id"
        self.relay_lock = beside / "relay.lock"
        self.relay_log = path / "relay.log"
        self._addresses: dict[str, tuple[tuple[int, int, int], StoreBinding]] = {}

    def exists(self) -> bool:
        """Whether a deployment was finished here."""
        return self.deployment_file.exists()

    def is_joined(self) -> bool:
        """Whether the home was made by `join`, and so need not have every key, nor the salt."""
        return self.joined_file.exists()

    def has_key(self, uri: str) -> bool:
        """Whether a key can be used here; of one that is no file, nothing is asked.

        Args:
            uri: such as a setting names it.
        """
        return not uri.startswith(_KEYSTORE) or (self.path / uri.removeprefix(_KEYSTORE)).exists()

    def had_registry(self) -> bool:
        """Whether files are here that only a home with a registry has."""
        return os.path.lexists(self.registry_salt) or os.path.lexists(self.gate_snapshot)

    def create_folders(self) -> None:
        """Make the folders, private to their owner, where they are missing.

        A spool elsewhere is not made, as a mount that is missing must not look like an empty one.
        With such a spool the home itself may be read-only: nothing is recorded in it.

        Raises:
            HomeNotWritable: a folder can't be made or written.
            ConfigurationError: the spool lies where none can work.
        """
        if self.shares_spool:
            self._check_spool()
            if self.exists() and not os.access(self.path, os.W_OK):
                return
        try:
            own = () if self.shares_spool else (self.spool,)
            for folder in (self.path, self.keys, self.chain, *own, self.stores):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _probe(self.path)
        except OSError as exc:
            raise HomeNotWritable(
                f"the home {self.path} can't be written ({exc.strerror or exc}); make it "
                "writable, or name another folder with MLOPS_CHAIN_HOME"
            ) from exc

    def _check_spool(self) -> None:
        file_system = find_file_system(self.spool)
        if file_system in WITHOUT_FOLDERS:
            raise ConfigurationError(
                f"spool.folder {self.spool} is on {file_system}, which keeps whole objects: a file "
                "there can't grow in place, and a folder can't be renamed. Take a file system, or "
                "record on a local disk and hand the spool over (see ephemeral-workers.md)"
            )
        try:
            _probe(self.spool)
        except FileNotFoundError as exc:
            raise HomeNotWritable(
                f"spool.folder {self.spool} does not exist: mount it, or make it"
            ) from exc
        except OSError as exc:
            raise HomeNotWritable(
                f"spool.folder {self.spool} can't be written ({exc.strerror or exc})"
            ) from exc

    @contextlib.contextmanager
    def locked(self, folder: Path | None = None) -> Iterator[None]:
        """Hold the home's lock: only one process sets a home up at a time.

        Args:
            folder: another one to lock in its place.
        """
        place = folder or self.path
        try:
            descriptor = os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise HomeNotWritable(f"{place} can't be written ({exc.strerror or exc})") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def ingester_id(self) -> str:
        """Id of this home as one that feeds a log, which it may share; made when first asked for.

        Guarantee: two processes that ask at once get the same.

        Raises:
            HomeNotWritable: it can't be made.
            ConfigurationError: the file is damaged.
        """
        if not self.ingester_file.exists():
            with self.locked(self.ingester_file.parent):
                if not self.ingester_file.exists():
                    write_private(self.ingester_file, secrets.token_hex(8))
        found = self.ingester_file.read_text(encoding="utf-8").strip()
        if not re.fullmatch("[0-9a-f]{16}", found):
            raise ConfigurationError(
                f"{self.ingester_file} is damaged: expected 16 hexadecimal digits. Stop this "
                "home's relay and remove the file; a new id is made"
            )
        return found

    def known_ingester_id(self) -> str | None:
        """The id of `ingester_id` if this home has one; None if no relay ever read its spool."""
        try:
            found = self.ingester_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
        return found or None

    def put_store(self, binding: StoreBinding) -> None:
        """Remember how the relay reaches a host's database (a file of mode 0600).

        Raises:
            HomeNotWritable: the file can't be written.
        """
        content = json.dumps(
            {"store_id": binding.store_id, "adapter": binding.adapter, "uri": binding.uri}
        )
        write_private(self.stores / f"{binding.store_id}.json", content)

    def put_served(self, store_id: str, artifacts: str | None) -> None:
        """Remember that a server has a database open, and where it keeps its clients' files.

        Guarantee: what was remembered before stays. Servers with several destinations may have
        the same database open, one after the other or at the same time.

        Args:
            store_id: of the database.
            artifacts: where; None if it keeps none.

        Raises:
            HomeNotWritable: the file can't be written.
        """
        content = json.dumps({"artifacts": artifacts})
        name = hashlib.sha256(content.encode()).hexdigest()[:16]
        write_private(self.stores / f"{store_id}.served-{name}", content)

    def _served(self, store_id: str) -> tuple[bool, tuple[str, ...]]:
        """Whether a server had it open, and every destination, as they were first seen."""
        files = list(self.stores.glob(f"{store_id}.served-{'[0-9a-f]' * 16}"))
        found: list[str] = []
        for file in sorted(files, key=lambda file: (file.stat().st_mtime_ns, file.name)):
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if content["artifacts"] is not None:
                found.append(str(content["artifacts"]))
        return bool(files), tuple(found)

    def addresses(self) -> list[StoreBinding]:
        """Every host database that records here, and how it is reached, nothing else.

        A file is read again only when it changed, so this stays quick among many databases.

        Raises:
            ConfigurationError: a file is damaged.
        """
        found: dict[str, tuple[tuple[int, int, int], StoreBinding]] = {}
        known = self._addresses
        with contextlib.suppress(FileNotFoundError), os.scandir(self.stores) as entries:
            for entry in entries:
                if not entry.name.endswith(".json"):
                    continue
                stat = entry.stat()
                version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                before = known.get(entry.name)
                if before is None or before[0] != version:
                    before = (version, StoreBinding(*_read_address(Path(entry.path))))
                found[entry.name] = before
        self._addresses = found
        return [binding for _, binding in found.values()]

    def bindings(self) -> list[StoreBinding]:
        """Every host database that records here.

        Raises:
            ConfigurationError: a file is damaged.
        """
        found = []
        waiting = Wishes(self.read_back).by_store()
        for file in sorted(self.stores.glob("*.json")):
            store_id, adapter, uri = _read_address(file)
            try:
                served, artifacts = self._served(store_id)
            except (OSError, ValueError, KeyError, TypeError) as exc:
                raise _damaged(file) from exc
            waits = tuple(waiting.get(store_id, ()))
            found.append(StoreBinding(store_id, adapter, uri, artifacts, served, waits))
        return found


def _probe(folder: Path) -> None:
    """See that files can be made there.

    Raises:
        OSError: they can't.
    """
    # Not named by the process: another thread of it may look at the same time.
    descriptor, probe = tempfile.mkstemp(prefix=".probe-", dir=folder)
    os.close(descriptor)
    Path(probe).unlink()


def _read_address(file: Path) -> tuple[str, str, str]:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content["store_id"], content["adapter"], content["uri"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise _damaged(file) from exc


def _damaged(file: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{file} is damaged; remove it: it is written again when its database is next opened "
        "with chain+…"
    )


def write_private(target: Path, content: str) -> None:
    """Write a small private file, durably and whole or not at all.

    Raises:
        HomeNotWritable: it can't be written.
    """
    try:
        if target.exists() and target.read_text(encoding="utf-8") == content:
            return
        # Not named by the process: in two containers that share the home both may be number 1.
        descriptor, temporary = tempfile.mkstemp(prefix=f"{target.name}.tmp", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise HomeNotWritable(f"{target} can't be written ({exc.strerror or exc})") from exc
