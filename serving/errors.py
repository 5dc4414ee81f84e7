"""Every error that Cidermill's own domain raises.

CidermillError
├── TransportRefused     the declared transport cannot be had on this machine
├── WeightsDamaged       files on disk are not the ones declared
├── LinksUnreadable      macOS does not tell about Thunderbolt ports or does not change them
├── StartRefused         an agent does not start or admit a rank now
├── RequestRefused       a client's request must not reach mlx-lm as it is
├── UpstreamFailed       mlx-lm did not answer a request, or not whole
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


class LinksUnreadable(CidermillError):
    """macOS does not tell about Thunderbolt ports or does not change them."""


class StartRefused(CidermillError):
    """An agent does not start or admit a rank now."""


class RequestRefused(CidermillError):
    """A client's request must not reach mlx-lm as it is; `parameter` names the field at fault, `code` is OpenAI's."""

    def __init__(self, text: str, parameter: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(text)
        self.parameter = parameter
        self.status = status
        self.code = code


class UpstreamFailed(CidermillError):
    """mlx-lm did not answer a request, or not whole."""
