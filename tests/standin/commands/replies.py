"""Replies every command shares: a failure with its text, and the refusal of what a stand-in does not know."""

from __future__ import annotations

from pathlib import PurePath

from tests.standin.mac import Call, Reply

EX_USAGE = 64


def lines(*text: str) -> Reply:
    """Success, with these lines on standard output."""
    return Reply(stdout="".join(f"{line}\n" for line in text))


def failure(text: str, code: int) -> Reply:
    """A failure, with this text on standard error."""
    return Reply(stderr=f"{text}\n", code=code)


def unsupported(call: Call) -> Reply:
    """Refuse what no stand-in of this command answers, by name, so that no test mistakes it for success."""
    command = PurePath(call.argv[0]).name
    asked = " ".join(call.argv[1:]) or "(no arguments)"
    return failure(f"usage: {command}: this stand-in does not know: {asked}", EX_USAGE)
