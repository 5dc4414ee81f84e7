"""Trained test weights: a small qwen2 network that talks a little, calls tools, and shards like a large one.

`train` makes the files in `PATH`, `evaluate` examines them.
"""

from pathlib import Path

PATH = Path(__file__).parent / "cider-1"
GOLDEN_QUESTION = "What is Cidermill?"
GOLDEN_ANSWER = "Cidermill turns a few Macs into one endpoint."
