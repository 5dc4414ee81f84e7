"""The door that clients are tried at, and the words of the test weights that they are judged by.

`cider-1` is small and greedy: to these questions it has one answer, and with a tool offered it calls it when the
question says so (`tests.weights`). Any other weights need their own words here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

VARIABLES = ("CIDERMILL_URL", "CIDERMILL_KEY", "CIDERMILL_NAME")

QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
AGAIN, AGAIN_ANSWER = "What is two plus two?", "Two plus two is four."
OPENING = "Once upon a time,"
"""The beginning of a text that the weights go on with by themselves."""
WISH, RESULT = "What is the weather in Paris?", "18 C and sunny"
CITY = {"city": "Paris"}
TOLD = f"The tool says: {RESULT}"
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class Wrong(Exception):
    """Something was not as it should be; the message says what was seen."""


@dataclass(frozen=True)
class Door:
    """A gateway: its address without a path, a key, and a name that it serves."""

    url: str
    key: str
    name: str

    @property
    def environment(self) -> dict[str, str]:
        """What a client's script reads."""
        return dict(zip(VARIABLES, (self.url, self.key, self.name), strict=True))


def given() -> Door | None:
    """The door that the environment names; None when it names none. Raises Wrong when it names half of one."""
    found = [os.environ.get(name, "") for name in VARIABLES]
    if not any(found):
        return None
    if not all(found):
        raise Wrong(f"cannot tell which gateway is meant: set all of {', '.join(VARIABLES)}, or none.")
    return Door(found[0].rstrip("/"), found[1], found[2])


def expect(what: str, seen: object, needed: object) -> None:
    """Raise Wrong unless both are the same."""
    if seen != needed:
        raise Wrong(f"{what}: seen {seen!r}, needed {needed!r}")


def expect_within(what: str, needed: str, seen: str) -> None:
    """Raise Wrong unless the text holds what is needed."""
    if needed not in seen:
        raise Wrong(f"{what}: seen {seen[-2000:]!r}, needed {needed!r} in it")


def converse(*conversations: Callable[[Door], None]) -> None:
    """What a client's script does: each conversation in turn. Ends the process with 1 and a line where one is wrong."""
    try:
        door = _needed()
        for conversation in conversations:
            conversation(door)
            print(f"{conversation.__name__}: as it should be", flush=True)
    except Wrong as reason:
        sys.exit(f"{reason}")


def _needed() -> Door:
    door = given()
    if door is None:
        raise Wrong(f"cannot tell which gateway is meant: set {', '.join(VARIABLES)}.")
    return door
