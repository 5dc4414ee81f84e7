"""Fetching files from the hub: with ranges, resumed where it was cut, and compared with the hub's own SHA-256.

huggingface_hub (1.33) knows where a file is, what it is to be, and how to ask; its own download would write elsewhere,
and nothing could be handed on before its end. See `serving.supply.hub` for why not by Xet.
"""

from __future__ import annotations

import errno
import importlib
import random
import time
from collections.abc import Callable
from typing import Any

from serving.errors import SupplyRefused
from serving.supply.hub import asking
from serving.supply.order import Hub
from serving.supply.shelf import Incoming, Shelf, WrongAgain

AT_ONCE = 4
"""Files fetched at the same time: one connection alone rarely fills the line."""
_READ_SECONDS = 60.0
_TRIES = 8
"""In a row without a byte."""
_LONGEST_PAUSE_SECONDS = 30.0


class Changed(Exception):
    """The hub has another file by now than it said before."""


def fetch(shelf: Shelf, hub: Hub, path: str, *, machine: str, say: Callable[[str], None]) -> None:
    """One file, proven and in its place. Raises SupplyRefused, and OSError when the disk is full."""
    needed = shelf.files[path].needed.sha256
    try:
        shelf.bring(
            path,
            lambda incoming: _whole(hub, path, incoming, say),
            lambda seen: say(f"{path} came out wrong: SHA-256 {seen}, the hub says {needed}; it is fetched once more"),
        )
    except WrongAgain as wrong:
        raise SupplyRefused(
            f"cannot use {path} of '{hub.repository}' on {machine}: what came has SHA-256 {wrong}, the hub says "
            f"{needed}, twice. The mirror or a proxy on the way changes files: use another endpoint, or see what lies "
            "at this one."
        ) from wrong


def _whole(hub: Hub, path: str, incoming: Incoming, say: Callable[[str], None]) -> None:
    failed, at = 0, incoming.come
    if at:
        say(f"{path} goes on at {at / 10**6:.1f} of {incoming.needed.size / 10**6:.1f} MB")
    http: Any = importlib.import_module("httpx")
    while incoming.come < incoming.needed.size:
        try:
            with asking(f"{path} of '{hub.repository}'", hub.endpoint):
                _stream(hub, path, incoming)
        except Changed as error:
            raise SupplyRefused(
                f"cannot use {path} of '{hub.repository}': {error}. Remove what is pinned of it on the machine you "
                "type on (.cidermill/LAB.weights/NAME), and run the deploy again."
            ) from error
        except SupplyRefused as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise cause from None
            failed = 1 if incoming.come > at else failed + 1
            at = incoming.come
            code = getattr(getattr(cause, "response", None), "status_code", 0)
            is_final = 400 <= code < 500 and code not in (408, 425, 429)
            if is_final or failed >= _TRIES or not isinstance(cause, (http.HTTPError, OSError)):
                raise
            say(f"{path} was cut at {at / 10**6:.1f} MB ({str(cause).strip().splitlines()[0]}); it goes on there")
            time.sleep(random.uniform(0.5, 1) * min(2.0 ** (failed - 1), _LONGEST_PAUSE_SECONDS))  # noqa: S311 - no secret


def _stream(hub: Hub, path: str, incoming: Incoming) -> None:
    """Ask for what is missing of a file, and take what comes."""
    library: Any = importlib.import_module("huggingface_hub")
    utils: Any = importlib.import_module("huggingface_hub.utils")
    url = library.hf_hub_url(hub.repository, path, revision=hub.commit, endpoint=hub.endpoint)
    told = library.get_hf_file_metadata(url, token=hub.token or False, endpoint=hub.endpoint)
    _same(told, incoming)
    here = told.location.split("/")[:3] == hub.endpoint.split("/")[:3]
    # The token is for the hub alone; where the bytes lie the address itself is the permission.
    headers = utils.build_hf_headers(token=(hub.token or False) if here else False)
    headers |= {"Range": f"bytes={incoming.come}-", "Accept-Encoding": "identity"}
    session = utils.get_session()
    with session.stream("GET", told.location, headers=headers, timeout=_READ_SECONDS, follow_redirects=True) as answer:
        utils.hf_raise_for_status(answer)
        if answer.status_code != 206 and incoming.come:
            incoming.start_over()  # it does not know of ranges, so all of it comes
        for piece in answer.iter_raw():
            incoming.write(piece[: incoming.needed.size - incoming.come])
            if incoming.come == incoming.needed.size:
                return


def _same(told: Any, incoming: Incoming) -> None:
    """An LFS file's ETag is its SHA-256: a hub that has another file need not be asked for all its bytes."""
    etag = str(told.etag or "")
    if told.size is not None and told.size != incoming.needed.size:
        raise Changed(f"it has {told.size} bytes now, {incoming.needed.size} were pinned")
    if len(etag) == 64 and etag != incoming.needed.sha256:
        raise Changed(f"its SHA-256 is {etag} now, {incoming.needed.sha256} was pinned")
