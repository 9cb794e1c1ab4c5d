"""``mlops-chain notify``: who is reached, and what is wrong with the settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.receivers import mail_receiver, web_receiver

Run = Callable[..., tuple[int, str, str]]


def _set(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"MLOPS_CHAIN_NOTIFY_{name}", value)


def test_a_test_reaches_everybody_and_says_who_is_not_reached(
    home: Path, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = mlops_chain("--home", home, "notify", "secret", "--json")
    secret = json.loads(out)["file"]
    assert code == 0
    assert Path(secret).read_text().strip() not in out
    with web_receiver() as web, mail_receiver() as mail:
        _set(
            monkeypatch,
            APPROVERS="bob@example.com,carol@example.com",
            OPERATORS_WEBHOOK_URL=web.url(),
            SMTP_URL=f"smtp://127.0.0.1:{mail.port}",
            EMAIL_FROM="chain@example.com",
        )
        code, out, _ = mlops_chain("--home", home, "notify", "test", "--json")
        assert (code, json.loads(out)["ok"]) == (0, True)
        assert web.types() == ["test"]
        assert mail.mails[0].to == ["bob@example.com", "carol@example.com"]
        web.answers.append(404)
        code, out, err = mlops_chain("--home", home, "notify", "test")
        assert code == 1
        assert "the webhook at 127.0.0.1 answers 404" in " ".join(out.split())
        assert "2 addresses by the mail server 127.0.0.1" in " ".join(out.split())
        assert "T0P-SECRET" not in out + err


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "the settings name nobody to tell"),
        ({"APPROVERS": "bob@example.com"}, "notify.smtp_url names no mail server"),
        (
            {"APPROVERS": "bob@example.com", "SMTP_URL": "smtp://127.0.0.1"},
            "notify.email_from: expected the sender's one e-mail address",
        ),
        (
            {"OPERATORS_WEBHOOK_URL": "http://hooks.example.com/T0P-SECRET"},
            "notify.operators_webhook_url: expected https://",
        ),
        (
            {"OPERATORS_WEBHOOK_URL": "https://h.example.com/T0P-SECRET"},
            "mlops-chain notify secret",
        ),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(
    home: Path,
    mlops_chain: Run,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    text: str,
) -> None:
    _set(monkeypatch, **settings)
    code, out, err = mlops_chain("--home", home, "notify", "test")
    assert code in (1, 2)
    said = " ".join((out + err).split())
    assert text in said
    assert "T0P-SECRET" not in said


def test_a_secret_is_never_replaced(home: Path, mlops_chain: Run) -> None:
    assert mlops_chain("--home", home, "notify", "secret")[0] == 0
    before = (home / "keys/webhook-secret").read_text()
    code, _, err = mlops_chain("--home", home, "notify", "secret")
    assert code == 2
    assert "is there already" in " ".join(err.split())
    assert (home / "keys/webhook-secret").read_text() == before
