"""A relay tells approvers and operators, with a real web server and a real mail server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.home import Home
from chain_client.ledger.deployment import Deployment
from chain_client.plugin_host import PluginHost
from chain_client.relay.lock import is_relay_running
from tests.certificates import Authority
from tests.integration.governance.conftest import POLICY, Site
from tests.plugin_distributions import write_distribution
from tests.receivers import MailReceiver, WebReceiver, mail_receiver, wait_until, web_receiver


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


def _notify(site: Site, web: WebReceiver, mail: MailReceiver) -> dict[str, str]:
    """Settings with which a relay of the site tells both."""
    site.chain("notify", "secret")
    return {
        "MLOPS_CHAIN_NOTIFY_APPROVERS": "bob@example.com, carol@example.com",
        "MLOPS_CHAIN_NOTIFY_OPERATORS": "ops@example.com",
        "MLOPS_CHAIN_NOTIFY_APPROVERS_WEBHOOK_URL": web.url(),
        "MLOPS_CHAIN_NOTIFY_OPERATORS_WEBHOOK_URL": web.url(),
        "MLOPS_CHAIN_NOTIFY_SMTP_URL": f"smtp://127.0.0.1:{mail.port}",
        "MLOPS_CHAIN_NOTIFY_EMAIL_FROM": "chain@example.com",
        "MLOPS_CHAIN_RELAY_HTTP": "",
    }


@contextmanager
def _relay(site: Site, *words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A relay in a process of its own; killed at the end if it is still there."""
    output = site.folder / "relay.txt"
    with output.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "chain_client.cli", "--home", str(site.home), "relay", *words],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        if "--once" not in words:
            # Else a command beside it might take the relay's place for a moment.
            wait_until(lambda: is_relay_running(site.home / "relay.lock"), "the relay's beginning")
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_people_are_told_once_though_a_server_is_away_and_a_relay_is_killed_and_restarted(
    site: Site, web: WebReceiver, mail: MailReceiver
) -> None:
    environment = _notify(site, web, mail)
    with _relay(site, **environment) as relay:
        first = _propose_and_approve(site, web)
        wait_until(lambda: "proposal.promoted" in web.types(), "the promotion")
        wait_until(lambda: len(mail.mails) == 4, "the fourth mail")
        _end(relay)
    expected = ["proposal.proposed", "proposal.approved", "proposal.quorum", "proposal.promoted"]
    assert web.types() == expected
    _check_signatures(site.home / "keys/webhook-secret", web)
    _check_proposed(first, web, mail)

    # While none ran: a proposal that is rejected. And an alarm that another process raised.
    second = site.propose(2)
    site.chain(
        *("model", "reject", second, "--reason", "fails on leap days"),
        *("--key", site.keys["bob"], "--yes"),
    )
    client = ChainClient(Settings(home=site.home), _deployment(site))
    client.log.raise_alarm("source_forked", "some source", "a copied spool went on")
    web.answers += [503] * 1000
    output = site.folder / "relay.txt"
    with _relay(site, **environment) as relay:
        wait_until(lambda: "127.0.0.1 answers 503" in output.read_text(), "the first try")
        os.killpg(relay.pid, signal.SIGKILL)
        relay.wait(60)
    web.settle()
    web.answers.clear()
    # What was told is not told again by another one, what was not is.
    with _relay(site, **environment) as relay:
        wait_until(lambda: len(web.taken) == 7, "what happened meanwhile")
        client.log.clear_alarm("source_forked", "some source")
        wait_until(lambda: len(web.taken) == 8, "the end of the alarm")
        wait_until(lambda: any("alarm ended" in m.subject for m in mail.mails), "its mail")
        _end(relay)
    client.close()
    later = ["proposal.proposed", "proposal.rejected"]
    types = [one.document["type"] for one in web.taken]
    assert [kind for kind in types[4:] if kind.startswith("proposal")] == later
    alarms = [one for one in web.taken if one.document["type"].startswith("alarm")]
    assert [one.document["type"] for one in alarms] == ["alarm.raised", "alarm.ended"]
    assert alarms[0].document["data"]["detail"] == "a copied spool went on"
    assert len({one.headers["webhook-id"] for one in web.posted}) == 8
    rejected = next(m for m in mail.mails if "rejected by bob" in m.subject)
    assert "Reason     fails on leap days" in rejected.text
    assert {tuple(m.to) for m in mail.mails if "alarm" in m.subject} == {("ops@example.com",)}
    assert len({m.mail["Message-ID"] for m in mail.mails}) == 8

    status = json.loads(site.chain("status", "--json"))
    told = {one["name"]: (one["told"], one["trouble"]) for one in status["observers"]}
    for audience in ("approvers", "operators"):
        assert told.pop(f"notifier/{audience}-webhook") == (2, None)
        # The relay that was killed may have told these, and remembered it.
        assert told.pop(f"notifier/{audience}-mail") in ((2, None), (1, None), (0, None))
    assert told == {}
    said = output.read_text()
    assert "T0P-SECRET" not in said
    assert "the webhook at 127.0.0.1 answers 503" in said


