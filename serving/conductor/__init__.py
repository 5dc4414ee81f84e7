"""The conductor of a replica, in rank 0's agent: it moves all ranks together from state to state."""
