"""Whatever keeps a check from answering blocks, and nothing that it does reaches the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from chain_client.checks import CheckFinding, PromotionContext, Requester, freeze
from chain_client.errors import InvalidInput
from chain_client.governing.checking import run_check
from chain_client.plugin_host import PluginHost
from chain_client.registry.check_configuration import ConfiguredCheck
from chain_client.registry.check_reports import CheckResult
from chain_client.types import Address, Digest
from tests.plugin_distributions import write_distribution

HEAD = """
from chain_client.checks import CheckFinding
from chain_client.hookspecs import hookimpl

"""
Run = Callable[..., CheckResult]


@pytest.fixture
def run(third_party_plugins: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a check by a plugin with this body."""
    monkeypatch.syspath_prepend(tmp_path)

    def ran(body: str, configuration: Mapping[str, Any] | None = None, **given: Any) -> CheckResult:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        source = f"{HEAD}@hookimpl\ndef check_promotion(context):\n{lines}\n"
        write_distribution(
            *(tmp_path, "our-checks"),
            modules={"our_checks_of_a_test": given.get("source", source)},
            plugins={"ours": "our_checks_of_a_test"},
            version="1.2",
        )
        check = ConfiguredCheck("careful", "ours", dict(configuration or {}))
        return run_check(check, context(check.configuration), given.get("timeout_s", 30.0))

    return ran


def context(configuration: Mapping[str, Any]) -> PromotionContext:
    return PromotionContext(
        check="careful",
        configuration=freeze(configuration),
        model="fraud",
        workspace="",
        version=3,
        target="alias:champion",
        digest=Digest(bytes(32)),
        location="s3://models/3?secret=hunter2",
        run_id=None,
        tracking_uri="postgresql://me:hunter2@db/mlflow",
        current=None,
        requester=Requester(Address(bytes(20)), "ada"),
    )


def test_findings_come_as_they_were_given_with_who_gave_them(run: Run) -> None:
    result = run(
        "yield CheckFinding('warn', f'hm: {context.configuration[\"limits\"][0]}', {'auc': 0.5})\n"
        "yield CheckFinding('block', 'no', {'nan': float('nan'), 'big': 2**60, 'list': (1,)})",
        {"limits": [0.25]},
    )
    assert (result.name, result.plugin) == ("careful", "ours")
    assert (result.distribution, result.version) == ("our-checks", "1.2")
    assert result.findings == (
        CheckFinding("warn", "hm: 0.25", {"auc": 0.5}),
        CheckFinding("block", "no", {"nan": "nan", "big": str(2**60), "list": [1]}),
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return None", "answered NoneType, no findings"),
        ("return True", "answered bool, no findings"),
        ("return 'fine'", "answered str, no findings"),
        ("return {}", "answered dict, no findings"),
        ("return ['fine']", "gave str as a finding"),
        ("yield from iter(lambda: CheckFinding('warn', 'x'), 0)", "gave more than 32 findings"),
        ("yield CheckFinding('info', 'x')", "raised InvalidInput in checks.py"),
        ("yield CheckFinding('warn', '')", "raised InvalidInput in checks.py"),
        ("yield CheckFinding('warn', 'x', {'a': object()})", "that can't be kept: a finding's"),
        ("yield CheckFinding('warn', 'x', {'a': 'b' * 5000})", "expected at most 4096 bytes"),
        ("yield CheckFinding('warn', 'x', {'a': '\\ud800'})", "that can't be kept: a finding's"),
        (
            "class Mine(CheckFinding):\n    pass\nreturn [Mine('warn', 'x')]",
            "gave Mine as a finding",
        ),
        (
            "raise ValueError(context.tracking_uri)",
            "raised ValueError in our_checks_of_a_test.py, line 7",
        ),
        ("raise SystemExit(0)", "raised SystemExit"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("return iter([])\nyield\n", ""),
        ("context.configuration['a'] = 2", "raised TypeError"),
        ("context.version = 2", "raised FrozenInstanceError"),
        ("return undefined", "raised NameError"),
    ],
)
def test_what_is_no_answer_blocks(run: Run, body: str, why: str) -> None:
    result = run(body, {"a": 1})
    if not why:
        assert result.findings == ()
        return
    (finding,) = result.findings
    assert finding.level == "block"
    assert finding.text.startswith("it could not be carried out: ")
    assert why in finding.text
    assert "hunter2" not in finding.text


def test_a_check_that_takes_too_long_blocks_and_what_it_says_later_counts_for_nothing(
    run: Run,
) -> None:
    go_on = threading.Event()
    threading.go_on = go_on  # type: ignore[attr-defined]
    try:
        body = "import threading\nthreading.go_on.wait(60)\nreturn []"
        result = run(body, timeout_s=0.05)
        (finding,) = result.findings
        assert (finding.level, result.distribution) in {("block", "our-checks"), ("block", "")}
        assert "took longer than 0.05 s" in finding.text
        go_on.set()
        for thread in threading.enumerate():
            if thread.name == "check careful":
                thread.join(60)
        assert result.findings == (finding,)
    finally:
        go_on.set()
        del threading.go_on  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise RuntimeError('hunter2')", "the plugin ours of our-checks 1.2 can't be used"),
        ("", "the plugin ours of our-checks 1.2 can't be used"),
        (
            "from chain_client.hookspecs import hookimpl\n@hookimpl\ndef alarm_raised(): ...\n",
            "does not implement check_promotion",
        ),
    ],
)
def test_a_plugin_that_is_broken_blocks(run: Run, source: str, why: str) -> None:
    (finding,) = run("", source=source).findings
    assert finding.level == "block"
    assert why in finding.text
    assert "hunter2" not in finding.text


def test_a_plugin_that_is_missing_or_doubled_blocks(run: Run, tmp_path: Path) -> None:
    missing = run_check(ConfiguredCheck("careful", "nowhere"), context({}), 30)
    assert "no plugin named 'nowhere' is installed" in missing.findings[0].text
    assert (missing.distribution, missing.blocking) == ("", missing.findings)
    write_distribution(
        *(tmp_path, "other-checks"),
        modules={"other_checks_of_a_test": HEAD},
        plugins={"nowhere": "other_checks_of_a_test", "ours": "other_checks_of_a_test"},
    )
    from chain_client.plugin_host import using_plugin_host

    with using_plugin_host():
        (finding,) = run("return []").findings
    assert "two plugins have this name" in finding.text


def test_a_finding_and_a_context_are_what_they_say() -> None:
    with pytest.raises(InvalidInput, match="expected block or warn"):
        CheckFinding("info", "x")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="expected 1 to 1000 characters"):
        CheckFinding("warn", "x" * 1001)
    found = context({"a": {"b": [1]}})
    with pytest.raises(FrozenInstanceError):
        found.version = 4  # type: ignore[misc]
    assert found.configuration["a"]["b"] == (1,)
    assert "hunter2" not in repr(found)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_a_check_forks_and_that_comes_back_ends_there(run: Run) -> None:
    result = run(
        "import atexit, os, sys, time\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    yield CheckFinding('warn', 'in the child')\n"
        "    return\n"
        "ended = 0\n"
        "deadline_s = time.monotonic() + 20\n"
        "while not ended and time.monotonic() < deadline_s:\n"
        "    ended, status = os.waitpid(child, os.WNOHANG)\n"
        "yield CheckFinding('warn', 'it ended' if ended else 'it lives on')"
    )
    assert [finding.text for finding in result.findings] == ["it ended"]
