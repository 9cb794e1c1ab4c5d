"""Webhooks: signed as the specification says, and nothing secret is ever shown."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import ChainError, ConfigurationError, HomeNotWritable, ReceiverUnavailable
from chain_client.notifying.texts import describe_change
from chain_client.notifying.webhook import (
    Webhook,
    create_secret,
    make_webhook,
    read_secret,
    sign,
)
from tests.certificates import Authority
from tests.receivers import WebReceiver, web_receiver
from tests.unit.chain_client.notifying.notices import a_change, checks

SECRET = bytes(range(32))


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


def test_the_signature_is_that_of_the_specifications_own_libraries() -> None:
    # https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries, their tests
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_arrives_signed_and_is_the_same_when_it_is_sent_again(web: WebReceiver) -> None:
    webhook = make_webhook(web.url(), SECRET, "notify.approvers_webhook_url")
    message = describe_change(a_change())
    webhook.send(message, 1_800_000_100)
    webhook.send(message, 1_800_000_200)
    first, second = web.posted
    assert first.path == "/hooks/T0P-SECRET-PATH?k=T0P-SECRET-QUERY"
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "ab" * 16
    signed = f"{'ab' * 16}.1800000100.".encode() + first.body
    digest = hmac.new(SECRET, signed, hashlib.sha256).digest()
    assert first.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert first.headers["webhook-timestamp"] == "1800000100"
    document = first.document
    assert document["type"] == "proposal.proposed"
    assert document["timestamp"] == "2027-01-15T08:00:00Z"
    assert document["data"]["target"] == "alias:champion"


def test_warnings_are_there_for_people_and_for_programs(web: WebReceiver) -> None:
    _webhook(web).send(describe_change(a_change(checks=checks("no tag 'owner'\nBcc: x"))), 1)
    (posted,) = web.posted
    found = posted.document["data"]["checks"]
    assert found["warnings"] == [{"check": "tags", "text": "no tag 'owner'\nBcc: x"}]
    assert (found["report"], found["warning_count"]) == (f"0x{'44' * 32}", 1)
    assert "Warning      tags: no tag 'owner'\\u000aBcc: x\n" in posted.document["text"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(web: WebReceiver, status: int) -> None:
    web.answers.append(status)
    with pytest.raises(ConfigurationError, match="a redirect, and none is followed"):
        _webhook(web).send(describe_change(a_change()), 1)
    assert len(web.posted) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_passes_is_tried_again(web: WebReceiver, status: int) -> None:
    web.answers.append(status)
    with pytest.raises(ReceiverUnavailable, match=f"the webhook at 127.0.0.1 answers {status}"):
        _webhook(web).send(describe_change(a_change()), 1)


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_what_does_not_pass_is_not_tried_again(web: WebReceiver, status: int) -> None:
    web.answers.append(status)
    with pytest.raises(ConfigurationError, match=f"answers {status}; see that its address"):
        _webhook(web).send(describe_change(a_change()), 1)


def test_no_error_and_no_repr_shows_path_query_or_secret(web: WebReceiver) -> None:
    errors: list[ChainError] = []
    for answer in (302, 404, 500):
        web.answers.append(answer)
        errors.append(_error(_webhook(web)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}/T0P-SECRET-PATH?T0P-SECRET"
        errors.append(_error(make_webhook(nobody, SECRET, "it")))
    for url in ("ftp://host/T0P-SECRET", "https://me:T0P-SECRET@host/", "http://host/T0P-SECRET"):
        with pytest.raises(ConfigurationError) as refused:
            make_webhook(url, SECRET, "notify.approvers_webhook_url")
        assert "notify.approvers_webhook_url" in str(refused.value)
        errors.append(refused.value)
    for error in errors:
        assert "T0P-SECRET" not in _everything(error)
    assert "T0P-SECRET" not in repr(_webhook(web))
    assert SECRET.hex() not in repr(_webhook(web))


def _everything(error: BaseException) -> str:
    """All that a traceback would print of it."""
    text = f"{error!r} {error}"
    if error.__cause__ is not None:
        text += _everything(error.__cause__)
    if error.__context__ is not None and not error.__suppress_context__:
        text += _everything(error.__context__)
    return text


def test_only_this_machine_is_reached_without_tls() -> None:
    make_webhook("http://localhost:8080/x", SECRET, "it")
    make_webhook("http://[::1]:8080/x", SECRET, "it")
    make_webhook("https://hooks.example.com/x", SECRET, "it")
    for url in ("http://hooks.example.com/x", "http://127.0.0.1.example.com/", "http://10.0.0.1/"):
        with pytest.raises(ConfigurationError, match="http:// is for this machine only"):
            make_webhook(url, SECRET, "it")


def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    with web_receiver(authority.server("127.0.0.1")) as web:
        url = web.url().replace("http:", "https:")
        said = r"the certificate of the webhook at 127\.0\.0\.1 is not accepted \(unable to get"
        with pytest.raises(ReceiverUnavailable, match=said) as refused:
            make_webhook(url, SECRET, "it").send(describe_change(a_change()), 1)
        assert "T0P-SECRET" not in _everything(refused.value)
        assert web.posted == []
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        make_webhook(url, SECRET, "it").send(describe_change(a_change()), 1)
        assert len(web.posted) == 1


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "webhook-secret"
    create_secret(path)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert text.startswith("whsec_")
    assert read_secret(path) == base64.b64decode(text[6:])
    assert len(read_secret(path)) == 32
    with pytest.raises(HomeNotWritable, match="is there already"):
        create_secret(path)
    assert path.read_text() == text


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "no base64 at all!", "é"])
def test_a_file_that_holds_no_secret_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="holds no webhook secret") as refused:
        read_secret(path)
    assert text in ("", "whsec_") or text not in str(refused.value)
    with pytest.raises(ConfigurationError, match="mlops-chain notify secret"):
        read_secret(tmp_path / "none")


def _webhook(web: WebReceiver) -> Webhook:
    return make_webhook(web.url(), SECRET, "notify.approvers_webhook_url")


def _error(webhook: Webhook) -> ChainError:
    with pytest.raises(ChainError) as raised:
        webhook.send(describe_change(a_change()), 1)
    return raised.value
