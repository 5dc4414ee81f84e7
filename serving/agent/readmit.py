"""Lets the replica whose rank 0 is on this machine take requests again: the end of `serving.agent.drain`.

    python -m serving.agent.readmit CONFIG.json [--by NAME | --all]

It ends what NAME ordered, or with `--all` what anybody did, and prints how the replica is then. One that somebody else
holds back as well stays drained, which is said and no error. Standard library alone, as in `serving.agent.status`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from serving.agent.drain import BY
from serving.agent.local import LocalAgent, door
from serving.errors import CidermillError


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="serving.agent.readmit", description="Lets this replica take requests again.")
    parser.add_argument("configuration", type=Path)
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--by", default=BY, metavar="NAME", help="whose drain ends")
    whose.add_argument("--all", action="store_true", help="everybody's")
    given = parser.parse_args(arguments)

    agent = LocalAgent(door(given.configuration.resolve()))
    try:
        agent.readmit(None if given.all else given.by)
        replica = agent.told()["replica"]
    except CidermillError as error:
        print(error, file=sys.stderr)
        return 1
    said = "; ".join(filter(None, (replica["reason"], replica["notice"])))
    print(f"replica {replica['name']}: {replica['state']}{f' ({said})' if said else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
