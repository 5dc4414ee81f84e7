"""Every error that Cidermill's own domain raises.

CidermillError
├── TransportRefused     the declared transport cannot be had on this machine
├── WeightsDamaged       files on disk are not the ones declared
└── AgentUnreachable     an agent did not answer, or not in the agreed shape

Messages read: cannot do what, on which: seen, needed. Next step.
"""


class CidermillError(Exception):
    """The base of all of them; its text is meant for a person."""


class TransportRefused(CidermillError):
    """The declared transport cannot be had on this machine."""


class WeightsDamaged(CidermillError):
    """Files on disk are not the ones declared."""


class AgentUnreachable(CidermillError):
    """An agent did not answer, or not in the agreed shape."""
