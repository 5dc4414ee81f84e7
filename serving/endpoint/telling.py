"""What a client has of an answer, and what is left to tell it: an answer that was begun goes on word for word. Pure.

Rank 0 says of which tokens each chunk is made (`serving.rank.asked`). When a replica falls, the next attempt is told
those tokens, tells the answer again from its beginning in whatever pieces, and goes on. What the client has already is
dropped, and compared as it goes by. Channels are compared each for itself: `content`, `reasoning`, a completion's
`text`, and the arguments of each tool call by its index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from serving.errors import AnswerDiffers, FormGivenUp
from serving.rank.asked import FIELD

Chunk = dict[str, Any]
Channel = str | int
"""A text by its name, a tool call by its index."""

_ENVELOPE: Final = ("id", "created", "system_fingerprint")
"""What stays as the first chunk of an answer had it, whoever goes on with it."""


class Told:
    """All of an answer that a client has so far."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.exact = True
        """Whether every piece came with its tokens."""
        self.finish: str | None = None
        self.usage: dict[str, Any] | None = None
        self.calls: dict[int, str] = {}
        """Names of the tool calls, by index."""
        self.texts: dict[Channel, list[str]] = {}
        self.last: Chunk | None = None
        """The last chunk with a choice, as it was passed on."""

    @property
    def begun(self) -> bool:
        """Whether the client has anything that another attempt could contradict."""
        return self.last is not None

    def note(self, chunk: Chunk) -> None:
        """Take a chunk, without its private field, into account as passed on."""
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk["choices"]:
            self.last = chunk
            self.finish = choice.get("finish_reason") or self.finish
            for channel, text in _pieces(choice).items():
                self.texts.setdefault(channel, []).append(text)
            for index, call in _calls(choice):
                name = _function(call).get("name")
                if name is not None:
                    self.calls[index] = name

    def end(self, prompt_tokens: int | None, most_tokens: int | None) -> list[Chunk] | None:
        """The chunks that are missing at the end, when all that was generated has been told; else None."""
        if self.last is None:
            return None
        missing: list[Chunk] = []
        if self.finish is None:
            if not self.exact or most_tokens is None or len(self.tokens) < most_tokens:
                return None
            missing.append(_ending(self.last))
        if self.usage is None and prompt_tokens is not None and self.exact:
            missing.append(_counted(self.last, prompt_tokens, len(self.tokens)))
        return missing


def may_continue(told: Told) -> bool:
    """Whether an answer that was begun can be gone on with exactly.

    Only the tokens decide. The next token is drawn from a distribution that depends on the prompt and the tokens before
    it, and on nothing else an attempt could bring along: penalties count those same tokens, a grammar is led through
    them, the parser of tool calls reads them again. So a sampled answer, continued, is as likely as that answer would
    have been without a pause, and a tool call under way ends as it might have. Text without its tokens is another
    matter: tokenized anew it may fall into other tokens, and what follows would be another answer's continuation.
    """
    return told.exact


