"""``mlops-chain airflow``: what is done beside Airflow, outside of its processes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from chain_client.attestations import recorded_in
from chain_client.cli.output import (
    account_name,
    console,
    counted,
    json_option,
    open_client,
    print_json,
    safe,
)
from chain_client.client import ChainClient
from chain_client.clock import SystemClock
from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.events import Actor, Event, Subject
from chain_client.hosts import Reading, Recorded, StoreBinding, load_host
from chain_client.reconciles import Reconciles
from chain_client.registry.durations import parse_duration

_SHOWN = 50
_REASONS = {
    "end_unrecorded": "its end was not recorded",
    "task_instances_unread": "its tasks were not read at its end",
    "task_events_lost": "events of tasks were lost",
}


@click.group()
def airflow() -> None:
    """What is done beside Airflow, outside of its processes.

    \b
    Example:
      mlops-chain airflow reconcile --since 12h
    """


@airflow.command()
@click.option(
    "--since",
    metavar="WHEN",
    default="7d",
    show_default=True,
    help="Look at DAG runs that ended since then: a date such as 2026-05-01, a time in ISO 8601 "
    "(UTC if it names no zone), or how long ago, such as 12h or 30d.",
)
@click.option("--dag", "dag_id", metavar="ID", help="Look at the runs of one DAG only.")
@click.option(
    "--min-age",
    metavar="TIME",
    default="1m",
    show_default=True,
    help="Leave out runs that ended later than so long ago: their events may be under way.",
)
@json_option
@click.pass_context
def reconcile(
    context: click.Context, since: str, dag_id: str | None, min_age: str, as_json: bool
) -> None:
    """Read later what the end of DAG runs left out, and record it as what it is.

    That is: the tasks of runs with more than 1,000 of them, runs whose scheduler could not record
    how they ended, and what tasks lost whose processes died. Each record says who read it and
    when. Run it from cron, or as a task of a DAG, or by hand: a second time it records nothing.
    It starts no relay, and does not touch what differs: `verify` names that.

    \b
    Example:
      mlops-chain airflow reconcile --since 12h
    """
    now_us = SystemClock().time_us()
    since_us = _to_since_us(since, now_us)
    until_us = now_us - _to_us(min_age, "--min-age")
    client = open_client(context.obj)
    client = ChainClient(replace(client.settings, relay_autostart=False), client.deployment)
    found: list[tuple[StoreBinding, Reading]] = []
    try:
        for binding, host in _hosts(client):
            recorded = _recorded(client, binding.store_id)
            for reading in host.reconcile(
                binding, recorded, since_us=since_us, until_us=until_us, part=dag_id
            ):
                client.recorder.note(
                    reading.type,
                    Subject(binding.store_id, reading.kind, reading.id),
                    reading.payload,
                    actor=Actor(claimed=account_name()),
                    required=True,
                )
                found.append((binding, reading))
        if found:
            client.recorder.close()
    finally:
        client.close()
    told = [_to_told(binding, reading) for binding, reading in found]
    if as_json:
        print_json({"ok": True, "recorded": told})
    else:
        _print(told)


def _hosts(client: ChainClient) -> Iterator[tuple[StoreBinding, Reconciles]]:
    found = False
    for binding in client.folder.bindings():
        host = load_host(binding.adapter)
        if isinstance(host, Reconciles):
            found = True
            yield binding, host
    if not found:
        raise ConfigurationError(
            f"no Airflow records into {client.home} yet: its scheduler tells the home, with its "
            "first DAG run, where it is"
        )


def _recorded(client: ChainClient, store_id: str) -> Recorded:
    """What was recorded of a subject: what the log has, and what still waits in this home."""
    from chain_client.verify import read_spooled

    in_log = recorded_in(client.log, store_id)
    spooled: dict[tuple[str, str], list[Event]] = {}
    for event in read_spooled(
        client.folder.spool, client.log, client.deployment_id, inbox=client.settings.inbox_path
    ).events.values():
        if event.subject.store == store_id:
            spooled.setdefault((event.subject.kind, event.subject.id), []).append(event)
    known = sorted(spooled)

    def recorded(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
        yield from in_log(kind, subject_id, below)
        for key in known[bisect_left(known, (kind, subject_id)) :]:
            if key[0] != kind or not key[1].startswith(subject_id):
                return
            if below or key[1] == subject_id:
                yield from spooled[key]

    return recorded


def _to_since_us(text: str, now_us: int) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now_us - _to_us(text, "--since")
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _to_us(text: str, option: str) -> int:
    try:
        return parse_duration(text) * 1_000_000
    except InvalidInput as exc:
        raise click.BadParameter(str(exc), param_hint=option) from exc


def _to_told(binding: StoreBinding, reading: Reading) -> dict[str, Any]:
    payload: Any = reading.payload
    told = {
        "airflow": binding.store_id,
        "dag_id": payload["dag_run"]["dag_id"],
        "run_id": payload["dag_run"]["run_id"],
        "state": payload["dag_run"]["state"],
        "reasons": list(payload["reasons"]),
        "task_instances": len(payload.get("task_instances", ())),
        "lost": list(payload.get("lost", ())),
    }
    if "part" in payload:
        told["part"] = list(payload["part"])
    return told


def _print(told: list[dict[str, Any]]) -> None:
    out = console()
    if not told:
        out.print("Nothing was left out: all that ended is recorded.")
        return
    for run in told[:_SHOWN]:
        reasons = "; ".join(_REASONS[reason] for reason in run["reasons"])
        name = f"dag {run['dag_id']}/run {run['run_id']}"
        out.print(f"[bold]{safe(name)}[/]  {run['state']}: {reasons}", soft_wrap=True)
        if run["task_instances"]:
            out.print(f"  {counted(run['task_instances'], 'task instance')} read")
        for lost in run["lost"][:_SHOWN]:
            mapped = "" if lost["map_index"] < 0 else f"[{lost['map_index']}]"
            task = f"task {lost['task_id']}{mapped}, try {lost['try_number']}"
            what = f"{task}, {lost['state']}, process {lost['pid']}: {', '.join(lost['events'])}"
            out.print(f"  [yellow]lost[/]  {safe(what)}", soft_wrap=True)
        if len(run["lost"]) > _SHOWN:
            out.print(f"  … and {len(run['lost']) - _SHOWN} more lost; --json prints all")
    if len(told) > _SHOWN:
        out.print(f"… and {len(told) - _SHOWN} more; --json prints all")
    out.print(f"[green]recorded[/] {counted(len(told), 'event')}")
