from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.supply.hubs import REPOSITORY, Hub, serving
from tests.serving.supply.macs import Macs, lab

SMALL = {
    "config.json": b'{"model_type": "qwen2", "num_hidden_layers": 12}',
    "tokenizer_config.json": b"{}",
    "model.safetensors.index.json": b'{"weight_map": {}}',
    ".gitattributes": b"*.safetensors filter=lfs",
    "README.md": b"what it is",
}
SIZE = 9 * 2**20 + 17
"""More than two pieces, and no multiple of one."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A repository of three large files and some small ones."""
    chance = random.Random(7)  # noqa: S311 - the same bytes each time
    large = {f"model-0000{n}-of-00003.safetensors": chance.randbytes(SIZE + n) for n in (1, 2, 3)}
    with serving(Hub(large, dict(SMALL))) as made:
        yield made


@pytest.fixture
def macs(hub: Hub, tmp_path: Path) -> Callable[..., Macs]:
    """So many Macs whose weights are in that repository."""

    def make(names: int = 4, **changes: Any) -> Macs:
        links = changes.pop("links", None)
        weights = {"repository": REPOSITORY, "revision": "main", "endpoint": hub.endpoint, **changes}
        return Macs(lab(names, links=links, **weights), tmp_path)

    return make
