"""``mlops-chain lineage``: where a model came from, and what came of something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from chain_client.cli.output import counted, json_option, open_client, print_json, print_note
from chain_client.client import ChainClient
from chain_client.errors import ChainError, ConfigurationError, UnknownName
from chain_client.lineage import approval, asking
from chain_client.lineage.asking import Asked
from chain_client.lineage.document import to_document
from chain_client.lineage.drawing import to_svg
from chain_client.lineage.graph import Graph
from chain_client.lineage.labels import KIND_NAMES
from chain_client.lineage.reading import LoggedInLog
from chain_client.lineage.text import to_lines
from chain_client.lineage.walking import Direction, walk
from chain_client.log import Log
from chain_client.traces import RUN, Logged, Node, Traces, installed_traces


@click.command()
@click.argument("model", required=False, metavar="[MODEL]")
@click.option("--run", "run", metavar="ID", help="An MLflow run: where it came from, and what of.")
@click.option("--dag-run", metavar="DAG_ID/RUN_ID", help="What was made in a DAG run.")
@click.option("--dataset", metavar="DIGEST|NAME", help="What was made of a dataset.")
@click.option("--graph", metavar="DAG_ID[/SHA256]", help="What was made by a graph of a DAG.")
@click.option(
    "--svg",
    "svg_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw it into this file, too.",
)
@json_option
@click.pass_obj
def lineage(
    home: Path | None,
    model: str | None,
    run: str | None,
    dag_run: str | None,
    dataset: str | None,
    graph: str | None,
    svg_file: Path | None,
    as_json: bool,
) -> None:
    """Tell the way from a model's alias, stage or version back to run, dataset, task, DAG run and
    graph; or, from one of those, what was made of it and what is current.

    It reads the log, and the chain for approvals; never MLflow or Airflow. MODEL is NAME@ALIAS,
    NAME/VERSION, NAME/STAGE or a models:/ URI.

    \b
    Examples:
      mlops-chain lineage fraud@champion
      mlops-chain lineage fraud@champion --svg champion.svg
      mlops-chain lineage --dag-run train_fraud/scheduled__2026-11-01T00:00:00+00:00 --json
    """
    asked = _asked(model, run, dag_run, dataset, graph)
    client = open_client(home)
    try:
        log = client.log
        logged = LoggedInLog(log)
        tracers = installed_traces()
        starts = _find(asked, tracers, logged)
        # What was asked for by its model came of something; anything else became something.
        directions = [Direction.ORIGINS] if model else [Direction.RESULTS]
        if asked.kind == RUN:
            directions = [Direction.ORIGINS, Direction.RESULTS]
        graphs = [(one, walk(starts, one, tracers, logged)) for one in directions]
        _tell_approvals(client, [found for _, found in graphs])
        status = _statuses(log)
        size = log.size()
        if svg_file is not None:
            title = f"Lineage of {KIND_NAMES[asked.kind]} {model or asked.text}"
            note = f"by a log of {counted(size, 'entry', 'entries')}"
            _draw(svg_file, [found for _, found in graphs], title, note, status)
        if as_json:
            print_json({"ok": True, **to_document(graphs, starts, size, status)})
        else:
            _print(graphs, starts, status)
    finally:
        client.close()


def _asked(
    model: str | None,
    run: str | None,
    dag_run: str | None,
    dataset: str | None,
    graph: str | None,
) -> Asked:
    given: list[tuple[str | None, Callable[[str], Asked]]] = [
        (model, asking.to_asked_model),
        (run, asking.to_asked_run),
        (dag_run, asking.to_asked_dag_run),
        (dataset, asking.to_asked_dataset),
        (graph, asking.to_asked_graph),
    ]
    chosen = [(text, read) for text, read in given if text]
    if len(chosen) != 1:
        raise click.UsageError(
            "name one thing: a MODEL such as fraud@champion, or --run, --dag-run, --dataset or "
            "--graph"
        )
    text, read = chosen[0]
    return read(text)


def _find(asked: Asked, tracers: Sequence[Traces], logged: Logged) -> list[Node]:
    for tracer in tracers:
        found = list(tracer.find_nodes(asked.kind, asked.text, logged))
        if asked.kind == RUN and len(found) > 1:
            exact = [node for node in found if node.id == asked.text]
            if not exact:
                raise UnknownName(
                    f"the ids of {len(found):,} runs begin with {asked.text[:300]!r}; give more"
                )
            found = exact
        if found:
            return found
    raise UnknownName(
        f"the log has no {KIND_NAMES[asked.kind]} {asked.text[:300]!r}. What was "
        "recorded just now may be in a spool still: mlops-chain relay --once"
    )


def _tell_approvals(client: ChainClient, graphs: Sequence[Graph]) -> None:
    if client.deployment.registry is None:
        return
    try:
        registry = client.registry
        state = registry.state()
        approvals = approval.Approvals(state, registry.lookup(state), registry.target_id)
        for found in graphs:
            approvals.tell(found)
    except ChainError as exc:
        for found in graphs:
            approval.unknown(found, str(exc))


def _statuses(log: Log) -> Callable[[int], str]:
    known: dict[int, str] = {}

    def status(index: int) -> str:
        if index not in known:
            known[index] = log.status_of(index).value
        return known[index]

    return status


def _draw(
    file: Path, graphs: Sequence[Graph], title: str, note: str, status: Callable[[int], str]
) -> None:
    whole = graphs[0]
    for further in graphs[1:]:
        whole = whole.joined(further)
    try:
        file.write_text(to_svg(whole, title, note, status), encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(
            f"{file} can't be written: {exc.strerror or exc}; check --svg"
        ) from exc


def _print(
    graphs: Sequence[tuple[Direction, Graph]],
    starts: Sequence[Node],
    status: Callable[[int], str],
) -> None:
    for number, (direction, found) in enumerate(graphs):
        if len(graphs) > 1:
            click.echo(("\n" if number else "") + _HEADINGS[direction])
        for line in to_lines(found, starts, direction, status):
            click.echo(line)
        if direction is Direction.RESULTS and len(found.facts) == len(starts):
            print_note("nothing was made of it, as far as the log tells")


_HEADINGS = {
    Direction.ORIGINS: "What it came of",
    Direction.RESULTS: "What came of it",
}
