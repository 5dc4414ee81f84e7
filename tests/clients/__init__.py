"""Real clients, each with a script that ends non-zero when something was not as it should be.

`python -m tests.clients` runs them against a gateway and prints a table. A script alone (`python -m
tests.clients.codex`) takes its gateway from CIDERMILL_URL, CIDERMILL_KEY and CIDERMILL_NAME.
"""
