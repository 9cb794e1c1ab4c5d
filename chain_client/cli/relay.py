"""``mlops-chain relay``."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import click

from chain_client.cli.output import (
    console,
    counted,
    json_option,
    open_client,
    print_json,
    print_rows,
    progress_bars,
    read_variable,
    shorten,
)
from chain_client.client import ChainClient
from chain_client.clock import SystemClock
from chain_client.config import Settings
from chain_client.errors import AnotherRelay, ChainError, LogUnavailable
from chain_client.log import EntryStatus, LogHead
from chain_client.relay.anchor import Anchored
from chain_client.relay.daemon import Daemon, stop_by_signal
from chain_client.relay.http import HealthServer, parse_address
from chain_client.relay.notify import Notifier
from chain_client.relay.round import Round
from chain_client.relay.service import Relay
from chain_client.types import SourceId, to_hex
from chain_client.verify import read_spooled
from chain_client.wishes import Wishes

_logger = logging.getLogger(__name__)
_NICENESS = 10
_LOOK_S = 0.2
_HANGS_S = 60.0
"""A relay whose last round is longer ago is not ready."""
_STOPPING = ("chain", "head", "foreign_nonce", "nonce_gap")
"""Alarms of what keeps a relay from anchoring."""


@click.command()
@click.option("--once", is_flag=True, help="Anchor everything spooled so far, then end.")
@click.option("--until-idle", is_flag=True, help="End when there is nothing more to do.")
@click.option(
    "--standby",
    is_flag=True,
    help="Where a relay of this home works, wait for its end and take over.",
)
@click.option(
    "--patience",
    "patience_s",
    default=60.0,
    show_default=True,
    help="Seconds that --once waits for a chain that does not answer, or for finality.",
)
@json_option
@click.pass_obj
def relay(
    home: Path | None,
    once: bool,
    until_idle: bool,
    standby: bool,
    patience_s: float,
    as_json: bool,
) -> None:
    """Move what is recorded into the log and onto the chain.

    Without options it runs in the foreground until it is stopped: SIGTERM or Ctrl-C end it after
    the round it is in, a second one at once. One relay works for a home at a time: a second one
    is refused, or waits with `--standby`, and `--once` waits for the first to do the work. Of
    several relays that feed one log, one anchors and the others stand by.

    \b
    Examples:
      mlops-chain relay --once      everything spooled so far is anchored and final
      mlops-chain relay             as a service, with /healthz and /metrics
      mlops-chain relay --standby   takes over when the relay of this home ends
    """
    client = open_client(home)
    if once:
        _drain(client, patience_s, as_json)
        return
    if until_idle:
        os.nice(_NICENESS)
    if logging.getLogger().level > logging.INFO:
        # A service tells its story in the log; --once reports on standard output.
        logging.getLogger("chain_client").setLevel(logging.INFO)
    service = client.relay()
    totals = {"entries": 0, "anchors": 0, "gas_used": 0}
    service.on_anchored = lambda anchored: _count(totals, anchored)
    stop_by_signal(service.stop)
    daemon = Daemon(
        service,
        None if until_idle else _make_health(client.settings, service),
        # One that a recorder started is no service: the variable is of the recorder's own.
        Notifier(None if until_idle else read_variable("NOTIFY_SOCKET")),
        SystemClock(),
    )
    try:
        with daemon:
            if not standby:
                _start(service)
            elif not service.start_when_free(daemon.after_round):
                return
            _logger.info(
                "relay of %s began (process %d): %s", client.home, os.getpid(), service.role
            )
            service.run(until_idle=until_idle, on_round=daemon.after_round)
        if as_json:
            _report(client, totals, as_json)
        _logger.info("relay of %s ended", client.home)
    except AnotherRelay:
        if not until_idle:
            raise
        # Two recorders may start a relay at once: the other one does the work.
        if as_json:
            print_json({"ok": True, "another_relay": True})
    finally:
        service.close()
        client.close()


def _start(service: Relay) -> None:
    try:
        service.start()
    except AnotherRelay as exc:
        raise AnotherRelay(
            f"{exc}; or wait for its end, and take over then, by: mlops-chain relay --standby"
        ) from exc


def _make_health(settings: Settings, service: Relay) -> HealthServer | None:
    address = parse_address(settings.relay_http)
    if address is None:
        return None
    limit_s = max(_HANGS_S, settings.relay_lease_s)
    return HealthServer(address, service.tally, SystemClock(), limit_s)


def _drain(client: ChainClient, patience_s: float, as_json: bool) -> None:
    deadline = time.monotonic() + patience_s
    totals = {"entries": 0, "anchors": 0, "gas_used": 0}
    read = 0
    others: _OthersWork | None = None
    with progress_bars(shown=not as_json) as progress:

        def on_anchored(anchored: Anchored) -> None:
            _count(totals, anchored)
            progress("anchoring entries", anchored.size, client.log.size())

        def on_round(done: Round) -> None:
            nonlocal read
            read += done.entries
            progress("reading the spool", read, read)

        while True:
            service = client.relay()
            service.on_anchored = on_anchored
            try:
                service.start()
            except AnotherRelay as exc:
                # Another relay does the work; if it ends or dies meanwhile, we do it.
                others = others or _OthersWork(client)
                if others.is_done():
                    break
                if time.monotonic() > deadline:
                    raise AnotherRelay(
                        f"another relay works, and is not done after {patience_s:g} s: "
                        f"{_find_hindrance(client) or exc}"
                    ) from exc
                time.sleep(_LOOK_S)
                continue
            try:
                service.drain(patience_s=max(0.0, deadline - time.monotonic()), on_round=on_round)
                break
            finally:
                service.close()
    _report(client, totals, as_json)


def _find_hindrance(client: ChainClient) -> str | None:
    """What keeps every relay of the home from its work; None if nothing is known to."""
    try:
        client.contract.head(client.deployment.log_id)
        standing = [alarm for alarm in client.log.alarms() if alarm.kind in _STOPPING]
    except ChainError as exc:
        return str(exc)
    return "; ".join(f"alarm {alarm.kind}: {alarm.detail}" for alarm in standing) or None


class _OthersWork:
    """What another relay has to do until all that is spooled now is final."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client
        self._wanted: dict[bytes, set[int]] | None = None
        self._wished: set[str] | None = None
        self._size: int | None = None

    def is_done(self) -> bool:
        """Whether it has done it; calls that are still running are not waited for."""
        log = self._client.log
        try:
            if not self._is_taken():
                return False
            if self._wished is None:
                self._wished = self._wishes()
                if self._wished:
                    self._wanted = None  # what is read back is recorded too
            self._wished &= self._wishes()
            if self._wished or not self._is_taken():
                return False
            if self._size is None:
                self._size = log.size()
            final = log.latest_head(EntryStatus.FINALIZED)
            return (final.size if final else 0) >= self._size
        except LogUnavailable:
            return False

    def _wishes(self) -> set[str]:
        """What it can read back, and has not tried yet."""
        return {
            wish.to_name()
            for wish in Wishes(self._client.folder.read_back).read()
            if not wish.tries
            and (
                wish.source_id is None
                or wish.sequence is None
                or self._client.log.known(SourceId(bytes.fromhex(wish.source_id)), [wish.sequence])
            )
        }

    def _is_taken(self) -> bool:
        """Whether the log has what was spooled when this was first asked."""
        log = self._client.log
        if self._wanted is None:
            self._wanted = read_spooled(
                self._client.folder.spool,
                log,
                self._client.deployment_id,
                inbox=self._client.settings.inbox_path,
            ).settled
        for source_id, sequences in list(self._wanted.items()):
            sequences -= log.known(SourceId(source_id), sequences)
            if not sequences:
                del self._wanted[source_id]
        return not self._wanted


