"""Rows of Airflow: what hooks cost, what a DAG run takes with them, how long a DAG loads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.airflow_home import AirflowHome, open_chain, shared_template
from tests.bench.airflow_files import FIVE, NOTHING_DONE, OURS, PLAIN, WIDE
from tests.bench.bench_home import ROOT, Options, copy_home
from tests.bench.figures import Row, p50, p90, percentile, span_text, time_text

_TARGET_S = 0.005
_NONE = "none: printed"


def airflow_rows(options: Options) -> list[Row]:
    """The rows of this module that are wanted."""
    found = []
    if "airflow_hook_process" in options.rows:
        found.append(_hook_process(options))
    if "airflow_hook_power" in options.rows:
        found.append(_hook_power(options))
    if "airflow_run_end" in options.rows:
        found.append(_run_end(options))
    if "airflow_dag_test" in options.rows:
        found.append(_dag_test(options))
    if "airflow_parse" in options.rows:
        found.append(_parse(options))
    return found


def _hook_process(options: Options) -> Row:
    processes, calls = (1, 60) if options.quick else (5, 2_000)
    found = [
        _measure(_airflow(options, f"process-{number}", "process"), "task_hooks", calls, "")[0]
        for number in range(processes)
    ]
    rounds = [each["calls_s"] for each in found]
    every = [seconds for times in rounds for seconds in times]
    p99 = percentile(every, 99)
    return Row(
        "airflow_hook_process",
        "Airflow, hook of a task instance (process), p99",
        f"≤{time_text(_TARGET_S)}",
        time_text(p99),
        p99 <= _TARGET_S,
        p50=time_text(p50(every)),
        p90=time_text(p90(every)),
        spread=span_text([percentile(times, 99) * 1e3 for times in rounds]) + " ms",
        notes=[
            "Left out are the start of a task's process (on_starting, which imports and opens the "
            "home; Airflow forks most processes from one that has done so): p50 "
            f"{_p50_of(found, 'start_s')}, and the first hook after it: "
            f"{_p50_of(found, 'first_s')}.",
            f"Its processor time: {_p50_and_p99(found, 'cpu_s')}. What load alone does, shown by a "
            f"bare computation in turns with it: {_p50_and_p99(found, 'bare_s')}.",
        ],
        raw={"processes": found},
    )


def _hook_power(options: Options) -> Row:
    processes, calls = (1, 60) if options.quick else (5, 1_000)
    found = [
        _measure(
            *(_airflow(options, f"power-{number}", "power"), "task_hooks", calls, options.work)
        )[0]
        for number in range(processes)
    ]
    rounds = [each["calls_s"] for each in found]
    every = [seconds for times in rounds for seconds in times]
    syncs = [seconds for each in found for seconds in each["bare_s"]]
    return Row(
        "airflow_hook_power",
        "Airflow, hook of a task instance (power), p99",
        "beside the p99 of a bare fsync",
        f"{time_text(percentile(every, 99))}, fsync {time_text(percentile(syncs, 99))}",
        None,
        p50=time_text(p50(every)),
        p90=time_text(p90(every)),
        spread=span_text([percentile(times, 99) * 1e3 for times in rounds]) + " ms",
        notes=[
            f"A bare fsync is an append of 400 bytes with its fdatasync, before each hook: p50 "
            f"{time_text(p50(syncs))}, p90 {time_text(p90(syncs))}. The first hook of a process: "
            f"p50 {_p50_of(found, 'first_s')}."
        ],
        raw={"processes": found},
    )


def _p50_and_p99(found: list[dict[str, Any]], name: str) -> str:
    every = [seconds for each in found for seconds in each[name]]
    return f"p50 {time_text(p50(every))}, p99 {time_text(percentile(every, 99))}"


def _p50_of(found: list[dict[str, Any]], name: str) -> str:
    return time_text(p50([each[name] for each in found]))


def _run_end(options: Options) -> Row:
    calls, sizes = (2, (10, 100)) if options.quick else (30, (10, 100, 1_000))
    airflow = _airflow(options, "run-end", "process")
    airflow.put_dag("wide.py", "".join(WIDE.format(size=size) for size in sizes))
    found = _measure(airflow, "run_ends", calls, *sizes)
    medians = {each["tasks"]: p50(each["calls_s"]) for each in found}
    return Row(
        "airflow_run_end",
        "Airflow, end of a DAG run, by tasks: one query of their states, and the event (process)",
        _NONE,
        "; ".join(f"{size:,}: {time_text(value)}" for size, value in medians.items()),
        None,
        p90="; ".join(time_text(p90(each["calls_s"])) for each in found),
        notes=[
            "Called in the scheduler, once a DAG run. The first one of a DAG version reads its "
            "graph too: " + ", ".join(time_text(each["first_s"]) for each in found) + "."
        ],
        raw={"sizes": found},
    )


def _dag_test(options: Options) -> Row:
    rounds = 2 if options.quick else 15
    with ExitStack() as stack:
        plain = _bare_airflow(options, "dag-test-plain")
        nothing = _bare_airflow(options, "dag-test-nothing")
        (nothing.folder / "plugins" / "nothing.py").write_text(NOTHING_DONE)
        ours = _airflow(options, "dag-test-ours", "process")
        running = {
            name: stack.enter_context(_dag_testing(airflow))
            for name, airflow in (("plain", plain), ("nothing", nothing), ("ours", ours))
        }
        firsts = {name: process.take_s() for name, process in running.items()}
        taken: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(rounds):
            for name, process in running.items():
                taken[name].append(process.take_s())
    _require_events(ours)
    medians = {name: p50(times) for name, times in taken.items()}
    ratio = medians["ours"] / medians["plain"]
    return Row(
        "airflow_dag_test",
        "Airflow, dag.test() of 5 tasks (process), with / without the listener",
        _NONE,
        f"{ratio:.3f}",
        None,
        p50=" / ".join(time_text(medians[name]) for name in ("ours", "plain")),
        p90=" / ".join(time_text(p90(taken[name])) for name in ("ours", "plain")),
        spread=span_text([a / b for a, b in zip(taken["ours"], taken["plain"], strict=True)]),
        notes=[
            f"With a listener that does nothing: {medians['nothing'] / medians['plain']:.3f}. The "
            f"first run of a process is left out: {_three(firsts)} with ours, with one that does "
            "nothing, without."
        ],
        raw={"first_s": firsts, "rounds_s": taken},
    )


def _three(seconds: dict[str, float]) -> str:
    return ", ".join(time_text(seconds[name]) for name in ("ours", "nothing", "plain"))


def _parse(options: Options) -> Row:
    rounds = 1 if options.quick else 9
    airflow = _bare_airflow(options, "parse")
    files = {"plain": PLAIN, "ours": OURS}
    for name, text in files.items():
        (airflow.folder / f"{name}.py").write_text(text)
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in files}
    for _ in range(rounds):
        for name in files:
            taken[name] += _measure(airflow, "parse", airflow.folder / f"{name}.py")
    seconds = {name: [each["seconds"] for each in found] for name, found in taken.items()}
    over = [a - b for a, b in zip(seconds["ours"], seconds["plain"], strict=True)]
    modules = [taken[name][0]["modules"] for name in ("ours", "plain")]
    return Row(
        "airflow_parse",
        "Airflow, a DAG of 5 tasks is imported, our operators - EmptyOperators",
        _NONE,
        time_text(p50(seconds["ours"]) - p50(seconds["plain"])),
        None,
        p50=" / ".join(time_text(p50(seconds[name])) for name in ("ours", "plain")),
        p90=" / ".join(time_text(p90(seconds[name])) for name in ("ours", "plain")),
        spread=span_text([value * 1e3 for value in over]) + " ms",
        notes=[
            "Each in a fresh process that has imported airflow.sdk and the standard operators. "
            f"Modules loaded meanwhile: {modules[0]} / {modules[1]}."
        ],
        raw=taken,
    )


def _bare_airflow(options: Options, name: str) -> AirflowHome:
    """A fresh Airflow that knows of no home of ours."""
    template = shared_template(options.work / "airflow-template")
    made = template.copied(options.work / f"airflow-{name}")
    made.put_dag("five.py", FIVE)
    return made


def _airflow(options: Options, name: str, durability: str) -> AirflowHome:
    """The same, with the listener and a home of its own, in which no relay works."""
    home = copy_home(options, f"airflow-{name}-home")
    text = f'[spool]\ndurability = "{durability}"\n[relay]\nautostart = false\n'
    (home / "config.toml").write_text(text, encoding="utf-8")
    return _bare_airflow(options, name).configured(home=home)


def _measure(airflow: AirflowHome, what: str, *words: object) -> list[dict[str, Any]]:
    """What the process answered, which recorded if it was to.

    Raises:
        RuntimeError: it failed.
    """
    with _started(airflow, what, *words) as process:
        out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{what} ended with code {process.returncode}")
    if what != "parse":
        _require_events(airflow)
    return [json.loads(line) for line in out.splitlines()]


def _require_events(airflow: AirflowHome) -> None:
    """That was measured which records."""
    from chain_client.verify import read_spooled

    client = open_chain(Path(airflow.variables["AIRFLOW__MLOPS_CHAIN__HOME"]))
    try:
        events = read_spooled(client.folder.spool, client.log).events.values()
        if not [event for event in events if event.type.startswith(("task_instance.", "dag_run."))]:
            raise RuntimeError("the listener recorded nothing")
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class _DagTesting:
    """A process that runs ``dag.test()`` when it is told to."""

    asked: IO[str]
    answered: IO[str]

    def take_s(self) -> float:
        """Seconds of one run.

        Raises:
            RuntimeError: the process ended.
        """
        self.asked.write("\n")
        self.asked.flush()
        line = self.answered.readline()
        if not line:
            raise RuntimeError("a process that runs dag.test() ended")
        seconds: float = json.loads(line)["seconds"]
        return seconds


@contextmanager
def _dag_testing(airflow: AirflowHome) -> Iterator[_DagTesting]:
    with _started(airflow, "dag_tests", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield _DagTesting(process.stdin, process.stdout)


@contextmanager
def _started(
    airflow: AirflowHome, what: str, *words: object, stdin: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    with (airflow.folder / "errors").open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.airflow_process", what, *map(str, words)],
            cwd=ROOT,
            env=airflow.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield process
        if process.stdin is not None:
            process.stdin.close()
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.returncode:
            print((airflow.folder / "errors").read_text()[-3_000:], file=sys.stderr)
