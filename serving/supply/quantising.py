"""Quantising on a Mac, by mlx-lm's own convert (0.32.2): `python -m serving.supply.quantising < CONVERSION`.

What is made is named by its content like all weights, and vouched for. Its manifest goes into a file beside the source,
which the deploy reads; as long as nobody has, the source stays, and this program finds what it made before.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.configuration import Manifest
from serving.errors import CidermillError, SupplyRefused
from serving.supply.order import Conversion
from serving.supply.shelf import Shelf
from serving.weights import called, manifest


def main() -> int:
    """The command; returns its exit code."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    os.umask(0o022)
    try:
        quantise(Conversion.model_validate_json(sys.stdin.read()), say=lambda line: print(line, flush=True))
    except CidermillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def quantise(conversion: Conversion, *, say: Callable[[str], None]) -> Manifest:
    """The manifest of what a conversion makes, which is in its place then. Raises SupplyRefused and WeightsDamaged."""
    result = Path(conversion.result)
    if result.is_file():
        before = Manifest.model_validate_json(result.read_text())
        if not Shelf(_final(conversion, before), before.files).missing():
            say("was quantised before")
            return before
    began, made = time.monotonic(), Path(f"{conversion.source}.quantising")
    shutil.rmtree(made, ignore_errors=True)
    say(f"quantising {conversion.source} to {conversion.quantise}")
    _convert(conversion, made)
    told = manifest(made, digests=made.with_suffix(".digests"))
    made.with_suffix(".digests").unlink(missing_ok=True)
    final = _final(conversion, told)
    if final.exists():
        shutil.rmtree(final)  # of the same name, and vouched for by nobody
    made.rename(final)
    Shelf(final, told.files).vouch(list(told.files))
    result.write_text(told.model_dump_json())
    size = sum(file.size for file in told.files.values())
    say(f"quantised in {time.monotonic() - began:.0f} s: {size / 10**9:.2f} GB")
    return told


def _convert(conversion: Conversion, made: Path) -> None:
    convert: Any = importlib.import_module("mlx_lm.convert").convert
    bits = int(conversion.quantise[0]) if conversion.quantise.endswith("bit") else None
    mode = "affine" if bits is not None else conversion.quantise
    try:
        convert(conversion.source, str(made), quantize=True, q_bits=bits, q_group_size=conversion.group, q_mode=mode)
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        raise SupplyRefused(
            f"cannot quantise '{conversion.name}' on {conversion.machine}: mlx-lm's convert says {error!r}. "
            "Are these weights of a type that it knows, in 16 bits, and is there room? Then deploy again."
        ) from error


def _final(conversion: Conversion, told: Manifest) -> Path:
    return Path(conversion.weights) / called(conversion.name, told)


if __name__ == "__main__":
    sys.exit(main())
