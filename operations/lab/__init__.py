"""A lab as a whole: what was read of it, judged and decided. What `deploy.py` and `cidermill` share; it knows both."""
