"""How fast the replica whose rank 0 is on this machine generates: `python -m serving.agent.speed CONFIG.json`.

Prints one line of JSON (`serving.conductor.speed.Speed`). Ask it of a replica that has nothing else to do, such as one
that drains. Ends with 1, the reason on standard error, when it cannot be told. Standard library alone, as in
`serving.agent.status`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from serving.agent.local import LocalAgent, door
from serving.errors import CidermillError


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="serving.agent.speed", description="How fast this replica generates.")
    parser.add_argument("configuration", type=Path)
    given = parser.parse_args(arguments)
    try:
        print(LocalAgent(door(given.configuration.resolve())).speed())
    except CidermillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