def _count(totals: dict[str, int], anchored: Anchored) -> None:
    totals["entries"] += anchored.entries
    totals["anchors"] += 1
    totals["gas_used"] += anchored.gas_used


def _report(client: ChainClient, totals: dict[str, int], as_json: bool) -> None:
    final = client.log.latest_head(EntryStatus.FINALIZED)
    deployment = client.deployment
    document = {
        "ok": True,
        "size": final.size if final else 0,
        "root": to_hex(final.root) if final else None,
        "block": final.block_number if final else None,
        "transaction": _transaction(client, final) if final else None,
        "chain_id": deployment.chain_id,
        "event_log": to_hex(deployment.event_log),
        **totals,
    }
    client.close()
    if as_json:
        print_json(document)
        return
    if final is None:
        console().print("nothing is recorded yet")
        return
    size = counted(final.size, "entry", "entries")
    rows = [
        ("[green]final[/]", f"{size} in block {document['block']}"),
        ("chain", f"{document['chain_id']}, EventLog at {document['event_log']}"),
        ("root", shorten(str(document["root"]))),
    ]
    if document["transaction"] is not None:
        rows.append(("transaction", shorten(str(document["transaction"]))))
    if totals["anchors"]:
        entries = counted(totals["entries"], "new entry", "new entries")
        sent = counted(totals["anchors"], "transaction")
        rows.append(("this call", f"{entries}, {sent}, {totals['gas_used']:,} gas"))
    print_rows(rows)


def _transaction(client: ChainClient, final: LogHead) -> str | None:
    """Hash of the transaction that put a final head on chain, read from the chain."""
    block = final.block_number
    if block is None:
        return None
    for found in client.contract.heads(client.deployment.log_id, block, block):
        if found.head.size == final.size:
            return to_hex(found.tx_hash)
    return None
