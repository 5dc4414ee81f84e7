"""What the endpoint asks of rank 0 beyond mlx-lm's own API, and what it is told: one private field in each.

In a request, `"cidermill": Asked`. mlx-lm hands requests to the other ranks by pickle, so all of them get the same.
In each chunk of the answer, `"cidermill": {"tokens": [...]}`: the tokens it was made of, those of text that is still
held back included, so that the tokens of all chunks so far are all of the answer so far; and `"given_up"` with the
reason, where the answer could not be kept to its grammar any more and ends early.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FIELD: Final = "cidermill"


@dataclass(frozen=True)
class Asked:
    """`emitted`: tokens of the answer that an earlier attempt has made; the answer is told again from its beginning and
    goes on after them. `grammar`: what the answer has to keep to, as llguidance reads it.
    """

    emitted: tuple[int, ...] = ()
    grammar: str | None = None

    def field(self) -> dict[str, Any]:
        """As it goes into the body of a request."""
        return {FIELD: {"emitted": list(self.emitted), "grammar": self.grammar}}


def asked(body: Mapping[str, Any]) -> Asked:
    """What a body asks for."""
    given = body.get(FIELD, {})
    return Asked(tuple(given.get("emitted", ())), given.get("grammar"))
