"""From MLflow's call arguments to events: pure functions, one for each recorded method.

Each takes the arguments of the store's method and gives (subject kind, subject id, payload).
The subject id is empty where the call mints it. Values stand in the payload as the store will
show them; where that differs from what was given, the original stands behind them.
"""
