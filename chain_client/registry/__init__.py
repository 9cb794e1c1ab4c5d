"""Governance: who a model is, what is proposed, who signed what, and what the contract holds.

Pure, from the bottom up: `targets`, `identity`, `typed_data`, `summaries`, `proposals`,
`statements`, `history`. With the log: `documents`, `users`, `drafts`. With a policy file:
`policy_files`, `policies`. With the chain: `client`. Import from the modules.
"""
