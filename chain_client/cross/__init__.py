"""Cross-anchoring: the log's head on a second chain too, which its keeper does not own.

Whoever owns a private chain can write its whole past anew, and the log with it. A head that stood
on another chain before shows that: see `check`. `place` finds the second chain, `anchoring` brings
heads to it; `chain_client.deploying.cross` puts an `EventLog` there.
"""
