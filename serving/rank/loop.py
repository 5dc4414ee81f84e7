"""mlx-lm's own server loop, unmodified in meaning, with what a dependable replica needs of it.

mlx-lm 0.32.2 looks up its parts by name when `main` runs. They are replaced here by subclasses: they advance the tick
at each step and say what the step is (`activity`), tell when the loop first goes round (weights are loaded, all ranks
take part), go on with an answer or keep it to a grammar when the endpoint asks for that (`answer`, `continuing`), and
end the process when the loop ends: mlx-lm itself keeps rank 0 up, answering 503, and lets the others exit 0. Importing
this module imports MLX, transformers and mlx-lm.
"""

# mlx-lm carries no types, and its classes are found by name:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
import logging
import sys
import time
import warnings
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

from serving.configuration import ReplicaConfiguration
from serving.errors import LayersRefused
from serving.rank.activity import Advance, watch_batches
from serving.rank.alone import Alone
from serving.rank.answer import answer_as_asked
from serving.rank.continuing import Continuing, PromptCache
from serving.rank.loading import load_as_declared
from serving.rank.status import Exit, StatusFile, Ticks, ending

_server: Any = importlib.import_module("mlx_lm.server")

_IDLE_ROUNDS = 20
_NAP_SECONDS = 0.1
"""An idle rank 0 meets the others every 0.1 s, and they wait for it by polling: seen to cost a whole core each (ring,
mlx 0.32.4). After two seconds without a request they sleep through most of that; the next request waits for them at
most this long, and those that follow it not at all."""


def arguments(replica: ReplicaConfiguration) -> list[str]:
    """The command line of mlx-lm's server, the same on every rank."""
    return [
        *("--model", replica.weights_directory),
        *("--host", "127.0.0.1", "--port", str(replica.rank_port)),
        *("--decode-concurrency", str(replica.slots), "--prompt-concurrency", str(replica.slots)),
        # By count, never by bytes: ranks evict together only if they count alike.
        *("--prompt-cache-size", str(replica.slots)),
        *("--max-tokens", str(replica.context_tokens)),
        # INFO is four lines about the cache for each request, which would bury a rank's last words.
        *("--log-level", "WARNING"),
        *(["--pipeline"] if replica.sharding == "pipeline" else []),
    ]


def serve(replica: ReplicaConfiguration, status: StatusFile, ticks: Ticks) -> None:
    """Load the weights and serve. Returns only if mlx-lm does."""
    load_as_declared(replica, status)
    watch_batches(ticks.advance)
    answer_as_asked()
    _server.LRUPromptCache = PromptCache
    _server.ResponseGenerator = partial(_Generator, status, ticks.advance)
    # It warns of open doors, which nobody but the endpoint comes to, and would be the last words of most ranks.
    warnings.filterwarnings("ignore", "mlx_lm.server is not recommended", UserWarning)
    sys.argv = ["mlx_lm.server", *arguments(replica)]
    _server.main()


class _Generator(Continuing):
    def __init__(self, status: StatusFile, advance: Advance, provider: Any, cache: Any) -> None:
        self._status = status
        self._advance = advance
        self._alone = Alone(advance)
        self._goes_round = False
        self._idle_rounds = 0
        super().__init__(provider, cache)

    def _generate(self) -> None:
        with ExitStack() as stack:
            stack.push(self._end)
            super()._generate()

    def _end(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # Not sys.exit: this is a thread, and MLX's own threads abort an orderly exit.
        if isinstance(error, LayersRefused):
            with ending(Exit.LAYERS_REFUSED):
                self._status.report(phase="refused", curable=False, reason=str(error))
        with ending(Exit.GENERATION_ENDED):
            said = "it was told to stop" if kind is None else f"{kind.__name__}: {error}"
            logging.critical("The generation loop ended: %s", said, exc_info=error)
            self._status.report(phase="ended", reason=f"the generation loop ended: {said}")

    def _next_request(self, timeout: float | None = None) -> Any:
        if self._rank > 0 and self._idle_rounds > _IDLE_ROUNDS:
            time.sleep(_NAP_SECONDS)
        request = super()._next_request(timeout)
        # A loop that has something to do asks without a timeout, and its next step advances the tick.
        idle = request is None and timeout is not None
        self._idle_rounds = self._idle_rounds + 1 if idle else 0
        if idle:
            self._advance("idle")
        elif request is not None:
            self._advance("prefilling")
        if not self._goes_round:
            self._goes_round = True
            self._status.report(phase="serving")
        return request

    def _serve_single(self, request: tuple[Any, Any, Any], stream: Any) -> None:
        queue, asked, args = request
        # Outside of batches mlx-lm shows a constraint only what it reads now.
        self.prompt_cache.finds_nothing = asked.asked.grammar is not None
        super()._serve_single((self._alone.queue(queue), asked, args), stream)
        self.prompt_cache.finds_nothing = False
