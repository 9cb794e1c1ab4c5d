"""What people and programs do about models, step by step, beneath the CLI and the operators.

`databases` and `models` find a model by its name, `logged` waits until something stands in the
log, `attesting` reads a version's files, `proposing` writes proposals, `registering`, `promoting`
and `revoking` do what their names say and find what was done before. Nothing here asks a person,
prints, or reads the environment.
"""
