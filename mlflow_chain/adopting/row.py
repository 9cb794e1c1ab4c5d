"""What a database says of itself, in the one row of its table `mlops_chain_deployment`."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy

from chain_client.errors import ConfigurationError, HostUnavailable
from mlflow_chain.stores.marker import DEPLOYMENT


@dataclass(frozen=True, slots=True)
class AdoptionRow:
    """What a database says about itself.

    Args:
        deployment_id: the deployment that it belongs to.
        store_id: its own id, in every subject.
        adopted: whether its baseline is whole.
    """

    deployment_id: str
    store_id: str
    adopted: bool


def read_adoption(engine: sqlalchemy.Engine) -> AdoptionRow | None:
    """What the database says; None if it was never adopted.

    Raises:
        ConfigurationError: its user may not read it.
        HostUnavailable: it does not answer.
    """
    try:
        if not sqlalchemy.inspect(engine).has_table(DEPLOYMENT.name):
            return None
        with engine.connect() as connection:
            row = connection.execute(sqlalchemy.select(DEPLOYMENT)).first()
    except sqlalchemy.exc.ProgrammingError as exc:
        raise ConfigurationError(
            f"the table {DEPLOYMENT.name} in MLflow's database can't be read "
            f"({type(exc).__name__}); its user needs the right to, as to MLflow's own tables"
        ) from exc
    except sqlalchemy.exc.SQLAlchemyError as exc:
        raise HostUnavailable(f"MLflow's database does not answer ({type(exc).__name__})") from exc
    if row is None:
        return None
    return AdoptionRow(row.deployment_id, row.store_id, row.adopted_us is not None)
