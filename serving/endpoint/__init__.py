"""The endpoint of a replica, in rank 0's agent: lets whole, typed, bounded requests through to mlx-lm."""
