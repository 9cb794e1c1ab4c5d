"""Each receiver is told by itself: one that is away keeps nothing from the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain_client.clock import SystemClock
from chain_client.config import Settings
from chain_client.log import Log
from chain_client.notices import ObserverSettings
from chain_client.notifying.webhook import create_secret
from chain_client.plugin_host import PluginHost
from chain_client.relay.announcing import TOLD, Announcer
from chain_client.relay.announcing_assembly import find_dispatcher
from chain_client.relay.figures import Tally
from tests.plugin_distributions import write_distribution
from tests.receivers import MailReceiver, WebReceiver, mail_receiver, wait_until, web_receiver
from tests.unit.chain_client.notifying.notices import a_change, an_alarm


@pytest.fixture
def approvers() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def operators() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


@pytest.fixture
def settings(
    tmp_path: Path, approvers: WebReceiver, operators: WebReceiver, mail: MailReceiver
) -> Settings:
    found = Settings(
        home=tmp_path,
        ledger_url="https://me:hunter2@node.example.com/T0P-SECRET",
        notify_approvers="bob@example.com",
        notify_operators="ops@example.com",
        notify_approvers_webhook_url=approvers.url(),
        notify_operators_webhook_url=operators.url(),
        notify_smtp_url=f"smtp://127.0.0.1:{mail.port}",
        notify_email_from="chain@example.com",
    )
    create_secret(tmp_path / found.notify_webhook_secret_file)
    return found


def test_a_webhook_of_approvers_that_is_away_keeps_nothing_from_operators_nor_from_their_mail(
    settings: Settings, approvers: WebReceiver, operators: WebReceiver, mail: MailReceiver
) -> None:
    approvers.answers += [503] * 100
    dispatcher = find_dispatcher(settings, SystemClock())
    first = dispatcher.tell("proposal_changed", change=a_change(notice_id="1" * 32))
    wait_until(lambda: len(approvers.posted) == 1, "the first try")
    dispatcher.tell("proposal_changed", change=a_change(notice_id="2" * 32))
    dispatcher.tell("alarm_raised", alarm=an_alarm())
    expected = {
        "notifier/approvers-mail": (2, 0),
        "notifier/approvers-webhook": (0, 2),
        "notifier/operators-mail": (1, 0),
        "notifier/operators-webhook": (1, 0),
    }

    def counted() -> dict[str, tuple[int, int]]:
        return {name: (one.told, one.waiting) for name, one in dispatcher.figures().items()}

    # Who is told has it before it is counted.
    wait_until(lambda: counted() == expected, "what everybody but one webhook is told")
    assert (len(operators.posted), len(mail.mails)) == (1, 3)
    name = "notifier/approvers-webhook"
    wait_until(lambda: dispatcher.figures()[name].trouble, "its trouble")
    assert dispatcher.figures()[name].trouble == "the webhook at 127.0.0.1 answers 503"
    assert sorted(str(one.outcome) for one in first) == ["None", "told"]
    to = [mailed.mail["Message-ID"][:4] for mailed in mail.mails if "bob" in mailed.to[0]]
    assert to == ["<111", "<222"]
    dispatcher.close()


def test_a_secret_that_is_missing_keeps_back_one_receiver_until_it_is_there(
    settings: Settings, approvers: WebReceiver, mail: MailReceiver, tmp_path: Path
) -> None:
    secret = tmp_path / settings.notify_webhook_secret_file
    secret.rename(tmp_path / "away")
    dispatcher = find_dispatcher(settings, SystemClock())
    tickets = dispatcher.tell("proposal_changed", change=a_change())
    wait_until(lambda: len(mail.mails) == 1, "the mail")
    name = "notifier/approvers-webhook"
    wait_until(lambda: dispatcher.figures()[name].trouble, "its trouble")
    assert "the webhook's secret can't be read" in (dispatcher.figures()[name].trouble or "")
    assert approvers.posted == []
    (tmp_path / "away").rename(secret)
    wait_until(lambda: all(one.outcome == "told" for one in tickets), "the webhook")
    assert len(approvers.posted) == 1
    dispatcher.close()


def test_no_receiver_is_told_of_the_others_and_no_other_plugin_of_any(
    settings: Settings,
    third_party_plugins: PluginHost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = (
        "from chain_client.hookspecs import hookimpl\n"
        "told = []\n"
        "@hookimpl\n"
        "def alarm_raised(alarm, settings):\n"
        "    told.append(settings)\n"
    )
    folder = tmp_path / "site"
    write_distribution(
        folder,
        "a-logger",
        modules={"a_logger_of_a_test": source},
        plugins={"a": "a_logger_of_a_test"},
    )
    monkeypatch.syspath_prepend(folder)
    dispatcher = find_dispatcher(settings, SystemClock())
    given = {one.name: one._given["settings"] for one in dispatcher._observers}
    assert given.pop("a/alarm_raised") == ObserverSettings(tmp_path)
    for name, one in given.items():
        assert isinstance(one, ObserverSettings)
        urls = [one.notify.approvers_webhook_url, one.notify.operators_webhook_url]
        addresses = [one.notify.approvers, one.notify.operators]
        assert len([x for x in urls + addresses if x]) == 1, name
        assert "T0P-SECRET" not in repr(one)
    assert "hunter2" not in str(given)


@contextmanager
def _announcing(log: Log, settings: Settings) -> Iterator[None]:
    clock = SystemClock()
    announcer = Announcer(
        *(log, lambda: find_dispatcher(settings, clock), None, "deployment"),
        *(settings.relay_lease_s, Tally(), clock, 0.1),
    )
    announcer.start()
    yield
    announcer.stop()


def test_after_a_restart_only_who_was_not_told_is(
    settings: Settings, operators: WebReceiver, mail: MailReceiver, tmp_path: Path
) -> None:
    log = Log(f"sqlite:///{tmp_path / 'log.db'}")
    log.create()
    operators.answers += [503] * 2
    with _announcing(log, settings):
        log.raise_alarm("chain", "a", "it does not answer")
        wait_until(lambda: len(operators.posted) == 1, "the first try")
        log.raise_alarm("chain", "b", "it does not answer")
        wait_until(lambda: len(mail.mails) == 2, "the mails")
    assert list(json.loads(log.cursor(TOLD) or "").values()) == [["notifier/operators-mail"]] * 2
    operators.answers.clear()
    with _announcing(log, settings):
        wait_until(lambda: len(operators.posted) == 3, "the webhook")
        wait_until(lambda: log.cursor(TOLD) == "{}", "nothing that is open")
    log.close()
    assert len(mail.mails) == 2
    subjects = [one.document["data"]["subject"] for one in operators.posted]
    assert subjects == ["a", "a", "b"]
