"""Which dimensions a published name means. Pure.

`Meta-Llama-3.1-8B-Instruct` is `llama-3.1-8b`, `DeepSeek-V3.1` is `deepseek-v3`: every part of the file's name is in
the published one, in order, and of several the one that says most is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PARTS = re.compile(r"[a-z]+[a-z0-9.]*|\d[a-z0-9.]*")


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that a published one means, or None."""
    asked = _parts(name)
    fitting = [(_said(asked, _parts(each)), each) for each in known]
    best = max(((said, each) for said, each in fitting if said), default=None)
    return best[1] if best else None


def _parts(name: str) -> list[str]:
    return _PARTS.findall(name.lower())


def _said(asked: list[str], known: list[str]) -> tuple[int, int] | None:
    """How much of what is asked a known name says: parts word for word, and parts at all; None where it says others."""
    exact, place = 0, 0
    for part in known:
        while place < len(asked) and not _agree(asked[place], part):
            place += 1
        if place == len(asked):
            return None
        exact += asked[place] == part
        place += 1
    return (exact, len(known)) if known else None


def _agree(asked: str, known: str) -> bool:
    """Whether two parts mean the same; a further version of the same weights has the same dimensions."""
    return asked == known or (known[0].isalpha() and asked.startswith(f"{known}."))
