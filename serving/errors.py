"""Every error that Cidermill's own domain raises.

CidermillError
├── TransportRefused     the declared transport cannot be had on this machine
├── WeightsDamaged       files on disk are not the ones declared
├── SupplyRefused        weights cannot be had from where they are declared to come from, or not be handed on
├── WeightsUnreadable    what weights are cannot be told from their config.json
├── MachineUnknown       words do not say which Mac is meant
├── PlacementRefused     the weights cannot be served by these machines
├── EvaluationRefused    published numbers cannot be compared with the model
├── LayersRefused        the weights' layers cannot be split over the machines as declared
├── LinksUnreadable      macOS does not tell about Thunderbolt ports or does not change them
├── StartRefused         an agent does not start or admit a rank now
├── KeysUnreadable       the file of keys does not say who may come in
├── KeyRefused           a client may not come in with this request, or not now
├── DrainRefused         an agent cannot hold its replica back, or let it go again
├── SpeedUnknown         nobody can tell how fast a replica is now
├── RecordUnreadable     a Mac's record of what it serves is none
├── RequestRefused       a client's request must not reach mlx-lm as it is
│   └── FormGivenUp      it did, and its answer could not be kept to the form it asks for
├── QueueFull            as many requests wait for a replica as may
├── ReplicaUnavailable   a replica does not take a request now, and it has waited as long as it may
├── AnswerDiffers        an answer that was begun cannot be continued word for word
├── UpstreamFailed       mlx-lm did not answer a request, or not whole
│   └── UpstreamUnreachable   it never got the request
└── AgentUnreachable     an agent did not answer, or not in the agreed shape
    └── OrderUnknown     it is of an older release and does not understand what it is told

Messages read: cannot do what, on which: seen, needed. Next step.
"""


class CidermillError(Exception):
    """The base of all of them; its text is meant for a person."""


class TransportRefused(CidermillError):
    """The declared transport cannot be had on this machine."""


class WeightsDamaged(CidermillError):
    """Files on disk are not the ones declared."""


class SupplyRefused(CidermillError):
    """Weights cannot be had from where they are declared to come from, or not be handed on."""


class WeightsUnreadable(CidermillError):
    """What weights are cannot be told from their config.json."""


class MachineUnknown(CidermillError):
    """Words do not say which Mac is meant."""


class PlacementRefused(CidermillError):
    """The weights cannot be served by these machines."""


class EvaluationRefused(CidermillError):
    """Published numbers cannot be compared with the model."""


class LayersRefused(CidermillError):
    """The weights' layers cannot be split over the machines as declared."""


class AgentUnreachable(CidermillError):
    """An agent did not answer, or not in the agreed shape."""


class OrderUnknown(AgentUnreachable):
    """An agent does not understand what it is told: it runs an older release."""


class LinksUnreadable(CidermillError):
    """macOS does not tell about Thunderbolt ports or does not change them."""


class StartRefused(CidermillError):
    """An agent does not start or admit a rank now."""


class KeysUnreadable(CidermillError):
    """The file of keys does not say who may come in."""


class KeyRefused(CidermillError):
    """A client may not come in with this request; `status` 401, 403, or 429, with whole seconds until it may."""

    def __init__(self, text: str, status: int, code: str, retry_seconds: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.retry_seconds = retry_seconds


class DrainRefused(CidermillError):
    """An agent cannot hold its replica back, or let it go again."""


class SpeedUnknown(CidermillError):
    """Nobody can tell how fast a replica is now."""


class RecordUnreadable(CidermillError):
    """A Mac's record of what it serves is none."""


class RequestRefused(CidermillError):
    """A client's request must not reach mlx-lm as it is; `parameter` names the field at fault, `code` is OpenAI's."""

    def __init__(self, text: str, parameter: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(text)
        self.parameter = parameter
        self.status = status
        self.code = code


class UpstreamFailed(CidermillError):
    """mlx-lm did not answer a request, or not whole."""


class UpstreamUnreachable(UpstreamFailed):
    """mlx-lm never got the request."""


class FormGivenUp(RequestRefused):
    """An answer that was begun could not be kept to the form it has to have."""


class QueueFull(CidermillError):
    """As many requests wait for a replica as may."""


class ReplicaUnavailable(CidermillError):
    """A replica does not take a request now, and it has waited as long as it may."""


class AnswerDiffers(CidermillError):
    """An answer that was begun cannot be continued word for word; `code` says why, as clients are told."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code
