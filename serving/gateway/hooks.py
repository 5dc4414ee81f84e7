"""What LiteLLM calls back into: who may come in. Checked with litellm 1.109.1.

LiteLLM's own answer to a wrong key, without a database, is a 400 about databases; ours is a 401.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

if TYPE_CHECKING:
    from fastapi import Request


async def authenticate(request: Request, api_key: str | None) -> UserAPIKeyAuth:
    """The caller's identity, or a 401. LiteLLM hands over what either header held, None without one."""
    shown, needed = (api_key or "").removeprefix("Bearer ").encode(), os.environ["CIDERMILL_MASTER_KEY"].encode()
    if not hmac.compare_digest(hashlib.sha256(shown).digest(), hashlib.sha256(needed).digest()):
        raise ProxyException(
            message=f"{request.url.path} needs this cluster's key, as `Authorization: Bearer KEY` or `x-api-key: KEY`.",
            type="authentication_error",
            param=None,
            code=401,
        )
    return UserAPIKeyAuth(api_key=hashlib.sha256(shown).hexdigest(), user_role=LitellmUserRoles.INTERNAL_USER)
