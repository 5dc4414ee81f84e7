"""What weights are, known before they are loaded: their tensors, caches and work, as mlx-lm's installed wheel has them.

MLX is lazy, so mlx-lm's own classes are built from a `config.json`, quantised and split without a byte of weights:
every array stays a shape (checked with mlx 0.32.4, mlx-lm 0.32.2; DeepSeek's 671 billion parameters take seconds and
130 MB). What is counted there needs no list of ours, and dimensions nobody has seen go the same way.

This package swaps functions of MLX while it looks, so it belongs on the machine you type on, never in a rank.
"""