def _propose_and_approve(site: Site, web: WebReceiver) -> str:
    proposal = site.propose(1)
    # Who was told can read it, too: the log has its text.
    wait_until(lambda: "proposal.proposed" in web.types(), "the first message")
    site.approve(proposal, "bob", "carol")
    return proposal


def _check_signatures(secret_file: Path, web: WebReceiver) -> None:
    """By the words of the specification, with none of our code."""
    secret = base64.b64decode(secret_file.read_text().strip().removeprefix("whsec_"))
    for one in web.posted:
        content = b".".join(
            [
                one.headers["webhook-id"].encode(),
                one.headers["webhook-timestamp"].encode(),
                one.body,
            ]
        )
        expected = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
        assert one.headers["webhook-signature"] == f"v1,{expected}"


def _check_proposed(proposal: str, web: WebReceiver, mail: MailReceiver) -> None:
    document = web.posted[0].document
    data = document["data"]
    assert (data["proposal"], data["model"], data["version"]) == (proposal, "fraud", 1)
    assert data["requester"]["name"] == "ada"
    assert [person["name"] for person in data["may_still_approve"]] == ["bob", "carol"]
    first = mail.mails[0]
    assert first.to == ["bob@example.com", "carol@example.com"]
    assert first.subject == "[mlops-chain] approval wanted: fraud version 1 for alias:champion"
    assert first.text == document["text"].partition("\n\n")[2]
    assert f"mlops-chain model approve {proposal[:14]} --key YOUR_KEY" in first.text
    assert "Approvals    0 of 2" in first.text


def _deployment(site: Site) -> Deployment:
    return Deployment.read(Home(site.home).deployment_file)


_BAD_OBSERVER = """
import os, sys, threading
from chain_client.hookspecs import hookimpl

@hookimpl
def proposal_changed(change, settings):
    if change.kind == "proposed":
        os.fork()
        sys.exit("observers can't end a relay")
    object.__setattr__(change, "model", "changed by an observer")
    open(os.environ["HANGS"], "w").close()
    threading.Event().wait()
"""


def test_an_observer_that_forks_exits_and_hangs_stops_neither_the_relay_nor_the_notifier(
    site: Site,
    web: WebReceiver,
    mail: MailReceiver,
    third_party_plugins: PluginHost,
    tmp_path: Path,
) -> None:
    folder, hangs = tmp_path / "site-packages", tmp_path / "hangs"
    write_distribution(
        folder,
        "a-bad-observer",
        modules={"a_bad_observer": _BAD_OBSERVER},
        plugins={"bad": "a_bad_observer"},
    )
    environment = _notify(site, web, mail) | {
        "PYTHONPATH": str(folder),
        "HANGS": str(hangs),
        "MLOPS_CHAIN_OBSERVERS_TIMEOUT_S": "8",
        "MLOPS_CHAIN_NOTIFY_APPROVERS": "",
        "MLOPS_CHAIN_NOTIFY_APPROVERS_WEBHOOK_URL": web.url(),
    }
    with _relay(site, **environment) as relay:
        _propose_and_approve(site, web)
        wait_until(hangs.exists, "the call that hangs")
        wait_until(lambda: "proposal.promoted" in web.types(), "the promotion")
        wait_until(lambda: "longer than 8 s" in site.chain("status", "--json"), "its figures")
        _end(relay)  # though one of its observers never comes back
    names = {one.document["data"]["model"] for one in web.posted}
    assert names == {"fraud"}
    assert len(web.posted) == 4
    assert not is_relay_running(site.home / "relay.lock")
    observers = {
        one["name"]: one for one in json.loads(site.chain("status", "--json"))["observers"]
    }
    bad, webhook = observers["bad/proposal_changed"], observers["notifier/approvers-webhook"]
    assert (bad["told"], bad["failed"], bad["hanging"]) == (0, 1, 1)
    assert bad["skipped"] >= 1
    assert bad["trouble"] == "a call of proposal_changed takes longer than 8 s"
    assert (webhook["told"], webhook["trouble"]) == (4, None)
    client = ChainClient(Settings(home=site.home), _deployment(site))
    client.log.raise_alarm("source_forked", "some source", "a copied spool went on")
    client.close()
    web.answers.append(503)
    with _relay(site, "--once", **environment) as relay:
        assert relay.wait(120) == 0
    # What the observer hung at is told to nobody again; and it ends when it could tell the alarm.
    assert web.types()[4:] == ["alarm.raised"] * 2
    assert len({one.headers["webhook-id"] for one in web.posted}) == 5
    assert (
        json.loads(site.chain("status", "--json"))["observers"][0]["name"] == "bad/proposal_changed"
    )


