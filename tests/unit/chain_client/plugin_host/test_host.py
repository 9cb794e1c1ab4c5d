"""What the plugin host makes of plugins as they are: sound, broken, doubled, hostile."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from chain_client import ChainClient, Settings
from chain_client.errors import ConfigurationError, LedgerUnavailable
from chain_client.ledger import open_ledger
from chain_client.payloads import open_payload_store
from chain_client.plugin_host import (
    PluginHost,
    get_plugin_host,
    own_plugins_first,
    using_plugin_host,
)
from chain_client.shipping import open_shipper
from chain_client.signing import open_signer
from tests.forked import in_fork
from tests.plugin_distributions import write_distribution

Install = Callable[..., None]

OWN = {"embedded", "files", "folder", "jsonrpc", "keystore", "notifier"}
SECRET = "postgres://me:hunter2@db"

SOUND = """
    from chain_client.hookspecs import hookimpl

    class VaultSigner:
        def __init__(self, uri): self.uri = uri

    @hookimpl
    def signers():
        return {"vault": lambda uri, base, password: VaultSigner(uri)}

    @hookimpl
    def alarm_raised():
        return "told"

    @hookimpl
    def check_promotion(context):
        yield context
"""


def test_our_built_ins_come_in_by_the_hooks_alone() -> None:
    found = {plugin.name: plugin for plugin in get_plugin_host().plugins() if plugin.is_own}
    assert set(found) >= OWN
    assert {plugin.error for plugin in found.values()} == {None}
    assert found["jsonrpc"].schemes == {"ledgers": ("http", "https")}
    assert found["keystore"].hooks == ("signers",)
    assert found["keystore"].file.endswith("chain_client/signing/keystore_plugin.py")


@pytest.mark.parametrize(
    ("name", "use", "scheme"),
    [
        ("keystore", lambda home: open_signer("keystore:a.json", base=home), "keystore"),
        ("files", lambda home: open_payload_store("file:payloads", base=home), "file"),
        ("folder", lambda home: open_shipper("folder:inbox", base=home), "folder"),
        ("embedded", lambda home: open_ledger(Settings(home)), "embedded"),
        (
            "jsonrpc",
            lambda home: open_ledger(Settings(home, ledger_url="https://node.example")),
            "https",
        ),
    ],
)
def test_the_scheme_of_an_unregistered_built_in_is_unknown(
    name: str, use: Callable[[Path], object], scheme: str, tmp_path: Path
) -> None:
    use(tmp_path)
    with using_plugin_host(PluginHost(third_party=False)) as host:
        host.unregister(name)
        with pytest.raises(ConfigurationError, match=f"is known for '{scheme}:'"):
            use(tmp_path)
        assert name not in {plugin.name for plugin in host.plugins()}
        with pytest.raises(ConfigurationError, match=f"no plugin named '{name}'"):
            host.plugin(name)
    use(tmp_path)


def test_a_plugin_opens_its_scheme_and_is_called_with_what_it_asks_for(
    install: Install, tmp_path: Path
) -> None:
    install("vault", SOUND)
    host = get_plugin_host()
    assert open_signer("vault:key-7", base=tmp_path).uri == "vault:key-7"
    plugin = host.plugin("vault")
    assert (plugin.distribution, plugin.version) == ("vault-plugin", "1.0")
    assert plugin.hooks == ("alarm_raised", "check_promotion", "signers")
    assert plugin.file.startswith(str(tmp_path))
    [told] = [call for call in host.observers("alarm_raised") if call.plugin == plugin]
    assert told(alarm="one that it does not ask for") == "told"
    checks = host.hook_of("vault", "check_promotion")
    assert list(checks(context=3)) == [3]  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match=r"vault-plugin 1\.0 does not implement ledgers"):
        host.hook_of("vault", "ledgers")
    with pytest.raises(TypeError):
        plugin.schemes["signers"] = ()  # type: ignore[index]


BROKEN = {
    "missing": ("import a_module_that_nobody_has", "needs the module 'a_module_that_nobody_has'"),
    "raising": (f"raise RuntimeError('{SECRET}')", "loading it raised RuntimeError at "),
    "importing": (f"raise ImportError('{SECRET}')", "loading it raised ImportError at "),
    "leaving": ("raise SystemExit(0)", "loading it raised SystemExit at "),
    "garbled": ("def f(:", "loading it raised SyntaxError"),
    "hookless": ("def signers(): return {}", "implements no hook"),
    "unknown": (
        "from chain_client.hookspecs import hookimpl\n@hookimpl\ndef append_event(event): ...",
        "the hook 'append_event', which does not exist",
    ),
    "greedy": (
        "from chain_client.hookspecs import hookimpl\n@hookimpl\ndef signers(event): return {}",
        "its hook 'signers' asks for 'event'; it is given none",
    ),
    "wrapping": (
        "from chain_client.hookspecs import hookimpl\n@hookimpl(wrapper=True)\n"
        "def check_promotion(context):\n    yield\n    return []",
        "wraps the hook 'check_promotion'",
    ),
    "twofold": (
        "from chain_client.hookspecs import hookimpl\n@hookimpl\ndef signers(): return {}\n"
        "@hookimpl(specname='signers')\ndef more(): return {}",
        "'signers' more than once",
    ),
    "listing": (
        "from chain_client.hookspecs import hookimpl\n@hookimpl\ndef signers(): return ['vault']",
        "gives no mapping",
    ),
    "shouting": (
        "from chain_client.hookspecs import hookimpl\n@hookimpl\n"
        "def signers(): return {'Vault:': print}",
        "names a scheme that is none",
    ),
    "dull": (
        "from chain_client.hookspecs import hookimpl\n@hookimpl\ndef signers(): return {'dull': 1}",
        "that can't be called",
    ),
    "asking": (
        "from chain_client.plugin_host import get_plugin_host\nget_plugin_host().plugins()",
        "loading it raised ConfigurationError",
    ),
}


def test_a_broken_plugin_is_reported_and_the_rest_work(install: Install, tmp_path: Path) -> None:
    for name, (source, _) in BROKEN.items():
        install(name, source)
    install("vault", SOUND)
    host = get_plugin_host()
    open_signer("keystore:a.json", base=tmp_path)
    open_signer("vault:a", base=tmp_path)
    found = {plugin.name: plugin for plugin in host.plugins()}
    for name, (_, said) in BROKEN.items():
        assert said in (found[name].error or ""), name
        assert (found[name].hooks, dict(found[name].schemes)) == ((), {})
    assert "hunter2" not in repr(found)
    # Asked for by name it is a clear error, and so is a scheme that it may have wanted to open.
    with pytest.raises(ConfigurationError, match=r"missing of missing-plugin 1\.0 can't be used"):
        host.plugin("missing")
    with pytest.raises(ConfigurationError, match=r"can't be used: it needs the module") as caught:
        open_signer("dull:a", base=tmp_path)
    known = str(caught.value).partition("known schemes: ")[2].partition("; ")[0].split(", ")
    assert {"keystore:", "vault:"} <= set(known)
    assert "dull:" not in known
    assert "hunter2" not in str(caught.value)


def test_an_interrupt_by_a_person_is_no_broken_plugin(install: Install) -> None:
    install("interrupted", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        get_plugin_host().plugins()


def test_two_plugins_for_one_scheme_are_an_error_that_names_both(
    install: Install, tmp_path: Path
) -> None:
    claim = """
        from chain_client.hookspecs import hookimpl
        @hookimpl
        def signers():
            return {"keystore": print, "mine": lambda uri, base, password: [uri]}
    """
    install("claiming", claim)
    host = get_plugin_host()
    with pytest.raises(ConfigurationError, match=r"more than one plugin opens 'keystore:'") as told:
        open_signer("keystore:a.json", base=tmp_path)
    assert "claiming of claiming-plugin 1.0" in str(told.value)
    assert "keystore of mlops-chain" in str(told.value)
    assert host.factory("signers", "mine", "signer")("mine:x", tmp_path, None) == ["mine:x"]
    assert "keystore" not in host.factories("signers")
    assert [said for said in host.conflicts() if "'keystore:'" in said]
    host.unregister("claiming")
    open_signer("keystore:a.json", base=tmp_path)
    assert host.conflicts() == ()


def test_of_two_plugins_of_one_name_neither_is_used(install: Install, tmp_path: Path) -> None:
    install("vault", "raise AssertionError('imported')", "one")
    install("vault", "raise AssertionError('imported')", "other")
    host = get_plugin_host()
    errors = [plugin.error or "" for plugin in host.plugins() if plugin.name == "vault"]
    assert len(errors) == 2
    assert all("vault of one 1.0 and vault of other 1.0: remove one" in said for said in errors)
    with pytest.raises(ConfigurationError, match=r"two plugins have this name.*remove one"):
        host.plugin("vault")
    with pytest.raises(ConfigurationError, match=r"no signer is known.*two plugins have this name"):
        open_signer("vault:a", base=tmp_path)


def test_a_plugin_with_the_name_of_a_built_in_takes_nothing_away(
    install: Install, tmp_path: Path
) -> None:
    install("keystore", "raise AssertionError('imported')", "rival")
    open_signer("keystore:a.json", base=tmp_path)
    errors = {one.distribution: one.error for one in get_plugin_host().plugins()}
    assert errors["mlops-chain"] is None
    assert "its name is that of one of our own" in (errors["rival"] or "")


def test_a_plugin_that_hangs_while_it_is_loaded_is_left_alone(site: Path, tmp_path: Path) -> None:
    write_distribution(
        site,
        "slow",
        modules={"slow_plugin": "import threading; threading.Event().wait(60)"},
        plugins={"slow": "slow_plugin"},
    )
    with using_plugin_host(PluginHost(patience_s=0.2)) as host:
        open_signer("keystore:a.json", base=tmp_path)
        with pytest.raises(ConfigurationError, match=r"loading it took longer than 0.2 s"):
            host.plugin("slow")


def test_a_plugin_without_metadata_is_reported_and_the_rest_work(
    install: Install, site: Path, tmp_path: Path
) -> None:
    install("lost", "raise AssertionError('imported')", "lost")
    [metadata] = site.glob("lost-*.dist-info/METADATA")
    metadata.unlink()
    open_signer("keystore:a.json", base=tmp_path)
    [error] = [one.error for one in get_plugin_host().plugins() if one.name == "lost"]
    assert "metadata of its distribution can't be read" in (error or "")


def test_plugins_of_others_stay_off_where_nobody_asks_for_them(
    install: Install, tmp_path: Path
) -> None:
    install("vault", "raise AssertionError('imported')", module="plugged_but_off")
    with using_plugin_host(PluginHost(third_party=False)) as host:
        [found] = [plugin for plugin in host.plugins() if plugin.name == "vault"]
        assert found.is_off
        assert "MLOPS_CHAIN_PLUGINS" in (found.error or "")
        with pytest.raises(ConfigurationError, match=r"'vault:'.*MLOPS_CHAIN_PLUGINS is own"):
            open_signer("vault:a", base=tmp_path)
    with using_plugin_host(), own_plugins_first():
        open_signer("keystore:a.json", base=tmp_path)
        assert "plugged_but_off" not in sys.modules
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chain_client.plugin_host.process._host", None)
        patch.setenv("MLOPS_CHAIN_PLUGINS", "none")
        with pytest.raises(ConfigurationError, match="expected all or own, got 'none'"):
            get_plugin_host()


def test_plugins_are_loaded_once_by_many_threads_and_in_forked_children(
    install: Install, tmp_path: Path
) -> None:
    counter = tmp_path / "loaded"
    noted = f"with open({str(counter)!r}, 'a') as file: file.write('x')"
    install("vault", noted + dedent(SOUND))
    host = get_plugin_host()
    # A child of a process in which another thread holds the lock goes on without it.
    with host._lock:
        assert in_fork(lambda: _named_in_a_thread(host)) == "vault"
    assert counter.read_text() == "x"
    counter.write_text("")
    start, seen = threading.Barrier(8), []

    def look() -> None:
        start.wait(30)
        seen.append(host.plugin("vault"))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 8
    assert counter.read_text() == "x"


def _named_in_a_thread(host: PluginHost) -> str:
    """In a thread of its own, which can't take a lock that this one holds."""
    found: list[str] = []
    worker = threading.Thread(target=lambda: found.append(host.plugin("vault").name), daemon=True)
    worker.start()
    worker.join(30)
    return "".join(found)


