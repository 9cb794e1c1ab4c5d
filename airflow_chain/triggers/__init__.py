"""What waits in the triggerer: for approvals, for anchors, and for what was decided.

A trigger shares its event loop with every other one of its triggerer, so nothing here asks a
chain, a database or a file from within the loop; see `aside`.
"""
