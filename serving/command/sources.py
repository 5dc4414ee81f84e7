"""Where weights are read from when they are planned with: config, index and tokenizer, never the weights."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import httpx

from serving.anatomy.quantising import Quantisation
from serving.anatomy.reading import INDEX, Source, from_config, from_directory, object_in
from serving.anatomy.speech import TOKENIZERS
from serving.errors import WeightsUnreadable

_TEMPLATES = ("*.jinja", "special_tokens_map.json", "chat_template.json")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def source_of(
    name: str, quantisation: Quantisation | None, revision: str | None = None, endpoint: str | None = None
) -> Source:
    """Weights by a directory, a `config.json` or dimensions, or their name on the hub. Raises WeightsUnreadable.

    `endpoint` is a mirror that is asked in place of the hub.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return from_directory(path, quantisation)
    if path.is_file():
        called = path.parent.name if path.name == "config.json" else path.stem
        return from_config(object_in(path), called, quantisation)
    if _HUB_NAME.fullmatch(name):
        return from_directory(_fetched(name, revision, endpoint), quantisation)
    raise WeightsUnreadable(
        f"cannot read the weights '{name}': no such directory or file, and no name of the form owner/weights. "
        "Correct the path."
    )


def _fetched(name: str, revision: str | None, endpoint: str | None) -> Path:
    """The directory of config, index and tokenizer of weights on the hub; `HF_ENDPOINT` and tokens count as always."""
    hub: Any = importlib.import_module("huggingface_hub")
    errors: Any = importlib.import_module("huggingface_hub.errors")
    try:
        patterns = ["config.json", INDEX, *TOKENIZERS, *_TEMPLATES]
        return Path(hub.snapshot_download(name, revision=revision, endpoint=endpoint, allow_patterns=patterns))
    except (
        errors.HfHubHTTPError,
        errors.HFValidationError,
        errors.LocalEntryNotFoundError,
        httpx.HTTPError,
        OSError,
    ) as error:
        said = str(error).strip().splitlines()[0]
        raise WeightsUnreadable(
            f"cannot fetch config.json of '{name}' from {endpoint or 'the hub'}: {said}. Check the name and the "
            "network, or give a directory."
        ) from error
