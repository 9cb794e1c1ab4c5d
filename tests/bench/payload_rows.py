"""The row of a relay that puts events into a payload store, relative to one without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chain_client.config import CONFIG_FILE
from tests.bench.bench_home import Options, copy_home
from tests.bench.figures import Row, p50, p90, span_text
from tests.bench.relay_rows import drain

_LARGE = 2_000


def payloads_row(options: Options) -> Row:
    """How much of a relay's rate is left when each event becomes a file."""
    count, rounds = (1_000, 1) if options.quick else (20_000, 5)
    rates: dict[str, list[float]] = {"plain": [], "files": [], "large": []}
    reports = []
    for number in range(rounds):  # one after the other: the machine is as busy for all
        for name, home in _homes(options, number).items():
            report = drain(options, home(), count)
            rates[name].append(report["entries"] / report["elapsed_s"])
            if name == "files":
                reports.append(report)
    ratios = [f / p for f, p in zip(rates["files"], rates["plain"], strict=True)]
    large = [f / p for f, p in zip(rates["large"], rates["plain"], strict=True)]
    cpu = p50([report["entries"] / report["cpu_s"] for report in reports])
    covers = reports[0]["fsyncs_cover"] == "process"
    syncs = p50([report["fsyncs"] / report["entries"] for report in reports])
    return Row(
        "relay_payloads",
        "spool → anchored with `log.payloads = file:`, each event a file, of the rate without",
        "—",
        f"{p50(ratios):.2f}",
        None,
        p50=f"{p50(ratios):.2f}",
        p90=f"{-p90([-ratio for ratio in ratios]):.2f}",
        spread=span_text(ratios),
        fsyncs=f"{syncs:.2f} an event" if covers else "",
        notes=[
            f"{p50(rates['files']):,.0f} events/s, {p50(rates['plain']):,.0f} without a store. Of "
            f"the relay's own processor time alone it would be {cpu:,.0f}/s: the rest is fsyncs of "
            "files and folders.",
            f"With `log.payloads_from_bytes = {_LARGE}`, where single metrics stay in the "
            f"database: {p50(large):.2f} of the rate without.",
        ],
        raw={"events": count, "rates": rates, "ratios": ratios, "reports": reports},
    )


def _homes(options: Options, number: int) -> dict[str, Callable[[], Path]]:
    """What makes a home of each kind, when it is its turn."""

    def make(name: str, settings: str) -> Path:
        home = copy_home(options, f"payloads-{name}-{number}")
        (home / "payloads").mkdir(mode=0o700)
        (home / CONFIG_FILE).write_text(settings, encoding="utf-8")
        return home

    store = '[log]\npayloads = "file:payloads"\n'
    return {
        "plain": lambda: make("plain", ""),
        "files": lambda: make("files", store),
        "large": lambda: make("large", f"{store}payloads_from_bytes = {_LARGE}\n"),
    }