_WARNING_CHECK = """
from chain_client.checks import CheckFinding
from chain_client.hookspecs import hookimpl

@hookimpl
def check_promotion(context):
    yield CheckFinding("warn", "it saw 3 rows\\nDeadline     never", {"rows": 3})
"""


def test_approvers_read_what_checks_warn_of_before_they_look_at_the_proposal(
    site: Site,
    web: WebReceiver,
    mail: MailReceiver,
    third_party_plugins: PluginHost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, policy = tmp_path / "site-packages", tmp_path / "policy.toml"
    write_distribution(
        folder,
        "a-check-of-rows",
        modules={"a_check_of_rows": _WARNING_CHECK},
        plugins={"rows": "a_check_of_rows"},
    )
    monkeypatch.syspath_prepend(folder)
    members = POLICY.format(members='["bob", "carol"]')
    policy.write_text(f'{members}checks = ["enough"]\n[checks.enough]\nplugin = "rows"\n')
    site.chain("policy", "apply", policy, "--yes")
    # The relay has no such plugin: it tells what the log says.
    with _relay(site, **_notify(site, web, mail), MLOPS_CHAIN_PLUGINS="own") as relay:
        site.propose(1)
        wait_until(lambda: web.posted and mail.mails, "the first message")
        _end(relay)
    (waiting,) = site.json("approvals")["waiting"]
    (warning,) = waiting["checks"]["warnings"]
    told = web.posted[0].document["data"]["checks"]
    assert told["obstacle"] is waiting["checks"]["obstacle"] is None
    for name in ("report", "configuration", "passed"):
        assert told[name] == waiting["checks"][name]
    assert told["warnings"] == [{"check": "enough", "text": warning["text"]}]
    passed = "enough (plugin rows of a-check-of-rows 1.0)"
    configuration = told["configuration"][:14]
    assert (
        f"Checks       passed, says ada: {passed}; configuration {configuration}…\n"
        "Warning      enough: it saw 3 rows\\u000aDeadline     never\n"
        "Deadline     2"
    ) in mail.mails[0].text


def test_a_mail_server_is_told_nothing_before_the_relay_trusts_it_and_everything_then(
    site: Site, tmp_path: Path
) -> None:
    authority, password = Authority(tmp_path), tmp_path / "password"
    password.write_text("hunter2\n")
    # An address of this machine that does not count as such, so that TLS is demanded.
    host, login, context = "127.0.0.2", ("chain", "hunter2"), authority.server("127.0.0.2")
    with mail_receiver(host=host, login=login, starttls=context) as mail:
        environment = {
            "MLOPS_CHAIN_NOTIFY_APPROVERS": "bob@example.com",
            "MLOPS_CHAIN_NOTIFY_SMTP_URL": f"smtp://{host}:{mail.port}",
            "MLOPS_CHAIN_NOTIFY_SMTP_USER": login[0],
            "MLOPS_CHAIN_NOTIFY_SMTP_PASSWORD_FILE": str(password),
            "MLOPS_CHAIN_NOTIFY_EMAIL_FROM": "chain@example.com",
            "MLOPS_CHAIN_RELAY_HTTP": "",
        }
        with _relay(site, **environment) as relay:
            site.propose(1)
            # The relay logs its reason once, and tries again.
            said = f"the certificate of the mail server {host}:{mail.port} is not accepted"
            output = site.folder / "relay.txt"
            wait_until(lambda: said in output.read_text(), "the refusal")
            _end(relay)
        assert (mail.logins, mail.senders) == ([], [])
        with _relay(site, **environment, SSL_CERT_FILE=str(authority.file)) as relay:
            wait_until(lambda: mail.mails, "the mail")
            _end(relay)
    assert (mail.logins, mail.were_encrypted) == ([login], [True])
    assert mail.mails[0].subject.startswith("[mlops-chain] approval wanted: fraud version 1")
    assert "hunter2" not in output.read_text()
