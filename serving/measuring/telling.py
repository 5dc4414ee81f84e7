"""A receipt as rows of a table: measured beside expected. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from serving.measuring.receipt import Figure, Measured, MeasuredReplica, Receipt
from serving.measuring.receipts import Kept

COLUMNS = (
    "replica",
    "prompt",
    "at once",
    "answers tokens/s",
    "expected",
    "first token",
    "expected",
    "prompt tokens/s",
    "rounds",
)


def rows(receipt: Receipt) -> list[tuple[str, ...]]:
    """One row for each point."""
    return [_row(replica, point) for replica in receipt.replicas for point in replica.points]


def below(receipt: Receipt) -> Iterator[str]:
    """What belongs below the table: reductions, what expectations rest on, notes, and who was not measured."""
    for replica in receipt.replicas:
        yield from _reductions(replica)
        bases = dict.fromkeys(point.expected.rests_on for point in replica.points if point.expected)
        for basis in bases:
            yield f"{replica.name}: what is expected rests on: {basis}."
        for note in replica.notes:
            yield f"{replica.name}: {note}."
    for name, why in receipt.not_measured.items():
        yield f"{name} was not measured: {why}."


def forecast(kept: Kept, replica: str, digest: str, machines: tuple[str, ...]) -> str:
    """What was measured of a replica, with the same weights on the same Macs; "" if nothing."""
    for receipt, measured in kept.of(replica):
        same = (measured.digest, tuple(machine.name for machine in measured.machines)) == (digest, machines)
        told = [point for point in measured.points if point.sequences == 1 and point.tokens_per_second]
        if same and told:
            numbers = "; ".join(
                f"{point.tokens_per_second.median:.1f} tokens/s after prompts of {point.prompt_tokens} tokens, the "
                f"first after {point.first_token_seconds.median:.2f} s"
                for point in told
                if point.tokens_per_second
            )
            return f"{numbers} ({measured.how}; on {receipt.day})"
    return ""


def _row(replica: MeasuredReplica, point: Measured) -> tuple[str, ...]:
    expected = point.expected
    return (
        replica.name,
        str(point.prompt_tokens),
        str(point.sequences),
        "-" if point.tokens_per_second is None else _figure(point.tokens_per_second, ".1f"),
        "-" if expected is None else f"{expected.tokens_per_second:.1f}",
        _figure(point.first_token_seconds, ".2f", " s"),
        "-" if expected is None else f"{expected.first_token_seconds:.2f} s",
        _figure(point.prompt_tokens_per_second, ".0f"),
        str(point.rounds),
    )


def _figure(figure: Figure, form: str, unit: str = "") -> str:
    return f"{figure.median:{form}}{unit} ±{figure.spread:.0%}"


def _reductions(replica: MeasuredReplica) -> Iterator[str]:
    told = replica.collective
    if told is None:
        return
    names = [machine.name for machine in replica.machines]
    where = (
        f"over the cable between {' and '.join(names)}"
        if len(names) == 2
        else f"over all {len(names)} Macs together (single cables cannot be told apart in it)"
    )
    rate = "-" if told.bytes_per_second is None else f"{told.bytes_per_second / 1e9:.2f} GB/s"
    yield (
        f"{replica.name}: a reduction of {told.small_bytes} bytes takes {told.seconds * 1e6:.0f} µs "
        f"±{told.spread:.0%}, one of {told.large_bytes / 2**20:.0f} MiB runs at {rate}, {where}, as the ranks met."
    )
    if replica.sharding == "pipeline":
        yield f"{replica.name}: the hop from one stage of its pipeline to the next is not measured by that."
