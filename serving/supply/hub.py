"""What a repository holds at a revision, asked of the Hugging Face Hub or a mirror of it, through huggingface_hub.

Only what mlx-lm loads is taken: its own patterns (0.32.2), at the root of the repository. Large files are known by
the SHA-256 that the hub keeps of each (LFS and Xet alike). Small ones are in git, which knows them by SHA-1 only, so
these are fetched here, compared, and sent to the Macs from here. Checked with huggingface_hub 1.33.

Files travel by plain HTTP with ranges, never by Xet: Xet writes whole files through a cache of its own, so nothing of
them could be proven, resumed or handed on before the end, and mirrors don't speak it. No telemetry: nothing of
huggingface_hub that sends any is called.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from serving.configuration import File
from serving.declared import Declared, Weights
from serving.errors import SupplyRefused
from serving.weights import INDEX

PATTERNS = (
    *("*.json", "model*.safetensors", "*.py", "tokenizer.model", "*.tiktoken", "tiktoken.model"),
    *("*.txt", "*.jsonl", "*.jinja"),
)
NEEDED = ("config.json", "tokenizer_config.json")
_SECONDS = 30.0


class Snapshot(Declared):
    """A repository at one commit. Files in `here` lie on the control machine; the others are fetched by a Mac."""

    repository: str
    revision: str
    """As it was declared."""
    endpoint: str
    commit: str
    files: Mapping[str, File]
    here: tuple[str, ...]


def endpoint_of(weights: Weights) -> str:
    """Where a repository is asked for: as declared, else as `HF_ENDPOINT` says, else at the hub itself."""
    constants: Any = importlib.import_module("huggingface_hub.constants")
    return str(weights.endpoint or constants.ENDPOINT).rstrip("/")


def snapshot(weights: Weights, directory: Path, token: str | None) -> Snapshot:
    """What a repository holds at the declared revision; its small files come into `directory`. Raises SupplyRefused."""
    hub: Any = importlib.import_module("huggingface_hub")
    endpoint, name = endpoint_of(weights), str(weights.repository)
    # False, not None: a token of whoever types is not taken unless the inventory says so.
    api = hub.HfApi(endpoint=endpoint, token=token or False)
    with asking(f"'{name}' at revision '{weights.revision}'", endpoint):
        commit = str(api.model_info(name, revision=weights.revision, timeout=_SECONDS).sha)
        entries = list(api.list_repo_tree(name, revision=commit))
    taken = {str(entry.path): entry for entry in entries if hasattr(entry, "blob_id") and _is_taken(str(entry.path))}
    _complete(name, commit, taken, NEEDED if weights.quantise else (*NEEDED, INDEX))
    files: dict[str, File] = {}
    here: list[str] = []
    for path, entry in sorted(taken.items()):
        known = File(size=entry.size, sha256=str(entry.lfs.sha256)) if entry.lfs is not None else None
        if known is None or path in NEEDED:
            data = _fetched(api, name, commit, path, endpoint)
            _compare(name, path, data, known, str(entry.blob_id))
            directory.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(data)
            here.append(path)
            known = File(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        files[path] = known
    return Snapshot(
        repository=name,
        revision=str(weights.revision),
        endpoint=endpoint,
        commit=commit,
        files=files,
        here=tuple(here),
    )


@contextmanager
def asking(what: str, endpoint: str) -> Generator[None]:
    """Within it, that the hub does not answer as it should becomes SupplyRefused."""
    errors: Any = importlib.import_module("huggingface_hub.errors")
    http: Any = importlib.import_module("httpx")
    try:
        yield
    except (errors.HfHubHTTPError, errors.HFValidationError, http.HTTPError, OSError) as error:
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise SupplyRefused(
            f"cannot ask {endpoint} for {what}: {said} Check the name, the revision, the token and the network."
        ) from error


def _is_taken(path: str) -> bool:
    return "/" not in path and not path.startswith(".") and any(fnmatch(path, pattern) for pattern in PATTERNS)


def _complete(name: str, commit: str, paths: Iterable[str], needed: Sequence[str]) -> None:
    there = set(paths)
    missing = [path for path in needed if path not in there]
    if not any(path.endswith(".safetensors") for path in there):
        missing.append("model*.safetensors")
    if missing:
        raise SupplyRefused(
            f"cannot use '{name}' at {commit[:12]}: seen no {', '.join(missing)}, needed what mlx-lm loads. "
            "Name a repository of weights in mlx-lm's format, or declare quantise=."
        )


def _fetched(api: Any, name: str, commit: str, path: str, endpoint: str) -> bytes:
    hub: Any = importlib.import_module("huggingface_hub")
    utils: Any = importlib.import_module("huggingface_hub.utils")
    with asking(f"{path} of '{name}'", endpoint):
        url = hub.hf_hub_url(name, path, revision=commit, endpoint=endpoint)
        headers = utils.build_hf_headers(token=api.token)
        answer = utils.get_session().get(url, headers=headers, timeout=_SECONDS, follow_redirects=True)
        utils.hf_raise_for_status(answer)
        return bytes(answer.content)


def _compare(name: str, path: str, data: bytes, known: File | None, blob: str) -> None:
    if known is not None:
        kind, seen, needed = "SHA-256", hashlib.sha256(data).hexdigest(), known.sha256
    else:
        # What git calls it; nothing rests on SHA-1 being hard to find another text for.
        git = hashlib.sha1(b"blob %d\0%s" % (len(data), data), usedforsecurity=False)
        kind, seen, needed = "git's SHA-1", git.hexdigest(), blob
    if seen != needed:
        raise SupplyRefused(
            f"cannot use {path} of '{name}': what came has {kind} {seen}, the hub says {needed}. Run the deploy again; "
            "if it stays so, the mirror or a proxy on the way changes files."
        )
