"""The keys of the gateway: what the file says of each, and which one a client has shown. Pure.

Of a key the file holds SHA-256 and no more. A key has at least 20 characters and is drawn at random, so there is no
list of likely ones to try against a digest, and a slow hash, which is there to slow such trying down, would only slow
down every request. The file is the service account's alone all the same.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from serving.declared import ClientKey, Count, Day, Declared
from serving.errors import KeyRefused, KeysUnreadable

_SHOWN_AS = "as `Authorization: Bearer KEY` or `x-api-key: KEY`"


class Key(Declared):
    """What is known of a key."""

    owner: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    names: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """What it may ask for, aliases included; None: everything."""
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None
    expires: Day | None = None
    """The last day on which it opens anything (UTC)."""


class Keys(Declared):
    """The whole file."""

    keys: Annotated[tuple[Key, ...], Field(strict=False)]


def key_of(declared: ClientKey, sha256: str, names: Collection[str] | None) -> Key:
    """A declared key as the gateway is told of it; `names` are the declared ones with their aliases."""
    told = declared.model_dump(exclude={"secret", "names"})
    return Key(sha256=sha256, names=None if names is None else tuple(names), **told)


def written(keys: Iterable[Key]) -> str:
    """The file's text."""
    return Keys(keys=tuple(keys)).model_dump_json(indent=2, exclude_none=True) + "\n"


def parsed(text: str | bytes) -> tuple[Key, ...]:
    """The keys that a file's text speaks of. Raises KeysUnreadable, without a word of the text."""
    try:
        return Keys.model_validate_json(text).keys
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = "/".join(map(str, fault["loc"]))
        raise KeysUnreadable(f"cannot read the keys: {place or 'the whole'}: {fault['msg']}") from None


def digest(secret: str | bytes) -> str:
    """How a key is known: SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).hexdigest()


def shown(headers: Mapping[bytes, bytes]) -> bytes:
    """The key in a request's headers (names in lower case); empty when there is none."""
    scheme, _, bearer = headers.get(b"authorization", b"").strip().partition(b" ")
    return (bearer if scheme.lower() == b"bearer" else b"").strip() or headers.get(b"x-api-key", b"").strip()


def found(keys: Iterable[Key], secret: bytes, now: datetime) -> Key:
    """The key that was shown. Raises KeyRefused (401) for none, for an unknown one, and for one that has expired.

    Every key is compared, each in constant time: how long it takes tells nothing of how near a guess was.
    """
    if not secret:
        raise KeyRefused(f"cannot let this request in: it shows no key. Show one, {_SHOWN_AS}.", 401, "missing_api_key")
    seen, known = digest(secret), None
    for key in keys:
        if hmac.compare_digest(key.sha256, seen):
            known = key
    if known is None:
        raise KeyRefused(
            f"cannot let this request in: its key is unknown here. Show one of this lab's, {_SHOWN_AS}.",
            401,
            "invalid_api_key",
        )
    if known.expires is not None and now.astimezone(UTC).date().isoformat() > known.expires:
        raise KeyRefused(
            f"cannot let this request in: its key expired with {known.expires}. Ask whoever gave it for another.",
            401,
            "expired_api_key",
        )
    return known


def require_allowed(key: Key, name: object) -> None:
    """Raise KeyRefused (403) unless the key may ask for this name."""
    if key.names is not None and name not in key.names:
        asked = f"'{name}'" if isinstance(name, str) else "a request that names none"
        raise KeyRefused(
            f"cannot use {asked} with this key: it is for {', '.join(key.names)}. Ask for one of these.",
            403,
            "name_not_allowed",
        )
