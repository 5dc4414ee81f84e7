"""How fast the replica whose rank 0 is on this machine generates: `python -m serving.agent.speed CONFIG.json`.

Prints one line of JSON (`serving.conductor.speed.Speed`). Ask it of a replica that has nothing else to do, such as one
that drains. With `--enough` and `--readmit-by` it ends a drain as soon as the replica is found fast enough: clients who
wait do not wait for another command. Ends with 1, the reason on standard error, when it cannot be told. Standard
library alone, as in `serving.agent.status`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from serving.agent.local import LocalAgent, door
from serving.errors import CidermillError


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="serving.agent.speed", description="How fast this replica generates.")
    parser.add_argument("configuration", type=Path)
    parser.add_argument("--enough", type=float, help="tokens per second that will do: no more rounds once it has them")
    parser.add_argument("--readmit-by", metavar="NAME", help="whose drain ends once it has them")
    given = parser.parse_args(arguments)
    agent = LocalAgent(door(given.configuration.resolve()))
    try:
        speed = agent.speed(given.enough)
        is_enough = given.enough is not None and json.loads(speed)["tokens_per_second"] >= given.enough
        if given.readmit_by is not None and is_enough:
            agent.readmit(given.readmit_by)
        print(speed)
    except CidermillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