class Retelling:
    """One attempt at an answer, from its beginning; the client may have a part of it."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._first = not told.begun
        self._owed: dict[Channel, str] = {channel: "".join(parts) for channel, parts in told.texts.items()}
        self._known = list(told.tokens)
        self._heard = 0
        self._old_calls = set(told.calls)
        self._envelope = {name: told.last[name] for name in _ENVELOPE if name in told.last} if told.last else {}

    def hear(self, chunk: Chunk) -> Chunk | None:
        """What of a chunk is new to the client, without the private field. Raises AnswerDiffers and FormGivenUp."""
        self._count(chunk)
        if not self._first:
            chunk = {**chunk, **self._envelope}
            if chunk["choices"]:
                choices = [self._rest(choice) for choice in chunk["choices"]]
                chunk["choices"] = [choice for choice in choices if choice is not None]
                if not chunk["choices"]:
                    return None
            self._require_all_retold()
        chunk["choices"] = [_rightly_ended(choice, self._told) for choice in chunk["choices"]]
        self._told.note(chunk)
        return chunk

    def _count(self, chunk: Chunk) -> None:
        private = chunk.pop(FIELD, None)
        if private is not None and private.get("given_up"):
            raise _given_up(private["given_up"])
        tokens: Sequence[int] | None = None if private is None else private.get("tokens")
        if tokens is None:
            # Chunks without a choice are made of nothing.
            self._told.exact = self._told.exact and not chunk["choices"]
            return
        old = len(self._known) - self._heard
        if old > 0:
            if list(tokens[:old]) != self._known[self._heard : self._heard + len(tokens)]:
                raise _differs("other tokens")
            self._heard += min(old, len(tokens))
            tokens = tokens[old:]
        self._told.tokens.extend(tokens)

    def _rest(self, choice: Mapping[str, Any]) -> dict[str, Any] | None:
        """A choice without what the client has; None when nothing of it is left."""
        rest = dict(choice)
        news = choice.get("finish_reason") is not None
        if isinstance(choice.get("text"), str):
            rest["text"] = self._new("text", choice["text"])
            news = news or rest["text"] != ""
        if "delta" in choice:
            rest["delta"] = self._delta(choice["delta"])
            news = news or set(rest["delta"]) > {"role"}
        return rest if news else None

    def _delta(self, delta: Mapping[str, Any]) -> dict[str, Any]:
        rest: dict[str, Any] = {}
        for name, value in delta.items():
            if name == "tool_calls":
                calls = [self._call(index, call) for index, call in _calls({"delta": delta})]
                new: Any = [call for call in calls if call is not None]
            else:
                new = self._new(name, value) if name != "role" and isinstance(value, str) else value
            if new:
                rest[name] = new
        return rest

    def _call(self, index: int, call: Mapping[str, Any]) -> dict[str, Any] | None:
        function = _function(call)
        arguments = self._new(index, function.get("arguments") or "")
        if index not in self._old_calls:
            return dict(call)
        name = function.get("name")
        if name is not None and name != self._told.calls[index]:
            raise _differs("another tool call")
        return {"index": index, "function": {"arguments": arguments}} if arguments else None

    def _new(self, channel: Channel, text: str) -> str:
        """The part of a text that goes beyond what the client has of its channel."""
        owed = self._owed.get(channel, "")
        if not owed:
            return text
        if not (text.startswith(owed) or owed.startswith(text)):
            raise _differs("other words")
        self._owed[channel] = owed[len(text) :]
        return text[len(owed) :]

    def _require_all_retold(self) -> None:
        # Something new while something old is still owed: what the client has would not be a beginning of it.
        if any(self._owed.values()):
            raise _differs("less than before")


def _differs(seen: str) -> AnswerDiffers:
    return AnswerDiffers(
        f"cannot go on with this answer: told again from its beginning it had {seen}", "continuation_differs"
    )


def _given_up(reason: str) -> FormGivenUp:
    why = " ".join(reason.split())[:200].rstrip(".")
    return FormGivenUp(
        f"cannot keep this answer to the form that was asked for: llguidance gave up in the middle of it ({why}). What "
        "came is not whole. Use a smaller schema, or ask without one.",
        "response_format",
        code="form_given_up",
    )


def _pieces(choice: Mapping[str, Any]) -> dict[Channel, str]:
    """The texts of a choice by their channels."""
    named: dict[Channel, str] = {
        name: value
        for name, value in choice.get("delta", {}).items()
        if name != "role" and isinstance(value, str) and value
    }
    if choice.get("text"):
        named["text"] = choice["text"]
    arguments = {index: _function(call).get("arguments") for index, call in _calls(choice)}
    return named | {index: text for index, text in arguments.items() if text}


def _calls(choice: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    calls = choice.get("delta", {}).get("tool_calls") or ()
    return [(call.get("index", place), call) for place, call in enumerate(calls)]


def _function(call: Mapping[str, Any]) -> Mapping[str, Any]:
    return call.get("function") or {}


def _rightly_ended(choice: Mapping[str, Any], told: Told) -> Mapping[str, Any]:
    """A choice that ends with a call only where there is one.

    mlx-lm 0.32.2 says `tool_calls` as well where its parser could make nothing of what weights wrote, and leaves it
    out. An agent that is told so, and finds no call, asks the same again for ever (OpenCode 1.18).
    """
    uncalled = choice.get("finish_reason") == "tool_calls" and not told.calls and not _calls(choice)
    return {**choice, "finish_reason": "stop"} if uncalled else choice


def _ending(last: Chunk) -> Chunk:
    # Every token that was asked for has been told; only the word for it is missing.
    choice: dict[str, Any] = {"index": 0, "finish_reason": "length"}
    empty = {"text": ""} if "text" in last["choices"][0] else {"delta": {"role": "assistant"}}
    return {**last, "choices": [choice | empty]}


def _counted(last: Chunk, prompt: int, completion: int) -> Chunk:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**last, "choices": [], "usage": counts}
