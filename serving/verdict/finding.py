"""One finding of the verdict, how much it weighs, and whether it is work for a person at the Mac."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "drift", "note"]
"""`error`: a deploy must not go on. `drift`: the next deploy or the links daemon mends it. `note`: fails nothing."""

ByHand = Literal["power", "recovery", "cables", "settings"]
"""What only a person at the Mac can do, in the order to do it: a cable is judged by Macs that have just started."""


@dataclass(frozen=True)
class Finding:
    """One thing not as it should be: on which machine, what was looked at, what was seen, what is needed, what to do.

    It stands on the machine where it can be mended, also when another one noticed it.
    """

    machine: str
    check: str
    seen: str
    needed: str
    remedy: str
    severity: Severity = "error"
    by_hand: ByHand | None = None

    def __str__(self) -> str:
        return f"{self.machine}: {self.check}: {self.seen}; needed {self.needed}.\n    Next: {self.remedy}"
