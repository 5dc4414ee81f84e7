"""What a fact's one command prints, put together from captures of Apple's commands."""

from __future__ import annotations

from pathlib import Path

CAPTURES = Path(__file__).parent / "captures"


def capture(name: str) -> str:
    """The text of one capture."""
    return (CAPTURES / name).read_text()


def printed(**sections: str | tuple[str, int]) -> list[str]:
    """The lines of an answer to `asking`: each section's text, with its exit code when that is not 0."""
    lines: list[str] = []
    for name, section in sections.items():
        text, code = section if isinstance(section, tuple) else (section, 0)
        lines += [f"@@ {name}", *text.splitlines(), "", f"@@ {code}"]
    return lines
