"""What an endpoint counts, as JSON for /state and in Prometheus' format for /metrics. No text of a request is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, get_args

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.api import EndpointReport, ReplicaState, StateName
from serving.endpoint.admission import Admission
from serving.endpoint.answering import Course
from serving.endpoint.telling import Told

OUTCOMES: Final = ("answered", "refused", "busy", "unavailable", "failed", "differs", "left")

_FIRST: Final = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_BETWEEN: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30)


class Tally:
    """Everything since the endpoint began."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.held = self.prompt_tokens = self.cached_tokens = self.completion_tokens = 0
        self.replayed = self.continued = 0
        self.registry = CollectorRegistry()
        self.first = Histogram(
            "cidermill_first_token_seconds",
            "From a whole request to the first chunk of its answer.",
            buckets=_FIRST,
            registry=self.registry,
        )
        self.between = Histogram(
            "cidermill_between_tokens_seconds",
            "Between one chunk of an answer and the next.",
            buckets=_BETWEEN,
            registry=self.registry,
        )

    def add(self, told: Told, course: Course) -> None:
        """Take an answer that is over into account, however it ended."""
        usage = told.usage or {}
        self.prompt_tokens += usage.get("prompt_tokens", 0)
        details: Mapping[str, Any] = usage.get("prompt_tokens_details") or {}
        self.cached_tokens += details.get("cached_tokens", 0)
        self.completion_tokens += usage.get("completion_tokens", len(told.tokens))
        self.replayed += course.replayed
        self.continued += course.continued

    def report(self, admission: Admission) -> EndpointReport:
        """As it is now."""
        return EndpointReport(
            in_flight=admission.in_flight,
            queued=admission.waiting,
            held=self.held,
            requests=dict(self.requests),
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
            replayed=self.replayed,
            continued=self.continued,
        )


class Exposition(Collector):
    """The report of an endpoint and the state of its replica, read when somebody asks."""

    def __init__(self, report: Callable[[], EndpointReport], state: Callable[[], ReplicaState]) -> None:
        self._report = report
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client wants it."""
        report = self._report()
        requests = CounterMetricFamily("cidermill_requests", "Requests that are over.", labels=("outcome",))
        for outcome, count in report.requests.items():
            requests.add_metric((outcome,), count)
        tokens = CounterMetricFamily("cidermill_tokens", "Tokens read and made.", labels=("direction",))
        tokens.add_metric(("in",), report.prompt_tokens)
        tokens.add_metric(("out",), report.completion_tokens)
        yield from (requests, tokens)
        for name, help_text, count in (
            (
                "cached_tokens",
                "Of the tokens in, those that had been read before.",
                report.cached_tokens,
            ),
            ("replayed", "Attempts after a failure, of answers that had not begun.", report.replayed),
            ("continued", "Attempts after a failure, of answers that had begun.", report.continued),
            ("continuation_differences", "Answers that could not be continued.", report.requests["differs"]),
        ):
            yield CounterMetricFamily(f"cidermill_{name}", help_text, count)
        for name, help_text, count in (
            ("in_flight", "Requests with a slot.", report.in_flight),
            ("queued", "Requests that wait for a slot.", report.queued),
            ("held", "Requests with a slot that wait for the replica.", report.held),
        ):
            yield GaugeMetricFamily(f"cidermill_{name}", help_text, count)
        yield from self._replica()

    def _replica(self) -> Iterator[Metric]:
        now = self._state()
        states = GaugeMetricFamily("cidermill_replica_state", "1 for the state it is in.", labels=("state",))
        for name in get_args(StateName):
            states.add_metric((name,), float(name == now.state))
        steps = GaugeMetricFamily("cidermill_rank_steps", "Steps of each generation loop.", labels=("machine",))
        for machine, rank in now.ranks.items():
            if rank is not None and rank.tick is not None:
                steps.add_metric((machine,), rank.tick.steps)
        yield from (states, steps)
        yield GaugeMetricFamily("cidermill_generation", "Times the ranks were started, ever.", now.generation)
        yield GaugeMetricFamily("cidermill_restarts", "Restarts used in a row.", now.restarts)


def exposed(registry: CollectorRegistry) -> bytes:
    """The registry in Prometheus' text format."""
    return generate_latest(registry)
