"""The README's commands and client, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Every line a reader would type, in order."""
    return re.findall(r"^\$ (.+?)(?:\s+# .*)?$", TEXT, flags=re.MULTILINE)


def client() -> str:
    """The Python client of the first screen."""
    return re.findall(r"^```python\n(.+?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)[0]
