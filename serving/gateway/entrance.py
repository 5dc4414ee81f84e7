"""Who comes in, with what, and how much of it at once: everything about keys, for whoever stands at the door.

A request is counted for as long as it is under way: until its last byte, or until its client has gone. So none of this
depends on how LiteLLM tells of ends.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from serving.errors import RequestRefused
from serving.gateway.keys import Key, found, require_allowed, shown
from serving.gateway.limits import Counts

KEY: Final = "cidermill.key"
"""Where in a request's scope its key is found (`serving.gateway.keys.Key`)."""

_OURS: Final = (
    "api_key",
    "content_policy_fallbacks",
    "context_window_fallbacks",
    "extra_headers",
    "fallbacks",
    "headers",
    "organization",
    "provider_specific_header",
    "router_settings_override",
)
"""What LiteLLM 1.109.1 would take from a body, and is not a client's to say: where a request goes, and as whose."""


class Entrance:
    """Keys and limits of a gateway; `keys` tells those that are valid now."""

    def __init__(self, keys: Callable[[], Iterable[Key]], counts: Counts) -> None:
        self._keys = keys
        self._counts = counts

    def known(self, headers: Mapping[bytes, bytes]) -> Key:
        """The key that is shown in headers (names in lower case). Raises KeyRefused (401)."""
        return found(self._keys(), shown(headers), datetime.now(UTC))

    @contextmanager
    def under_way(self, key: Key) -> Generator[None]:
        """Within it, a request of this key is counted. Raises KeyRefused (429) instead of beginning."""
        with self._counts.admitted(key, monotonic()):
            yield


def require_own(key: Key, body: Mapping[str, object]) -> None:
    """Raise unless a request asks for what its key may use, as its own.

    Raises KeyRefused (403) for another name, RequestRefused (400) for what is this lab's to say.
    """
    said = [name for name in _OURS if name in body]
    if said:
        text = f"cannot take {', '.join(said)} from a client: that is this lab's own. Leave it out."
        raise RequestRefused(text, said[0])
    require_allowed(key, body.get("model"))
