"""How a lineage is shown: as lines, as JSON and as a drawing; text from outside does no harm."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

from chain_client.lineage.document import to_document, to_key
from chain_client.lineage.drawing import to_svg
from chain_client.lineage.graph import Graph
from chain_client.lineage.labels import shown_links, to_details
from chain_client.lineage.placing import place
from chain_client.lineage.text import to_lines
from chain_client.lineage.walking import Direction, walk
from chain_client.traces import DAG_RUN, RUN, TASK_TRY, Fact, Link, Node, installed_traces
from tests.lineages import CHAMPION, THE_RUN, VERSION, whole_log
from tests.logged_events import AIRFLOW, MLFLOW, LogInMemory, task_tags

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "a<b>&\"'\x1b]8;;x\x07\u202e]]>"


def parse(text: str) -> ElementTree.Element:
    """As any XML parser does: it must be whole."""
    return ElementTree.fromstring(text)  # noqa: S314 - our own output


def status(index: int) -> str:
    return "finalized" if index < 9 else "sequenced"


def back(log: LogInMemory, *starts: Node) -> Graph:
    return walk(starts, Direction.ORIGINS, installed_traces(), log)


def lines(graph: Graph, start: Node, direction: Direction = Direction.ORIGINS) -> list[str]:
    return list(to_lines(graph, [start], direction, status))


def test_the_way_back_is_told_step_by_step() -> None:
    assert lines(back(whole_log(), CHAMPION), CHAMPION) == [
        "target fraud@champion",
        "│  set by ann",
        "└─ points to version fraud version 1",
        "   │  entry 11, 2027-01-15 08:00:11 UTC, sequenced",
        "   │  by ann",
        "   └─ made of logged model m-0123456789abcdef0123456789abcdef",
        "      │  entry 10, 2027-01-15 08:00:10 UTC, sequenced",
        "      └─ logged by run r2",
        "         │  entry 9, 2027-01-15 08:00:09 UTC, sequenced",
        "         │  by ann",
        "         ├─ read dataset iris, digest 1",
        "         │     entry 8, 2027-01-15 08:00:08 UTC, finalized",
        "         └─ ran in task fit, try 2",
        "            │  entry 6, 2027-01-15 08:00:10 UTC, finalized",
        "            │  the task was running when it was made",
        "            │  success, ran 10.0 s",
        "            │  succeeded: entry 7, 2027-01-15 08:00:15 UTC, finalized",
        "            └─ part of DAG run train, manual/1",
        "               │  entry 5, 2027-01-15 08:00:05 UTC, finalized",
        "               │  running",
        f"               └─ had the graph graph of train, {VERSION.id[6:22]}…",
        "                     entry 1, 2027-01-15 08:00:01 UTC, finalized",
        "                     0 tasks, 0 edges",
        "                     recorded: entry 0, 2027-01-15 08:00:00 UTC, finalized",
    ]


def test_the_way_on_is_told_from_the_earlier_side() -> None:
    graph = walk([THE_RUN], Direction.RESULTS, installed_traces(), whole_log())
    told = [line.lstrip("│├└─ ") for line in lines(graph, THE_RUN, Direction.RESULTS)]
    for step in (
        "ran task fit, try 1",
        "started run r2",
        "became version fraud version 1",
        "had by target fraud@champion",
    ):
        assert step in told


def test_claims_gaps_and_what_was_shown_before_are_marked() -> None:
    log = LogInMemory()
    log.add("run.created", "r1", {"tags": task_tags()})
    log.add("model_version.created", "fraud/1", {"source": "runs:/r1/m"})
    log.add("model_version.created", "fraud/2", {"source": "runs:/r1/m"})
    starts = [Node("model_version", MLFLOW, f"fraud/{number}") for number in (1, 2)]
    found = list(to_lines(back(log, *starts), starts, Direction.ORIGINS, status))
    text = "\n".join(found)
    assert "CLAIMED: only its tags say so: no event of that try was recorded" in text
    assert "? no dataset was logged" in text
    assert [line for line in found if "(see above)" in line] == ["└─ made by run r1  (see above)"]


def test_a_long_chain_is_told_without_recursion() -> None:
    log = LogInMemory()
    log.add("model_version.created", "m/1", {"source": "runs:/r/m"})
    for number in range(2, 1_100):
        source = f"models:/m/{number - 1}"
        log.add("model_version.created", f"m/{number}", {"source": source})
    start = Node("model_version", MLFLOW, "m/1099")
    graph = _chain(log)
    assert len(lines(graph, start)) > 1_100
    parse(to_svg(graph, "chain", "", status))


def _chain(log: LogInMemory) -> Graph:
    graph = Graph()
    for logged in log.logged[1:]:
        number = int(logged.subject.id.partition("/")[2])
        later = Node("model_version", MLFLOW, f"m/{number}")
        graph.add(Link(later, replace(later, id=f"m/{number - 1}"), "copied from", logged))
    return graph


def test_the_document_holds_every_step_with_index_time_and_status() -> None:
    log = whole_log()
    graph = back(log, CHAMPION)
    document: Any = to_document([(Direction.ORIGINS, graph)], [CHAMPION], 12, status)
    assert json.loads(json.dumps(document)) == document
    assert document["starts"] == ["target:mlflow-db/fraud/alias:champion"]
    (lineage,) = document["lineages"]
    assert set(lineage) == {"direction", "nodes", "links", "missing"}
    nodes = {node["key"]: node for node in lineage["nodes"]}
    assert len(nodes) == 8
    (points,) = [one for one in lineage["links"] if one["relation"] == "points to"]
    alias = log.logged[11].event
    assert alias is not None
    assert points == {
        "later": to_key(CHAMPION),
        "earlier": "model_version:mlflow-db/fraud/1",
        "relation": "points to",
        "claimed": False,
        "over": False,
        "note": None,
        "entry": {
            "index": 11,
            "status": "sequenced",
            "event": "0x" + alias.event_id.hex(),
            "type": "registered_model.alias_set",
            "time": "2027-01-15 08:00:11 UTC",
            "time_us": alias.time_us,
        },
    }
    assert nodes["task_try:airflow/train/manual/1/fit/-1#2"]["facts"]["state"] == "success"


def test_the_drawing_is_whole_and_needs_nothing_else() -> None:
    graph = back(whole_log(), CHAMPION)
    text = to_svg(graph, "Lineage of fraud@champion", "by a log of 12 entries", status)
    root = parse(text)
    boxes = [group for group in root.iter(f"{SVG}g") if group.find(f"{SVG}rect") is not None]
    assert len(boxes) == len(graph.facts) == 8
    paths = [path for path in root.iter(f"{SVG}path") if "link" in path.get("class", "")]
    assert len(paths) == len(shown_links(graph)) == 7
    assert "href" not in text
    assert "<script" not in text
    width = float(root.get("width", "0"))
    for rect in root.iter(f"{SVG}rect"):
        assert float(rect.get("x", "0")) + float(rect.get("width", "0")) <= width


def test_no_line_runs_through_a_label_and_long_titles_have_two_lines() -> None:
    text = to_svg(back(whole_log(), CHAMPION), "", "", status)
    assert text.rindex('class="link') < text.index('class="label"')
    log = LogInMemory()
    graph, run = Graph(), Node(DAG_RUN, AIRFLOW, "train_and_promote/manual__2026-11-21T00:08:57Z")
    log.add("dag_run.started", run.id)
    graph.add(Fact(run, {}, log.logged[0]))
    lines_of = [one.text for one in parse(to_svg(graph, "", "", status)).iter(f"{SVG}text")]
    assert "train_and_promote," in lines_of
    assert "manual__2026-11-21T00:08:57Z" in lines_of


def test_an_operator_that_nobody_wrote_down_is_called_by_its_decorator() -> None:
    node = Node(TASK_TRY, AIRFLOW, "train/manual/1/fit/-1#1")
    assert to_details(node, {"operator": "_PythonDecoratedOperator"}) == ["@task"]
    assert to_details(node, {"operator": "BashOperator"}) == ["BashOperator"]


def test_names_from_outside_are_escaped_and_cut_with_the_whole_in_a_tooltip() -> None:
    log = LogInMemory()
    graph = Graph()
    name = EVIL + "x" * 200
    run = Node(RUN, MLFLOW, "r1")
    log.add("run.created", "r1")
    graph.add(Fact(run, {"name": name, "user": EVIL}, log.logged[0]))
    text = to_svg(graph, EVIL, EVIL, status)
    root = parse(text)
    assert "\x1b" not in text
    assert "\u202e" not in text
    (group,) = root.iter(f"{SVG}g")
    tooltip = group.findtext(f"{SVG}title") or ""
    assert "x" * 200 in tooltip
    assert all(len(one.text or "") <= 40 for one in group.iter(f"{SVG}text"))
    assert [line for line in lines(graph, run) if "\x1b" in line or "\u202e" in line] == []


def test_what_was_first_stands_to_the_left_of_what_came_of_it() -> None:
    graph = back(whole_log(), CHAMPION)
    links = shown_links(graph)
    columns = place(graph.nodes(), links)
    at = {node: number for number, column in enumerate(columns) for node in column}
    assert all(at[link.earlier] < at[link.later] for link in links)
    assert sum(map(len, columns)) == len(graph.facts)


def test_a_circle_of_links_is_placed_too() -> None:
    log = LogInMemory()
    log.add("run.created", "r1", {"tags": []})
    log.add("logged_model.created", "m-1", {"source_run_id": "r1"})
    log.add("run.inputs_logged", "r1", {"models": ["m-1"]})
    graph = back(log, Node(RUN, MLFLOW, "r1"))
    columns = place(graph.nodes(), shown_links(graph))
    assert [[node.id for node in column] for column in columns] == [["r1"], ["m-1"]]
    parse(to_svg(graph, "", "", status))
