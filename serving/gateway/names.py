"""What clients may call weights by, what they are told of each name, and LiteLLM's deployments for them.

Every name, an alias like any other, is a name of its own in LiteLLM's list, and what leads there asks the relay for the
weights by their first name. So the relay knows no aliases, and a key can be given one name and not another. Checked
with litellm 1.109.1: hosted_vllm with use_chat_completions_api is the prefix under which all of OpenAI's and
Anthropic's APIs keep their text; costs that are given are not looked up in its own list of prices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from serving.cluster import Cluster
from serving.declared import Declared, Price, Weights

_WORK_SECONDS: Final = 86_400
"""For LiteLLM's time limits, beyond waiting. The relay sees who fell silent; an answer may take as long as it takes."""

_MILLION: Final = 1_000_000
_FREE: Final = Price(prompt_per_million=0, answer_per_million=0)


class ServedName(Declared):
    """One name that clients may ask for."""

    name: str
    weights: str
    """Their first name, which replicas know."""
    context_tokens: int
    """Question and answer together; whichever replica answers, it holds as many."""
    answer_tokens: int
    """Of an answer to a client that sets no limit."""
    wait_seconds: int
    price: Price | None = None


def served_names(cluster: Cluster, proven: Collection[str]) -> tuple[ServedName, ...]:
    """Every name of the weights that proven replicas serve, the first one of each before its aliases.

    After these, what backends that are none of ours may answer: their own names, and weights that nobody else serves.
    """
    serving = [replica for replica in cluster.replicas if replica.name in proven]
    asked_for = {replica.weights for replica in serving}
    ours = (
        _named(name, weights, [replica for replica in serving if replica.weights == weights.name])
        for weights in cluster.weights
        if weights.name in asked_for
        for name in (weights.name, *weights.also_called)
    )
    return (*ours, *_elsewhere(cluster, asked_for))


def covered(cluster: Cluster, names: Collection[str] | None) -> tuple[str, ...] | None:
    """Names that a key is for, with all other names of weights that are among them; None is everything."""
    if names is None:
        return None
    others = {weights.name: weights.also_called for weights in cluster.weights}
    return tuple(dict.fromkeys(each for name in names for each in (name, *others.get(name, ()))))


def deployments(names: Sequence[ServedName]) -> list[dict[str, Any]]:
    """LiteLLM's `model_list`; the cluster's token and the relay's address only by the names of their variables."""
    return [_deployment(name) for name in names]


def published(name: ServedName) -> dict[str, Any]:
    """An entry of GET /v1/models.

    How much it holds is said in every word that clients look for: vLLM's `max_model_len`, `context_window`,
    OpenRouter's `context_length`, LiteLLM's `max_input_tokens`. The price is OpenRouter's `pricing`, for one token.
    """
    price = name.price or _FREE
    return {
        "id": name.name,
        "object": "model",
        "created": 0,
        "owned_by": "cidermill",
        "context_window": name.context_tokens,
        "context_length": name.context_tokens,
        "max_model_len": name.context_tokens,
        "max_input_tokens": name.context_tokens,
        "max_output_tokens": name.context_tokens,
        "pricing": {"prompt": _each(price.prompt_per_million), "completion": _each(price.answer_per_million)},
    }


def published_to_anthropics(name: ServedName) -> dict[str, Any]:
    """The same as Anthropic's clients have it."""
    return {
        "type": "model",
        "id": name.name,
        "display_name": name.name,
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": name.context_tokens,
        "max_tokens": name.context_tokens,
        "lifecycle": "active",
        "capabilities": None,
    }


def _named(name: str, weights: Weights, replicas: Sequence[Any]) -> ServedName:
    context_tokens = min(replica.context_tokens for replica in replicas)
    return ServedName(
        name=name,
        weights=weights.name,
        context_tokens=context_tokens,
        answer_tokens=_answer_tokens(context_tokens),
        wait_seconds=max(replica.wait_seconds for replica in replicas),
        price=weights.price,
    )


def _elsewhere(cluster: Cluster, served: Collection[str]) -> Iterator[ServedName]:
    """What no proven replica serves and a backend that is none of ours may answer."""
    declared, external = {weights.name: weights for weights in cluster.weights}, cluster.gateway.external
    for first in dict.fromkeys(name for each in external for name in (each.instead_of or (each.name,))):
        if first in served:
            continue
        context = min(each.context_tokens for each in external if first in (each.instead_of or (each.name,)))
        weights = declared.get(first)
        for name in (first, *(weights.also_called if weights else ())):
            yield ServedName(
                name=name,
                weights=first,
                context_tokens=context,
                answer_tokens=_answer_tokens(context),
                wait_seconds=0,
                price=weights.price if weights else None,
            )


def _answer_tokens(context_tokens: int) -> int:
    return min(context_tokens // 2, 8192)


def _deployment(name: ServedName) -> dict[str, Any]:
    seconds, price = name.wait_seconds + _WORK_SECONDS, name.price or _FREE
    asked = price.prompt_per_million / _MILLION
    return {
        "model_name": name.name,
        "litellm_params": {
            "model": f"hosted_vllm/{name.weights}",
            "use_chat_completions_api": True,
            # While one gateway takes over from another there are two relays.
            "api_base": "os.environ/CIDERMILL_RELAY",
            "api_key": "os.environ/CIDERMILL_CLUSTER_TOKEN",
            # For clients that name no limit: mlx-lm's own 512 cuts agents off in mid-sentence.
            "max_tokens": name.answer_tokens,
            "timeout": seconds,
            "stream_timeout": seconds,
            "max_retries": 0,
        },
        "model_info": {
            "id": name.name,
            "max_input_tokens": name.context_tokens,
            "max_output_tokens": name.answer_tokens,
            # Among the parameters LiteLLM would register them anew with each request, and index its whole list again:
            # six milliseconds.
            "input_cost_per_token": asked,
            "output_cost_per_token": price.answer_per_million / _MILLION,
            # A token that a prompt cache holds costs what it costs without one.
            "cache_creation_input_token_cost": asked,
            "cache_read_input_token_cost": asked,
        },
    }


def _each(per_million: float) -> str:
    """What one token costs, without an exponent."""
    return f"{per_million / _MILLION:.12f}".rstrip("0").rstrip(".") or "0"
