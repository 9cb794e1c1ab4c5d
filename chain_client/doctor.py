"""Everything a support engineer would ask first, as a list of checks."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

from chain_client.client import ChainClient
from chain_client.clock import SystemClock
from chain_client.config import DEFAULT_INBOX, DEFAULT_SPOOL
from chain_client.deploying.examining import (
    endpoint_urls,
    examine_balances,
    examine_endpoint,
    find_wrong_keys,
)
from chain_client.deploying.examining_network import SECOND_LOOK
from chain_client.deploying.joining import missing_here
from chain_client.deploying.owner import find_address, is_network
from chain_client.errors import ChainError, LedgerUnavailable
from chain_client.gate.decision import MAX_CLOCK_LAG_S
from chain_client.home import OWNER_KEY
from chain_client.hosts import ENTRY_POINT_GROUP, load_host
from chain_client.ledger import JsonRpcLedger
from chain_client.ledger.model_registry import REGISTRAR_ROLE
from chain_client.ledger.registry_deployment import find_admins
from chain_client.log import EntryStatus
from chain_client.log.payload_mark import CURSOR
from chain_client.owners import SHARED_LEASE_S, is_shared
from chain_client.plugin_host import get_plugin_host
from chain_client.relay.inbox_assembly import examine_inbox
from chain_client.relay.lock import is_relay_running
from chain_client.signing import open_signer
from chain_client.sqlite_files import find_dangers
from chain_client.status import read_status
from chain_client.types import to_hex
from chain_client.verify.report import Check

_ENOUGH_DISK_BYTES = 1 << 30
_ASIDE_ALARMS = {"spool_corrupt", "source_unreadable", "source_foreign", "source_damaged"}
_KEYSTORE = "keystore:"
_SQLITE = "sqlite:///"
_PACKAGES = ("mlops-chain", "mlflow", "apache-airflow", "py-evm", "sqlalchemy")


_ENDPOINT = "endpoint "
_ASK_CHAIN = {"rights", "balances", "clock", "registry"}
"""Checks of nothing but what the chain says."""

_Examination = Callable[[ChainClient], tuple[bool, str]]


def examine(client: ChainClient) -> Iterator[Check]:
    """Carry out every check; one that fails stops no other.

    A chain that does not answer is said once: what would have to ask it is not carried out.
    """
    is_down, one_endpoint = False, len(endpoint_urls(client.settings)) == 1
    examinations = list(_EXAMINATIONS)
    if is_network(client.settings):
        after = [name for name, _ in examinations].index("chain") + 1
        examinations[after:after] = _network_examinations(client)
    for name, examination in examinations:
        if is_down and (name in _ASK_CHAIN or (one_endpoint and name.startswith(_ENDPOINT))):
            yield Check(name, False, "not examined, as the chain does not answer", False)
            continue
        try:
            problem, detail = examination(client)
        except (ChainError, OSError) as exc:
            problem, detail = True, str(exc)
            is_down = is_down or (name == "chain" and isinstance(exc, LedgerUnavailable))
        yield Check(name, not problem, detail)


def _network_examinations(client: ChainClient) -> Iterator[tuple[str, _Examination]]:
    """Each endpoint alone, and what the chain says of the home's keys."""
    for number, url in enumerate(endpoint_urls(client.settings), 1):
        yield f"{_ENDPOINT}{number}", partial(_endpoint, url)
    yield "rights", _rights
    yield "balances", _balances


def _endpoint(url: str, client: ChainClient) -> tuple[bool, str]:
    report = examine_endpoint(client.settings, client.deployment, url)
    return report.is_slow, f"{report.url}: {report.describe()}"


def _rights(client: ChainClient) -> tuple[bool, str]:
    wrong = list(
        find_wrong_keys(
            client.settings, client.deployment, client.ledger, anchors=_anchors_here(client)
        )
    )
    return bool(wrong), "\n".join(wrong) or "each key of this home may do what it is for"


def _balances(client: ChainClient) -> tuple[bool, str]:
    return examine_balances(client.settings, client.ledger, anchors=_anchors_here(client))


def _anchors_here(client: ChainClient) -> bool:
    return client.settings.relay_anchor != "never"


