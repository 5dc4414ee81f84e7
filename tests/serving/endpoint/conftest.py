"""What speaks as mlx-lm to the endpoint under test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving.speaking import USAGE, Script, chat, speaking


@pytest.fixture
def script() -> Iterator[Script]:
    with speaking() as script:
        script.say(chat(content="He"), chat(content="llo"), chat("stop"), USAGE)
        yield script
