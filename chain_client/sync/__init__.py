"""Making hosts equal to the chain: what is current there stands in the alias or stage.

From the bottom up: `timeline` (what the registry's events say, pure) and `reading`, `tags` (what
people see on a version, pure), `plan` (what a host lacks, pure), `state` (what was done already)
and `syncing`, which reads, promotes and sets.
"""
