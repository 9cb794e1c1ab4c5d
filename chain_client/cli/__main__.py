"""``python -m chain_client.cli``: how a recorder starts a relay."""

from chain_client.cli import main

main()
