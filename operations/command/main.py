"""The console command. Each verb has a file of its own; it is loaded only when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
@click.option("--json", "as_json", is_flag=True, help="Print the receipt in place of the table.")
def bench(inventory: Path, *, as_json: bool) -> None:
    """Measure every replica that serves, one after the other, and keep a receipt; a minute or two for each."""
    from operations.command.bench import bench
    from serving.command.refusing import refusing

    with refusing():
        raise SystemExit(bench(inventory, as_json=as_json))


@main.command()
@_INVENTORY
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the tables.")
def history(inventory: Path, *, as_json: bool) -> None:
    """Tell who serves what, since when and from which release, and what was before."""
    from operations.command.history import tell

    raise SystemExit(tell(inventory, as_json=as_json))


@main.command()
@_INVENTORY
@click.option("--weights", "weights_too", is_flag=True, help="Remove weights as well; without it they stay.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def remove(inventory: Path, *, weights_too: bool, yes: bool) -> None:
    """Undo what Cidermill did on every Mac, put settings back as they were, and prove it."""
    from operations.command.remove import remove_from

    raise SystemExit(remove_from(inventory, weights_too=weights_too, ask=not yes))


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--configs", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the report.")
def evaluate(file: Path, configs: Path, *, as_json: bool) -> None:
    """Compare what `plan` expects with published numbers: FILE is a CSV, --configs the dimensions of its weights."""
    from serving.command.evaluate import evaluate
    from serving.command.refusing import refusing

    with refusing():
        evaluate(file, configs, as_json=as_json)


@main.command()
@click.argument("weights", required=False)
@click.option("--machine", "machines", multiple=True, metavar="'M3 Ultra 512'", help="A Mac to plan with; repeat it.")
@click.option("--context", type=click.IntRange(256), help="The longest prompt and answer together, in tokens.")
@click.option("--slots", type=click.IntRange(1, 64), help="Requests served at once.")
@click.option("--transport", type=click.Choice(["jaccl", "jaccl-ring", "ring"]), help="How machines talk.")
@click.option("--fast-synch", is_flag=True, help="Plan with MLX_METAL_FAST_SYNCH on, which has wedged GPUs.")
@click.option("--quantise", metavar="4bit", help="For weights that are not quantised: as mlx_lm.convert would.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of the report.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw speeds into a PNG as well.")
def plan(weights: str | None, **options: Any) -> None:
    """Tell how fast WEIGHTS would be, on which Macs and split how, before anything is loaded.

    WEIGHTS is a directory, a config.json or a name on the Hugging Face hub, of which its config, index and
    tokenizer are fetched. In the place of weights an inventory file plans every replica of it.
    """
    from operations import control
    from operations.command.connecting import executed
    from serving.command.plan import plan
    from serving.command.refusing import refusing
    from serving.measuring.receipts import Kept, read

    given, kept = weights, Kept()
    if weights is not None and weights.endswith(".py"):
        given = executed(Path(weights))["cluster"]
        kept = read(control.receipts(given.name))
    with refusing():
        raise SystemExit(plan(given, kept=kept, **options))
