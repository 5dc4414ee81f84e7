"""One rank that answers held to grammars, for tests: `python -m tests.serving.rank.in_step tensor|pipeline`.

Says its tokens as JSON. MLX_RANK and MLX_HOSTFILE say which rank of which it is.
"""

from __future__ import annotations

import json
import sys

import mlx.core as mx
from mlx_lm.utils import sharded_load

from tests.serving import schemas
from tests.serving.rank import holding
from tests.weights import PATH


def main(sharding: str) -> None:
    """Answer a batch of eight."""
    group = mx.distributed.init(strict=True, backend="ring")
    groups = (group, None) if sharding == "pipeline" else (None, group)
    network = sharded_load(str(PATH), *groups)[0]
    mx.random.seed(5)
    asked = [
        (
            holding.prompt("What is the weather in Paris?"),
            holding.held({"response_format": {"type": "json_schema", "json_schema": {"schema": schemas.schema(seed)}}}),
        )
        for seed in range(holding.SLOTS)
    ]
    answers = holding.answers(asked, temperature=1.0, watch=True, network=network)
    # A rank that goes while another's last step is under way fails it.
    mx.eval(mx.distributed.all_sum(mx.array(1)))
    print(json.dumps([[answer.tokens, answer.finish, holding.text(answer)] for answer in answers]))


if __name__ == "__main__":
    main(sys.argv[1])
