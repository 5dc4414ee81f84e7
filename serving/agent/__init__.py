"""The agent of a machine: keeps its rank, and tells the truth about it over HTTP."""
