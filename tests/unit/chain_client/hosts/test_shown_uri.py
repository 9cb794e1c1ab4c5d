"""What people and records see of an address."""

from __future__ import annotations

import pytest

from chain_client.errors import ConfigurationError
from chain_client.shown_uri import refuse_key, to_shown_uri, without_userinfo

PRIVATE = "1f" * 32
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:////srv/a@b:c/mlflow.db", "sqlite:////srv/a@b:c/mlflow.db"),
        ("/srv/a:b@c/mlflow.db", "/srv/a:b@c/mlflow.db"),
        ("models:/net@champion", "models:/net@champion"),
        ("mlflow-artifacts:/1/a:b@c", "mlflow-artifacts:/1/a:b@c"),
        ("postgresql://ml:hunter2@db:5432/x", "postgresql://ml:***@db:5432/x"),
        ("postgresql://ml:hun/ter?2@db/x", "postgresql://ml:***@db/x"),
        ("postgresql://ml@corp:hunter2@db/x", "***@db/x"),
        ("postgresql://db/x?user=u&password=hunter2", "postgresql://db/x?***"),
        ("mysql://ml:hunter2@db/x?ssl_key=hunter2", "mysql://ml:***@db/x?***"),
        ("chain+postgresql:/me:hunter2@db/x", "chain+postgresql:/me:***@db/x"),
        ("chain:postgresql:me:hunter2@db", "chain:postgresql:***@db"),
        ("chain:postgresql://me:hunter2@db/x", "chain:postgresql://me:***@db/x"),
        ("http://me:hunter2@host:5000/a", "http://me:***@host:5000/a"),
        ("http://hunter2@host:5000/a@b", "http://***@host:5000/a@b"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("https://host/a?sig=hunter2", "https://host/a?***"),
        ("ftp://me:hunter2@files:21/a", "ftp://me:***@files:21/a"),
        ("abfss://data@account.example/a?sig=hunter2", "abfss://data@account.example/a?***"),
        ("abfss://data:hunter2@account.example/a", "abfss://data:***@account.example/a"),
    ],
)
def test_passwords_tokens_and_queries_are_masked(uri: str, shown: str) -> None:
    assert to_shown_uri(uri).endswith(shown)
    assert "hunter" not in to_shown_uri(uri)
    assert to_shown_uri(to_shown_uri(uri)).endswith(shown)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("ftp://me:hunter2@files:21/a@b?x@y", "ftp://files:21/a@b?x@y"),
        ("ftp://files/a@b", "ftp://files/a@b"),
        ("https://hunter2@host/a", "https://host/a"),
        ("abfss://data@account.example/a", "abfss://data@account.example/a"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ("mlflow-artifacts:/1/a:b@c", "mlflow-artifacts:/1/a:b@c"),
        ("/srv/a@b", "/srv/a@b"),
        ("http://[evil/y", "http://[evil/y"),
    ],
)
def test_a_place_stays_the_same_without_its_user(uri: str, place: str) -> None:
    assert without_userinfo(uri) == place


@pytest.mark.parametrize(
    "uri",
    [
        f"0x{PRIVATE}",
        PRIVATE.upper(),
        f" '{PRIVATE}'\n",
        f"0x{PRIVATE[:-3]}",
        f"keystore:{PRIVATE}",
        f"keystore:keys/0x{PRIVATE}",
        f"vault:{PRIVATE}",
        WORDS,
        f"keystore:{WORDS}",
    ],
)
def test_a_key_in_the_place_of_its_uri_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="looks like a private key") as raised:
        refuse_key(uri)
    assert not any(part in str(raised.value).lower() for part in (PRIVATE[:12], "sausage"))


@pytest.mark.parametrize(
    "uri",
    [
        "keystore:keys/ada.json",
        f"keystore:/var/lib/{PRIVATE}/key.json",
        f"keystore:{PRIVATE}.json",
        f"keystore:/k/UTC--2026-03-22T12-57-55.920751759Z--{'7e' * 20}",
        f"awskms:arn:aws:kms:eu-1:1:key/{'0a' * 16}",
        "keystore:/srv/a folder of many words with a key in it for ada and bob.json",
        "0x" + "7e" * 20,
        "",
    ],
)
def test_what_names_a_key_passes(uri: str) -> None:
    refuse_key(uri)
