"""What LiteLLM calls back into: whose a request is. Checked with litellm 1.109.1.

Who may come in has been decided before (`serving.gateway.entrance`); LiteLLM asks again, of every path that is not
public, and is told what was found. It is told no limits: they are counted at the entrance. The relay is told the owner
in a header of its own, which LiteLLM sends along with what it makes of the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

from serving.endpoint.relayed import KEY_HEADER
from serving.gateway.entrance import KEY
from serving.gateway.keys import Key

if TYPE_CHECKING:
    from fastapi import Request


async def authenticate(request: Request, api_key: str | None) -> UserAPIKeyAuth:  # noqa: ARG001  # LiteLLM's signature
    """The caller as LiteLLM knows them; a 401 for a request that did not come through the entrance."""
    key: Key | None = request.scope.get(KEY)
    if key is None:
        raise ProxyException(message="no key was shown", type="authentication_error", param=None, code=401)
    return UserAPIKeyAuth(
        # Neither the key nor its digest: LiteLLM writes this into whatever it tells of a request.
        api_key=key.owner,
        user_id=key.owner,
        key_alias=key.owner,
        models=list(key.names or ()),
        user_role=LitellmUserRoles.INTERNAL_USER,
    )


class Naming(CustomLogger):
    """Puts the owner's name on what goes to the relay."""

    async def async_pre_call_hook(  # pyright: ignore[reportIncompatibleMethodOverride]  # untyped upstream
        self,
        user_api_key_dict: UserAPIKeyAuth,
        cache: object,  # noqa: ARG002  # LiteLLM's signature
        data: dict[str, Any],
        call_type: str,  # noqa: ARG002  # LiteLLM's signature
    ) -> dict[str, Any]:
        """The request with its owner; a 403 for a name that is not this key's, should LiteLLM have found one."""
        names = cast("list[str]", user_api_key_dict.models)  # pyright: ignore[reportUnknownMemberType]  # partly untyped
        if names and data.get("model") not in names:
            text = f"cannot use '{data.get('model')}' with this key: it is for {', '.join(names)}."
            raise ProxyException(message=text, type="permission_error", param="model", code=403)
        # LiteLLM makes it of headers like anthropic-beta, and it would come after ours.
        data.pop("provider_specific_header", None)
        data["extra_headers"] = {KEY_HEADER: user_api_key_dict.user_id}
        return data


naming = Naming()
