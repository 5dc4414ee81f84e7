"""HTTP without TLS, for clients that are made anew for one request: reading all certificates takes longer than it."""

from __future__ import annotations

import ssl
from typing import Any

PLAIN: dict[str, Any] = {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "trust_env": False}
"""What httpx is told: no certificates, and no proxies of whoever runs the tests."""
