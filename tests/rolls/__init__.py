"""Rolls under load: every change, every fault, and what became of the requests."""
