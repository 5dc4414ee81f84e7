"""A deploy of nothing: what pyinfra itself takes to begin, connect to every machine, and end."""
