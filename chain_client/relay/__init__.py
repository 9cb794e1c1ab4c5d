"""The relay: from spool to log to chain, in a process of its own."""