def _versions(client: ChainClient) -> tuple[bool, str]:
    found = [f"Python {sys.version.split()[0]}", f"SQLite {sqlite3.sqlite_version}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return sys.version_info < (3, 11), ", ".join(found)


def _home(client: ChainClient) -> tuple[bool, str]:
    client.folder.create_folders()
    free = shutil.disk_usage(client.home).free
    return free < _ENOUGH_DISK_BYTES, f"{client.home} is writable, {free / 1e9:.1f} GB free"


def _keys(client: ChainClient) -> tuple[bool, str]:
    open_files = [
        file.name
        for file in client.folder.keys.iterdir()
        if stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    if open_files:
        names = ", ".join(sorted(open_files))
        return True, f"others can read {names}: run chmod 600 on the files in {client.folder.keys}"
    if client.folder.is_joined():
        return False, _of_joined(client)
    wanted = [client.settings.log_writer]
    if client.deployment.registry is not None:
        wanted += [client.settings.registry_registrar, client.settings.registry_submitter]
    missing = [uri.rpartition("/")[2] for uri in wanted if not client.folder.has_key(uri)]
    if missing:
        return True, f"{', '.join(missing)} is missing: put it back from your backup"
    for uri in wanted:
        open_signer(uri, base=client.home).address()
    if not (client.home / OWNER_KEY.removeprefix(_KEYSTORE)).exists():
        return False, "readable by their owner only; the owner's key is kept elsewhere"
    return False, "readable by their owner only"


def _of_joined(client: ChainClient) -> str:
    lacking = missing_here(client.settings)
    if not lacking:
        return "readable by their owner only; this home has them all"
    shown = "; ".join(f"without {name} it can't {what}" for name, what in lacking.items())
    return f"readable by their owner only; {shown}"


def _chain(client: ChainClient) -> tuple[bool, str]:
    from chain_client.ledger.deployment import check_deployment

    check_deployment(client.ledger, client.deployment)
    block = client.ledger.block()
    whole = "contract is" if client.deployment.registry is None else "contracts are"
    text = f"chain {client.deployment.chain_id} at block {block.number}, {whole} whole"
    if isinstance(client.ledger, JsonRpcLedger):
        client.ledger.block("finalized")
        text += SECOND_LOOK[client.ledger.second_look.last_kind or "none"]
        late = client.ledger.late_endpoints()
        return bool(late), "; ".join([text, *late])
    return False, text


def _clock(client: ChainClient) -> tuple[bool, str]:
    ahead_s = client.ledger.block().timestamp_s - SystemClock().time_us() // 1_000_000
    if ahead_s > MAX_CLOCK_LAG_S:
        return True, (
            f"this machine's clock is {ahead_s} s behind the newest block: set it, or nothing "
            "gated is allowed"
        )
    return False, "not behind the newest block" if ahead_s <= 0 else f"{ahead_s} s behind"


def _registry(client: ChainClient) -> tuple[bool, str]:
    if client.deployment.registry is None:
        return False, "this home has none yet; mlops-chain init makes it"
    registry = client.model_registry
    if client.folder.registry_salt.exists() or not client.folder.is_joined():
        client.salt.check(registry.salt_hash())
    successor = registry.successor()
    if successor is not None:
        return True, f"it was succeeded by {to_hex(successor)}: use the home of that one"
    if registry.paused():
        return True, "it is paused: nothing is promoted until an admin ends that"
    beside = _admins_beside_timelock(client)
    if beside:
        return True, (
            f"{', '.join(beside)} can administer it beside the timelock, without any delay: let "
            "them be revoked (`mlops-chain role revoke admin ADDRESS`) or renounce it"
        )
    if find_address(client.folder, client.settings.registry_registrar) is None:
        return False, "the code is whole; the registrar's key is kept elsewhere"
    registrar = open_signer(client.settings.registry_registrar, base=client.home).address()
    if not registry.has_role(REGISTRAR_ROLE, registrar):
        return True, (
            f"the key {to_hex(registrar)} may not register versions: let an admin grant it the "
            "role registrar"
        )
    found = "the code, the salt and the registrar's right are whole"
    approvers = _approver_keys(client)
    if approvers and any(binding.served for binding in client.folder.bindings()):
        found += (
            f"; warning: {', '.join(approvers)} in {client.folder.keys} can approve, and a server "
            "uses this home: who breaks into the server approves too. Keep such keys elsewhere"
        )
    return False, found


def _admins_beside_timelock(client: ChainClient) -> list[str]:
    timelock = client.deployment.timelock
    if timelock is None:
        return []
    first = client.deployment.registry_block or 0
    found = find_admins(client.ledger, client.model_registry, first)
    return [to_hex(account) for account in sorted(found - {timelock})]


def _approver_keys(client: ChainClient) -> list[str]:
    """Names of keystores in the home whose keys are members of a group of approvers."""
    files = {}
    for file in client.folder.keys.glob("*.json"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            address = str(json.loads(file.read_text("utf-8")).get("address", ""))
            files[bytes.fromhex(address.removeprefix("0x"))] = file.name
    registry, members = client.model_registry, dict[tuple[bytes, bytes], bool]()
    latest = client.ledger.block().number
    for event in registry.events(client.deployment.registry_block or 0, latest):
        if event.name in ("ApproverAdded", "ApproverRemoved"):
            member = (event.args["group"], event.args["account"])
            members[member] = event.name == "ApproverAdded"
    approving = {account for (_, account), is_member in members.items() if is_member}
    return sorted(name for address, name in files.items() if address in approving)


def _log(client: ChainClient) -> tuple[bool, str]:
    from chain_client.head_check import read_checked_head

    said = f"{client.log.size()} entries in {client.log.engine.dialect.name}"
    try:
        head = read_checked_head(client.log, client.contract, client.deployment.log_id)
    except LedgerUnavailable:
        return False, f"{said}; how many are on chain could not be asked"
    return False, f"{said}, {head.size} of them on chain"


def _payloads(client: ChainClient) -> tuple[bool, str]:
    kept = client.log.payloads
    if kept.place is None:
        if client.log.cursor(CURSOR) is not None:
            kept.store()  # which says what is missing
        return False, "events are kept in the log's database"
    kept.check()
    whose = "is this log's" if client.log.cursor(CURSOR) is not None else "was never used"
    least = kept.place.from_bytes
    size = f" of {least:,} bytes or more" if least else ""
    return False, f"events{size} are kept in {kept.store().uri}, which answers and {whose}"


def _cross(client: ChainClient) -> tuple[bool, str]:
    from chain_client.cross.standing import examine_cross

    place = client.find_cross_place()
    if place is None:
        return False, "heads are anchored on no second chain"
    try:
        size = client.contract.head(client.deployment.log_id, at="finalized").size
    except LedgerUnavailable:
        final = client.log.latest_head(EntryStatus.FINALIZED)
        size = 0 if final is None else final.size
    return examine_cross(place, client.settings, size, SystemClock().time_us() / 1e6)


def _spool(client: ChainClient) -> tuple[bool, str]:
    places = (client.folder.spool, client.settings.inbox_path)
    aside = {
        place: [file for name in ("corrupt", "aside") for file in (place / name).glob("*")]
        for place in places
    }
    said = [
        f"{len(files)} damaged or refused pieces are kept in {place}"
        for place, files in aside.items()
        if files
    ]
    # What somebody has acknowledged needs nobody any more, though it is kept.
    standing = {alarm.kind for alarm in client.log.alarms()} if said else set()
    said = said or ["nothing was damaged"]
    if client.settings.spool_folder != DEFAULT_SPOOL:
        said.append(f"the spool is {client.folder.spool}")
    if is_shared(client.folder.spool):
        said.append(
            f"warning: {client.folder.spool} is on a file system that machines may share: a "
            f"recorder there that is killed is known to be gone after {SHARED_LEASE_S:.0f} s"
        )
    inbox, in_store = client.settings.inbox_path, client.settings.inbox_uri is not None
    if not in_store and client.settings.relay_inbox != DEFAULT_INBOX and not inbox.is_dir():
        said.append(f"warning: relay.inbox {inbox} does not exist")
    return bool(standing & _ASIDE_ALARMS), "; ".join(said)


def _relay(client: ChainClient) -> tuple[bool, str]:
    running = is_relay_running(client.folder.relay_lock)
    found = read_status(client)
    waiting = (found.spooled_events or 0) + sum(
        count
        for name, count in (found.counts or {}).items()
        if name not in ("finalized", "spooled")
    )
    if waiting and not running:
        return True, f"{waiting} events wait and no relay runs: run `mlops-chain relay --once`"
    return False, f"{'running' if running else 'not running'}, {waiting} events wait"


def _files(client: ChainClient) -> tuple[bool, str]:
    found = find_dangers(client.home, "the home")
    for binding in client.folder.bindings():
        if binding.uri.startswith(_SQLITE):
            path = Path(binding.uri.removeprefix(_SQLITE).partition("?")[0])
            found += find_dangers(path, f"{binding.adapter}'s database")
    if found:
        return False, "; ".join(f"warning: {danger}" for danger in found)
    return False, "no database is in a place, or a mode, in which SQLite is known to lose data"


def _alarms(client: ChainClient) -> tuple[bool, str]:
    found = client.log.alarms()
    if found:
        return True, "\n".join(f"{a.kind} {a.subject}: {a.detail}" for a in found)
    return False, "none"


def _adapters(client: ChainClient) -> tuple[bool, str]:
    names = sorted(e.name for e in entry_points(group=ENTRY_POINT_GROUP))
    used = {binding.adapter for binding in client.folder.bindings()}
    for name in used:
        load_host(name)
    return False, f"installed: {', '.join(names)}; in use: {', '.join(sorted(used)) or 'none'}"


def _plugins(client: ChainClient) -> tuple[bool, str]:
    host = get_plugin_host()
    found, conflicts = host.plugins(), host.conflicts()
    broken = [
        f"{plugin.describe()} can't be used: {plugin.error}"
        for plugin in found
        if plugin.error is not None and not plugin.is_off
    ]
    others = sorted({f"{p.distribution} {p.version}".rstrip() for p in found if not p.is_own})
    wrong = "\n".join([*broken, *conflicts])
    return bool(wrong), wrong or f"{len(found)}, of others: {', '.join(others) or 'none'}"


_EXAMINATIONS: tuple[tuple[str, _Examination], ...] = (
    ("versions", _versions),
    ("home", _home),
    ("files", _files),
    ("keys", _keys),
    ("chain", _chain),
    ("clock", _clock),
    ("registry", _registry),
    ("log", _log),
    ("payloads", _payloads),
    ("cross", _cross),
    ("spool", _spool),
    ("inbox", lambda client: examine_inbox(client.settings)),
    ("adapters", _adapters),
    ("plugins", _plugins),
    ("relay", _relay),
    ("alarms", _alarms),
)
