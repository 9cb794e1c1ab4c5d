"""What people see of a database's address."""

from __future__ import annotations

import pytest

from chain_client.hosts import StoreBinding, to_database_address


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:////srv/mlflow.db", "sqlite:////srv/mlflow.db"),
        ("postgresql://ml:hunter2@db:5432/mlflow", "postgresql://ml:***@db:5432/mlflow"),
        ("postgresql://ml:a@b:c@db/mlflow", "postgresql://ml:***@db/mlflow"),
        ("postgresql://db/mlflow", "postgresql://db/mlflow"),
    ],
)
def test_a_shown_uri_has_no_password(uri: str, shown: str) -> None:
    binding = StoreBinding("id", "mlflow", uri)
    assert binding.to_shown_uri() == shown
    assert "hunter2" not in repr(binding)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql://a:b@db/m", "postgresql+psycopg2://DB:5432/m", True),
        ("postgresql://a:b/c@d@db/m", "postgresql://db/m", False),  # the host is what follows
        ("postgresql://a:b/c?#@db/m", "postgresql://db/m", True),
        ("postgresql://db/m?user=a&password=b&sslmode=x", "postgresql://db/m?sslmode=x", True),
        ("postgresql://db/m?options=-csearch_path=a", "postgresql://db/m", False),
        ("postgresql://db/m", "postgresql://db/n", False),
        ("postgresql://db/m", "postgresql://db:5433/m", False),
        ("postgresql://db/m", "mysql://db/m", False),
        ("mysql+pymysql://[::1]/m", "mysql://[::1]:3306/m", True),
        ("postgresql:///m?host=/tmp", "postgresql+psycopg:///m?host=/tmp", True),
        ("sqlite:////srv/a.db", "sqlite:////srv/A.db", False),
    ],
)
def test_a_database_has_one_address_by_every_driver(one: str, other: str, same: bool) -> None:
    assert (to_database_address(one) == to_database_address(other)) is same
