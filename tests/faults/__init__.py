"""Faults put into a deployed lab while clients use it, and what became of every request."""
