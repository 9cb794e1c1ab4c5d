"""A lineage as a drawing: one SVG file that needs nothing else. Pure.

Text from outside is escaped, and what is too long is cut; the whole stands in a tooltip.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from chain_client.lineage.document import Status
from chain_client.lineage.graph import Graph
from chain_client.lineage.labels import (
    KIND_NAMES,
    shown_links,
    to_details,
    to_evidence,
    to_time,
    to_title,
)
from chain_client.lineage.placing import place
from chain_client.shown_text import escape_unprintable
from chain_client.traces import (
    DAG_RUN,
    DAG_VERSION,
    DATASET,
    LOGGED_MODEL,
    MODEL_VERSION,
    RUN,
    TARGET,
    TASK_TRY,
    Link,
    Node,
)

_WIDTH: Final = 272
_GAP_X: Final = 132
_GAP_Y: Final = 26
_MARGIN: Final = 24
_HEAD: Final = 64
_LINE: Final = 15
_MOST_LINES: Final = 9
_MOST_FOLDED: Final = 3
_FITS: Final = 37
"""Letters of the smaller type in a box."""
_TITLE_FITS: Final = 28

_COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    TARGET: ("#fff4d6", "#b7791f"),
    MODEL_VERSION: ("#e3f1e5", "#2f7d4f"),
    LOGGED_MODEL: ("#e3f1e5", "#2f7d4f"),
    RUN: ("#e1ecf9", "#2b6cb0"),
    DATASET: ("#efe6f8", "#6b46a3"),
    TASK_TRY: ("#fde8e0", "#b4532a"),
    DAG_RUN: ("#fde8e0", "#b4532a"),
    DAG_VERSION: ("#ececec", "#5a5a5a"),
}
"""Inside and edge of a box."""


@dataclass(frozen=True, slots=True)
class _Box:
    node: Node
    x: int
    y: int
    height: int
    title: str
    lines: tuple[tuple[str, str], ...]
    """A class of the style sheet, and the text."""
    tooltip: tuple[str, ...]

    @property
    def title_lines(self) -> list[str]:
        return _title_lines(self.title)

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


def to_svg(graph: Graph, title: str, note: str, status: Status) -> str:
    """The drawing.

    Args:
        graph: what was found.
        title: its heading.
        note: what stands below that, such as what the log was.
        status: how far the entry with an index has come.
    """
    links = shown_links(graph)
    boxes = _boxes(graph, place(graph.nodes(), links), status)
    width = max((box.x + _WIDTH for box in boxes.values()), default=400) + _MARGIN
    if any(boxes[link.earlier].x == boxes[link.later].x for link in links):
        width += _GAP_X // 2  # such a link goes around the right side
    height = max((box.y + box.height for box in boxes.values()), default=_HEAD) + _MARGIN + 22
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>{_text(title)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#444"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text class="heading" x="{_MARGIN}" y="30">{_text(title)}</text>',
        f'<text class="small" x="{_MARGIN}" y="48">{_text(note)}</text>',
        *(_drawn_line(boxes, link, status) for link in links),
        *(_drawn_label(boxes, link, status) for link in links),
        *(_drawn_box(box) for box in boxes.values()),
        f'<text class="small" x="{_MARGIN}" y="{height - 14}">{_text(_LEGEND)}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _boxes(graph: Graph, columns: Sequence[Sequence[Node]], status: Status) -> dict[Node, _Box]:
    lines = {node: tuple(_lines(graph, node, status)) for column in columns for node in column}
    titles = {node: to_title(node, graph.facts[node]) for node in lines}
    heights = {
        node: 30 + _LINE * (len(_title_lines(titles[node])) + len(found))
        for node, found in lines.items()
    }
    tallest = max((sum(heights[node] + _GAP_Y for node in column) for column in columns), default=0)
    boxes = {}
    for number, column in enumerate(columns):
        own = sum(heights[node] + _GAP_Y for node in column)
        y = _HEAD + (tallest - own) // 2
        for node in column:
            title = titles[node]
            x = _MARGIN + number * (_WIDTH + _GAP_X)
            boxes[node] = _Box(
                node, x, y, heights[node], title, lines[node], tuple(_tooltip(graph, node, status))
            )
            y += heights[node] + _GAP_Y
    return boxes


def _lines(graph: Graph, node: Node, status: Status) -> Iterator[tuple[str, str]]:
    found = [("plain", line) for line in to_details(node, graph.facts[node])]
    events = graph.events_of(node)
    for event in [events[0], *events[-1:]] if len(events) > 1 else events:
        if event.event is not None:
            what = event.event.type.rpartition(".")[2].replace("_", " ")
            found.append(("plain", f"{what} {to_time(event.event.time_us)}"))
        found.append(("faint", f"entry {event.index}, {status(event.index)}"))
    found += [("gap", f"? {gap.text}") for gap in graph.gaps_of(node)]
    folded = [(style, part) for style, line in found for part in _fold(line)]
    yield from folded[:_MOST_LINES]
    if len(folded) > _MOST_LINES:
        yield "faint", "… and more, in the output of --json"


def _tooltip(graph: Graph, node: Node, status: Status) -> Iterator[str]:
    yield from to_details(node, graph.facts[node])
    for event in graph.events_of(node):
        what = "?" if event.event is None else event.event.type
        yield f"{what}: {to_evidence(event, status(event.index))}"
    for gap in graph.gaps_of(node):
        yield f"? {gap.text}"


def _fold(line: str) -> list[str]:
    parts = textwrap.wrap(escape_unprintable(line), _FITS, break_on_hyphens=False)
    if len(parts) > _MOST_FOLDED:
        parts[_MOST_FOLDED - 1 :] = [_cut(" ".join(parts[_MOST_FOLDED - 1 :]), _FITS)]
    return parts


def _drawn_box(box: _Box) -> str:
    inside, edge = _COLOURS[box.node.kind]
    whole = "\n".join([f"{KIND_NAMES[box.node.kind]} {box.title}", *box.tooltip])
    rows = [
        f'<text class="kind" x="{box.x + 12}" y="{box.y + 17}" fill="{edge}">'
        f"{_text(KIND_NAMES[box.node.kind])}</text>",
    ]
    named = [("title", line) for line in box.title_lines]
    for number, (style, line) in enumerate((*named, *box.lines)):
        rows.append(
            f'<text class="{style}" x="{box.x + 12}" y="{box.y + 34 + _LINE * number}">'
            f"{_text(line)}</text>"
        )
    return "\n".join(
        [
            f"<g><title>{_text(whole, keep=chr(10))}</title>",
            f'<rect x="{box.x}" y="{box.y}" width="{_WIDTH}" height="{box.height}" rx="7" '
            f'fill="{inside}" stroke="{edge}"/>',
            *rows,
            "</g>",
        ]
    )


def _title_lines(title: str) -> list[str]:
    """One line, or two: the second begins behind a comma, where there is one."""
    shown = escape_unprintable(title)
    if len(shown) <= _TITLE_FITS:
        return [shown]
    first, comma, second = shown.partition(", ")
    if not comma:
        first, second = shown[:_TITLE_FITS], shown[_TITLE_FITS:]
    return [_cut(f"{first}{comma.rstrip()}", _TITLE_FITS), _cut(second, _TITLE_FITS)]


def _drawn_line(boxes: Mapping[Node, _Box], link: Link, status: Status) -> str:
    style = "link claimed" if link.is_claimed else "link over" if link.is_over else "link"
    path, _, _ = _way(boxes[link.earlier], boxes[link.later])
    return (
        f'<g>{_link_tooltip(boxes, link, status)}<path class="{style}" d="{path}" '
        'marker-end="url(#tip)"/></g>'
    )


def _drawn_label(boxes: Mapping[Node, _Box], link: Link, status: Status) -> str:
    """Drawn after every line, so that none runs through it."""
    relation = f"{link.relation} once" if link.is_over else link.relation
    label = f"{relation} (claimed)" if link.is_claimed else relation
    _, at_x, at_y = _way(boxes[link.earlier], boxes[link.later])
    return (
        f"<g>{_link_tooltip(boxes, link, status)}"
        f'<text class="label" x="{at_x}" y="{at_y}">{_text(label)}</text>'
        f'<text class="label" x="{at_x}" y="{at_y + 17}">entry {link.evidence.index}</text></g>'
    )


def _link_tooltip(boxes: Mapping[Node, _Box], link: Link, status: Status) -> str:
    earlier, later = boxes[link.earlier], boxes[link.later]
    whole = "\n".join(
        [
            f"{later.title} {link.relation} {earlier.title}",
            to_evidence(link.evidence, status(link.evidence.index)),
            *([f"CLAIMED: {link.note}"] if link.is_claimed else [link.note] if link.note else []),
        ]
    )
    return f"<title>{_text(whole, keep=chr(10))}</title>"


def _way(earlier: _Box, later: _Box) -> tuple[str, int, int]:
    """The line between two boxes, and where its label stands."""
    x1, y1, x2, y2 = earlier.x + _WIDTH, earlier.middle, later.x - 2, later.middle
    if earlier.x < later.x:
        bend = max((x2 - x1) // 2, 30)
        path = f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
        if x2 - x1 <= _GAP_X:
            return path, (x1 + x2) // 2, (y1 + y2) // 2 - 5
        return path, x2 - _GAP_X // 2, y2 - 5  # it may go behind others before
    if earlier.x == later.x:
        far = x1 + _GAP_X // 2
        path = f"M{x1} {y1} C{far} {y1} {far} {y2} {x1 + 2} {y2}"
        return path, x1 + _GAP_X // 2 - 6, (y1 + y2) // 2 - 5
    x1, y1, x2, y2 = earlier.x + _WIDTH // 2, earlier.y, later.x + _WIDTH // 2, later.y - 2
    top = min(y1, y2) - 22
    return f"M{x1} {y1} C{x1} {top} {x2} {top} {x2} {y2}", (x1 + x2) // 2, top + 4


def _cut(text: str, fits: int) -> str:
    """Both ends of what is too long: names differ at either."""
    shown = escape_unprintable(text)
    if len(shown) <= fits:
        return shown
    end = fits // 3
    return f"{shown[: fits - end - 1]}…{shown[-end:]}"


def _text(text: str, keep: str = "") -> str:
    return escape(escape_unprintable(text, keep))


_LEGEND: Final = (
    "An arrow leads from what was first to what came of it. Dashed: only claimed, no event "
    "confirms it. Grey: it was so once."
)

_STYLE: Final = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:#222}"
    ".heading{font-size:18px;font-weight:bold}"
    ".small{font-size:11px;fill:#555}"
    ".kind{font-size:10px;letter-spacing:1px;text-transform:uppercase}"
    ".title{font-size:13px;font-weight:bold}"
    ".plain{font-size:11px;fill:#333}"
    ".faint{font-size:10px;fill:#777}"
    ".gap{font-size:11px;font-style:italic;fill:#9b2c2c}"
    ".label{font-size:10.5px;fill:#444;text-anchor:middle;paint-order:stroke;stroke:#fff;"
    "stroke-width:5px;stroke-linejoin:round}"
    ".link{fill:none;stroke:#444;stroke-width:1.4px}"
    ".claimed{stroke-dasharray:6 4}"
    ".over{stroke:#bbb}"
)