def test_what_a_factory_raises_gets_out_as_an_error_of_ours_without_its_text(
    install: Install, tmp_path: Path
) -> None:
    install(
        "clumsy",
        f"""
        from chain_client.errors import LedgerUnavailable
        from chain_client.hookspecs import hookimpl

        def leave(*values):
            raise SystemExit({SECRET!r})

        def wait(*values):
            raise LedgerUnavailable("try again later")

        @hookimpl
        def signers():
            return {{"clumsy": leave}}

        @hookimpl
        def ledgers():
            return {{"away": wait}}
        """,
    )
    with pytest.raises(ConfigurationError, match=r"clumsy-plugin 1\.0.*'clumsy:'.*Sys") as told:
        open_signer("clumsy:a", base=tmp_path)
    assert "hunter2" not in str(told.value)
    with pytest.raises(LedgerUnavailable, match="try again later"):
        open_ledger(Settings(tmp_path, ledger_url="away:x"))


def test_the_notifier_is_gone_when_it_is_unregistered() -> None:
    with using_plugin_host(PluginHost(third_party=False)) as host:
        assert [call.plugin.name for call in host.observers("alarm_raised")] == ["notifier"]
        host.unregister("notifier")
        assert host.observers("alarm_raised") == ()


def test_a_home_is_not_made_by_halves_where_no_key_can_be_opened(tmp_path: Path) -> None:
    with using_plugin_host(PluginHost(third_party=False)) as host:
        host.unregister("keystore")
        with pytest.raises(ConfigurationError, match="no signer is known for 'keystore:'"):
            ChainClient.open(Settings(tmp_path / "home"), create=True)
    assert list((tmp_path / "home" / "keys").iterdir()) == []
