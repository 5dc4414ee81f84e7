"""What one point shows of the replica whose rank 0 is on this machine: `python -m serving.agent.measure CONFIG.json`.

Reads a `serving.measuring.sample.Order` as JSON from standard input, and prints the `Sample` as one line of JSON. Ends
with 1, the reason on standard error, when the agent cannot be asked.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from serving.agent.local import LocalAgent, door
from serving.errors import CidermillError
from serving.measuring.asking import sample
from serving.measuring.sample import Order


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="serving.agent.measure", description="What one point shows of this replica.")
    parser.add_argument("configuration", type=Path)
    given = parser.parse_args(arguments)
    order = Order(**json.load(sys.stdin))
    own = door(given.configuration.resolve())
    try:
        token = Path(own.token_file).read_text().strip()
        print(json.dumps(asdict(sample(own, LocalAgent(own), token, order))))
    except (CidermillError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
