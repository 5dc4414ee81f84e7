"""What all who serve HTTP here agree on."""

from __future__ import annotations

from typing import Final

KEEP_ALIVE_SECONDS: Final = 16
"""How long a connection may idle: longer than those keep it who do not ask again by themselves when it is closed in the
moment they use it. httpx, which OpenAI's and Anthropic's clients are made of, keeps it for 5 seconds, and that is
uvicorn's own default; aiohttp for 15.
"""
