"""What LiteLLM calls back into: whose a request is. Checked with litellm 1.109.1.

Who may come in has been decided before (`serving.gateway.entrance`); LiteLLM asks again, of every path that is not
public, and is told what was found. It is told no limits: they are counted at the entrance. The relay is told the owner
in a header of its own, which LiteLLM sends along with what it makes of the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

from serving.endpoint.relayed import KEY_HEADER
from serving.gateway.entrance import KEY
from serving.gateway.keys import Key

if TYPE_CHECKING:
    from fastapi import Request

_OURS: Final = (
    "api_key",
    "content_policy_fallbacks",
    "context_window_fallbacks",
    "extra_headers",
    "fallbacks",
    "headers",
    "organization",
    "router_settings_override",
)
"""What LiteLLM would take from the body of a request, and is not a client's to say: where it goes, and as whose."""


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
        """The request with its owner; a 400 or 403 for one that would be somebody else's, or of another name."""
        said = [name for name in _OURS if name in data]
        if said:
            text = f"cannot take {', '.join(said)} from a client: that is this lab's own. Leave it out."
            raise ProxyException(message=text, type="invalid_request_error", param=said[0], code=400)
        names = cast("list[str]", user_api_key_dict.models)  # pyright: ignore[reportUnknownMemberType]  # partly untyped
        if names and data.get("model") not in names:
            text = f"cannot use '{data.get('model')}' with this key: it is for {', '.join(names)}."
            raise ProxyException(message=text, type="permission_error", param="model", code=403)
        # LiteLLM makes it of headers like anthropic-beta, and it would come after ours; a client could write it too.
        data.pop("provider_specific_header", None)
        data["extra_headers"] = {KEY_HEADER: user_api_key_dict.user_id}
        return data


naming = Naming()
