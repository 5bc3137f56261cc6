"""Federated adaptation: people's recordings stay with them, and only what a method trains is sent.

`aggregation`, `task` and `people` need no Flower; `client`, `server` and `simulation` import it.
"""
