"""Whether a change of the host agrees with the chain.

From the bottom up: `decision` (pure), `sealed_file`, `snapshot` (what of the registry is known
without the chain), `chain_state` (what one block says), `emergency` (what enough approvers signed
while the chain can't be reached), `modes`, and the door to all of it: `gate.Gate`.
"""
