"""GET /v1/models and /v1/models/NAME: which names there are, as LiteLLM lists them for a key, and what each holds.

LiteLLM 1.109.1 knows which key may ask for which names; of a name it tells neither its context in words that clients
look for nor its price, and it finds none with a slash in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from serving.gateway.apis import MODELS, Api, Fault, no_such_name
from serving.gateway.names import ServedName, published, published_to_anthropics
from serving.gateway.passage import Whole


class Catalogue:
    """The names that are served."""

    def __init__(self, names: Sequence[ServedName]) -> None:
        self._names = {name.name: name for name in names}

    def knows(self, name: object) -> bool:
        """Whether something is called so."""
        return isinstance(name, str) and name in self._names

    def answer(self, path: str, api: Api) -> Whole:
        """What makes the answer to a client out of LiteLLM's list."""
        wanted = unquote(path.removeprefix(MODELS).removeprefix("/"))

        def told(status: int, listed: Any) -> tuple[int, Any] | Fault:
            ids = [entry.get("id") for entry in listed.get("data", ())]
            mine = [self._names[name] for name in ids if name in self._names]
            shown = published_to_anthropics if api == "messages" else published
            if not wanted:
                return status, _list([shown(name) for name in mine], api)
            found = [shown(name) for name in mine if name.name == wanted]
            return (status, found[0]) if found else no_such_name(wanted)

        return told


def _list(entries: list[dict[str, Any]], api: Api) -> dict[str, Any]:
    if api != "messages":
        return {"object": "list", "data": entries}
    ids = [entry["id"] for entry in entries]
    return {
        "data": entries,
        "has_more": False,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }
