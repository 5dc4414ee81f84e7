"""The console command. Each verb has a file of its own; it is loaded only when it is called."""

from __future__ import annotations

from pathlib import Path

import click

_INVENTORY = click.argument("inventory", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Look after a lab of Macs that one inventory file declares.

    To bring the Macs to what it declares: pyinfra INVENTORY deploy.py
    """


@main.command()
@_INVENTORY
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the report.")
def doctor(inventory: Path, *, as_json: bool) -> None:
    """Examine every Mac, cable and daemon, change nothing, and end with 1 when anything is not as declared."""
    from operations.command.doctor import examine

    raise SystemExit(examine(inventory, as_json=as_json))


@main.command()
@_INVENTORY
@click.option("--weights", "weights_too", is_flag=True, help="Remove weights as well; without it they stay.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def remove(inventory: Path, *, weights_too: bool, yes: bool) -> None:
    """Undo what Cidermill did on every Mac, put settings back as they were, and prove it."""
    from operations.command.remove import remove_from

    raise SystemExit(remove_from(inventory, weights_too=weights_too, ask=not yes))
