"""Run by alembic: migrates on the connection, and in the transaction, of `schema_version`."""

from alembic import context

from chain_client.log.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
