"""What receipts say against each other and against the lab as it is: slower than last time, or measured before it
changed. Pure.

All of it is for the doctor to note: no deploy mends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from serving.cluster import Cluster
from serving.declared import Replica
from serving.measuring.receipt import Figure, Measured, MeasuredReplica, Receipt
from serving.measuring.receipts import Kept
from serving.seen import Mac, Seen
from serving.verdict.finding import Finding

LEAST_SLOWER: Final = 0.10
"""Two good days lie up to five per cent apart (`serving.placement.choosing.LEAST_BAND`), each to its own side."""

CHECK: Final = "speed"
_AGAIN: Final = "Measure again: cidermill bench."


def findings(
    cluster: Cluster,
    seen: Mapping[str, Seen],
    kept: Kept,
    digests: Mapping[str, str],
    software: tuple[str, str],
) -> list[Finding]:
    """Notes on replicas, each on the Mac of rank 0.

    `digests` are those of weights by their names, `software` the versions of MLX and mlx-lm that are deployed.
    """
    first = cluster.machines[0].name
    found = [Finding(first, "receipt", problem, "one that can be read", _AGAIN, "note") for problem in kept.problems]
    for replica in cluster.replicas:
        receipts = kept.of(replica.name)
        if not receipts:
            continue
        changes = list(_changes(replica, seen, receipts[0][1], digests, software))
        if changes:
            found.append(_changed(replica, receipts[0][0], changes))
        else:
            found += _slower(replica, receipts)
    return found


def _changed(replica: Replica, receipt: Receipt, changes: list[str]) -> Finding:
    seen = f"replica {replica.name} was measured on {receipt.day}, and since then {'; '.join(changes)}"
    return Finding(replica.machines[0], CHECK, seen, "a measurement of the replica as it is", _AGAIN, "note")


def _changes(
    replica: Replica,
    seen: Mapping[str, Seen],
    measured: MeasuredReplica,
    digests: Mapping[str, str],
    software: tuple[str, str],
) -> Iterator[str]:
    """What is another now than when it was measured."""
    machines = tuple(machine.name for machine in measured.machines)
    if (machines, measured.transport, measured.sharding) != (replica.machines, replica.transport, replica.sharding):
        now = f"{replica.sharding or 'one Mac'} {replica.transport or ''}".rstrip()
        yield f"it became {now} on {', '.join(replica.machines)} (it was {measured.how} on {', '.join(machines)})"
    for machine in measured.machines:
        mac = seen[machine.name].mac if machine.name in seen else None
        if isinstance(mac, Mac) and mac.build != machine.build:
            yield f"macOS of {machine.name} went from {machine.build} to {mac.build}"
    if measured.software != software:
        names = ("mlx", "mlx-lm")
        pairs = zip(names, measured.software, software, strict=True)
        yield ", ".join(f"{name} went from {was} to {now}" for name, was, now in pairs if was != now)
    if measured.digest != digests.get(replica.weights, measured.digest):
        yield f"its weights became others ({measured.digest[:12]} to {digests[replica.weights][:12]})"


def _slower(replica: Replica, receipts: list[tuple[Receipt, MeasuredReplica]]) -> Iterator[Finding]:
    """The newest against the one before it that was of the same."""
    (newest, now), *earlier = receipts
    before = next(((receipt, each) for receipt, each in earlier if _alike(each, now)), None)
    if before is None:
        return
    told = list(regressions(before[1], now))
    if told:
        seen = f"replica {replica.name} was slower on {newest.day} than on {before[0].day}: {'; '.join(told)}"
        remedy = "Look what else runs on its Macs, how hot they are, and at its cables; then measure again."
        yield Finding(replica.machines[0], CHECK, seen, "the speed of before", remedy, "note")


def _alike(one: MeasuredReplica, other: MeasuredReplica) -> bool:
    """Whether nothing that is known to decide about speed was another."""
    return _what(one) == _what(other)


def _what(measured: MeasuredReplica) -> tuple[object, ...]:
    shape = measured.transport, measured.sharding, measured.layers, tuple(each.name for each in measured.machines)
    return measured.digest, measured.builds, measured.software, shape


def regressions(before: MeasuredReplica, now: MeasuredReplica) -> Iterator[str]:
    """What was slower than before, by more than the rounds of both lay apart; in words."""
    earlier = {(point.wanted_tokens, point.sequences): point for point in before.points}
    for point in now.points:
        was = earlier.get((point.wanted_tokens, point.sequences))
        if was is not None and point.others == 0 == was.others:
            yield from _of_point(was, point)
    if before.collective is not None and now.collective is not None:
        was, is_now = before.collective, now.collective
        figures = Figure(median=was.seconds, spread=was.spread), Figure(median=is_now.seconds, spread=is_now.spread)
        # Ranks time it once, as they meet: one busy moment doubles it.
        if is_now.seconds > 2 * was.seconds and _longer(*figures):
            yield f"reductions {was.seconds * 1e6:.0f} µs, now {is_now.seconds * 1e6:.0f} µs"


def _of_point(was: Measured, now: Measured) -> Iterator[str]:
    name = f"{now.wanted_tokens} tokens{'' if now.sequences == 1 else f', {now.sequences} at once'}"
    if was.tokens_per_second and now.tokens_per_second and _less(was.tokens_per_second, now.tokens_per_second):
        yield (
            f"{name}: {now.tokens_per_second.median:.1f} tokens/s written, before {was.tokens_per_second.median:.1f}"
        )
    if _longer(was.first_token_seconds, now.first_token_seconds):
        first, before = now.first_token_seconds.median, was.first_token_seconds.median
        yield f"{name}: first token after {first:.2f} s, before {before:.2f} s"


def _less(was: Figure, now: Figure) -> bool:
    return (was.median - now.median) / was.median > max(LEAST_SLOWER, was.spread + now.spread)


def _longer(was: Figure, now: Figure) -> bool:
    return (now.median - was.median) / was.median > max(LEAST_SLOWER, was.spread + now.spread)
