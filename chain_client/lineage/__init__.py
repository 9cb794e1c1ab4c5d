"""Where a model came from, and what came of something: by the log, whose entries say it.

Adapters say what their events tie together (`chain_client.traces`). `walking` follows that to a
`graph`, `confirming` says which claims somebody else's event confirms, `approval` what the chain
decided; `text`, `document` and `drawing` show it.
"""
