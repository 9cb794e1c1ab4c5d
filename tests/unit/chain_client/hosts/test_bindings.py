"""What people see of a database's address."""

from __future__ import annotations

import pytest

from chain_client.hosts import StoreBinding


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
