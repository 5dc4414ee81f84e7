"""Rolls under load: every change and every fault, and what became of the requests.

    uv run --all-groups python -m tests.rolls [--times 3] [--only NAME ...] [--clients 8] [--keep]

It makes a rack of stand-in Macs of its own, deploys to them, and then changes what is declared, again and again, while
clients stream greedy answers through the gateway by OpenAI's own library. It prints a row for each roll and ends with 1
when a bound is missed. Needs what the stand-in Macs need (Linux, root), and about 3 GB of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from tenacity import AsyncRetrying, stop_after_delay, wait_fixed

from tests.faults.asking import Doorway
from tests.faults.load import Load, loading
from tests.faults.load import answers as needed_answers
from tests.faults.mending import NotAsExpected, start_cold
from tests.faults.rack import rack
from tests.faults.records import Look
from tests.faults.scene import AGENT_PORT, ROOT, Scene
from tests.rolls.changes import CHANGES, FAULTS, Change, Fault
from tests.rolls.clients import by_openai, failures, going_on
from tests.rolls.declaring import Deploy, inventory
from tests.rolls.judging import Row, missed, out_of_order
from tests.rolls.watching import pause, seconds_without, watching

DEADLINE_SECONDS = 300.0
PATIENCE = b"\n" * 9
"""What a person types who wants it to go on, whatever is asked."""
ENDED_BY = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}
"""The exit status of a deploy that gets such a signal."""
_console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Ran:
    """A deploy that is over."""

    code: int
    lines: tuple[str, ...]

    @property
    def tail(self) -> str:
        """The end of what it printed."""
        return "\n".join(self.lines[-30:])

    @property
    def changes(self) -> int | None:
        """How many operations changed something or failed; None when it failed."""
        if self.code:
            return None
        if any("Nothing to do: every Mac is as declared." in line for line in self.lines):
            return 0
        _, succeeded, failed, _ = next(line.split()[2:] for line in self.lines if "Grand total" in line)
        return sum(int(count) for count in (succeeded, failed) if count != "-")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = _parser().parse_args(arguments)
    wrong = 0
    with rack(keep=given.keep) as scene, TemporaryDirectory() as directory:
        for place, (name, number) in enumerate(_chosen(given)):
            try:
                row = _rolled(scene, Path(directory), name, number, given.clients, is_fresh=place == 0)
            except (NotAsExpected, RuntimeError, OSError) as reason:
                _console.print(f"{name}: {reason}", style="red")
                wrong += 1
                continue
            wrong += _told(row, given.json)
    _console.print(f"{wrong} rolls were not as they should be" if wrong else "All rolls were as they should be")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.rolls", description="Rolls under load, and what became of requests.")
    parser.add_argument("--times", type=int, default=1, help="how often each is done (default: 1)")
    parser.add_argument("--only", nargs="+", choices=[*CHANGES, *FAULTS], metavar="NAME", help="of all of them")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--keep", action="store_true", help="leave the Macs up, for another run")
    parser.add_argument("--json", type=Path, default=ROOT / ".cidermill" / "rolls.jsonl", help="where rows are kept")
    return parser


def _chosen(given: argparse.Namespace) -> Iterator[tuple[str, int]]:
    for name in given.only or [*CHANGES, *FAULTS]:
        for number in range(given.times):
            yield name, number


def _told(row: Row, file: Path) -> int:
    misses = list(missed(row))
    with file.open("a") as out:
        out.write(f"{json.dumps({**asdict(row), 'missed': misses})}\n")
    times = "" if row.pause is None else f", pause {row.pause:.1f} s"
    cold = "" if row.cold_start is None else f" of a cold start's {row.cold_start:.1f} s"
    _console.print(f"{row.name}: {row.answered} answered, none ready for {row.without:.1f} s{times}{cold}")
    for miss in misses:
        _console.print(f"    MISSED: {miss}", style="red")
    return bool(misses)


def _rolled(scene: Scene, directory: Path, name: str, number: int, clients: int, *, is_fresh: bool) -> Row:
    """`is_fresh`: nothing was changed since the rack was deployed to."""
    wanted = CHANGES.get(name) or FAULTS[name]
    before = wanted.before(scene, directory, number) if wanted.before else Deploy(inventory(scene.lab, "same"))
    if not is_fresh or name in FAULTS or wanted.before is not None:
        ran = asyncio.run(_deployed(before))
        if ran.code:
            raise NotAsExpected(f"cannot begin: the deploy before it failed.\n{ran.tail}")
    with wanted.around(scene.lab) if wanted.around else nullcontext():
        return asyncio.run(_under_load(scene, directory, name, number, clients, before))


async def _under_load(scene: Scene, directory: Path, name: str, number: int, clients: int, before: Deploy) -> Row:
    change, fault = CHANGES.get(name), FAULTS.get(name)
    door = scene.gateway()
    await _open(door)
    needed = await needed_answers([door], DEADLINE_SECONDS)
    _console.print(f"{name}: {(change or fault).summary}")  # type: ignore[union-attr]
    deploy = (change or fault).make(scene, directory, number)  # type: ignore[union-attr]
    agents = {
        machine: f"http://{scene.lab.machine(machine).address}:{AGENT_PORT}" for machine in scene.lab.rack().machines
    }
    other = scene.gateway_of(change.door) if change and change.door else None
    async with (
        loading([door], needed, clients, DEADLINE_SECONDS, going_on(other) if other else by_openai) as load,
        watching(agents, scene.token()) as looks,
    ):
        await _answered(load, clients)
        cold_start = None if change is None or change.keeps_one else await _cold_start(scene, looks["mac-1"])
        await _answered(load, clients)
        began = time.monotonic()
        ran = await _deployed(
            deploy,
            _acting(scene, fault),
            kills=fault.kills if fault else "",
            by=fault.by if fault else signal.SIGKILL,
            answers=PATIENCE if fault and fault.asked else None,
        )
        ended = time.monotonic()
        so_far = sum(request.ending == "answered" for request in load.requests)
        _console.print(
            f"    over with {ran.code} after {ended - began:.1f} s: {so_far} of {len(load.requests)} answered"
        )
        requests = tuple(request for request in await load.finish() if request.ended >= began)
    if fault is not None and fault.mended is not None:
        await asyncio.to_thread(fault.mended, scene)
    seen = Seen(requests, looks, began, ended, cold_start)
    return await _judged(name, before, deploy, ran, seen, change, fault)


@dataclass(frozen=True)
class Seen:
    """What was seen while it rolled."""

    requests: tuple
    looks: dict
    began: float
    ended: float
    cold_start: float | None


async def _judged(
    name: str, before: Deploy, deploy: Deploy, ran: Ran, seen: Seen, change: Change | None, fault: Fault | None
) -> Row:
    if ran.code and fault is None:
        _console.print(ran.tail, markup=False)
    failed = tuple(failures(seen.requests))
    text = "\n".join(ran.lines)
    killed = fault is not None and bool(fault.kills)
    expected = 0 if fault is None else ENDED_BY[fault.by] if killed else 1
    # After a fault the declaration of before, or after a killed deploy its own, has to be brought about.
    then = deploy if fault is None or killed else before
    first = await _deployed(then) if fault is not None else ran
    again = first.changes if first.code else (await _deployed(then)).changes
    returned = fault is None or not fault.goes_back or killed or "went back by itself, is proven again" in text
    alone = change is not None and not change.keeps_one
    return Row(
        name=name,
        code=ran.code,
        expected=expected,
        answered=sum(request.ending == "answered" for request in seen.requests),
        failures=failed,
        without=seconds_without(seen.looks, seen.began, seen.ended),
        keeps_one=not alone,
        out_of_order=tuple(out_of_order(ran.lines)),
        unsaid="" if fault is None or fault.says in text else fault.says,
        pause=pause(seen.looks["mac-1"], seen.began) if alone else None,
        cold_start=seen.cold_start,
        again=again,
        serves=() if returned else ("it did not go back",),
    )


async def _open(door: Doorway) -> None:
    """Until the gateway answers: its Mac may have restarted."""
    async with door.client(timeout=5) as http:
        async for attempt in AsyncRetrying(wait=wait_fixed(0.5), stop=stop_after_delay(120), reraise=True):
            with attempt:
                (await http.get("/models")).raise_for_status()


async def _answered(load: Load, count: int) -> None:
    """Until so many more requests have ended."""
    wanted = len(load.requests) + count
    while len(load.requests) < wanted:  # noqa: ASYNC110 - what is looked at has no event
        await asyncio.sleep(0.1)


async def _cold_start(scene: Scene, looks: list[Look]) -> float:
    """How long replica a is away when both its agents are ended and started again by hand, with clients waiting."""
    began = time.monotonic()
    await asyncio.to_thread(start_cold, scene, "a")
    while (away := pause(looks, began)) is None:  # noqa: ASYNC110 - what is looked at has no event
        await asyncio.sleep(0.1)
    return away


def _acting(scene: Scene, fault: Fault | None) -> Callable[[str], None]:
    act = fault.act if fault else None
    began = time.monotonic()

    def tell(line: str) -> None:
        if "Starting operation: Replica" in line or line.startswith("replica '"):
            _console.print(f"    {time.monotonic() - began:5.1f} s  {line.removeprefix('--> Starting operation: ')}")
        if act is not None:
            act(scene, line)

    return tell


async def _deployed(
    deploy: Deploy,
    tell: Callable[[str], None] = lambda _: None,
    *,
    kills: str = "",
    by: signal.Signals = signal.SIGKILL,
    answers: bytes | None = None,
) -> Ran:
    """`pyinfra -y INVENTORY deploy.py`, each line told as it comes; it gets `by` as it begins what has `kills` in it.

    With `answers` it is run without -y, and these are typed.
    """
    pyinfra = str(Path(sys.executable).with_name("pyinfra"))
    process = await asyncio.create_subprocess_exec(
        pyinfra,
        *(("-y",) if answers is None else ()),
        str(deploy.inventory),
        "deploy.py",
        cwd=deploy.root,
        stdin=asyncio.subprocess.DEVNULL if answers is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    if process.stdin is not None and answers is not None:
        process.stdin.write(answers)
        process.stdin.close()
    lines: list[str] = []
    assert process.stdout is not None  # a pipe was asked for
    async for raw in process.stdout:
        line = re.sub(r"\x1b\[[0-9;]*m", "", raw.decode(errors="replace")).rstrip("\n")
        lines.append(line)
        tell(line)
        if kills and kills in line and "Starting operation" in line:
            process.send_signal(by)
    return Ran(await process.wait(), tuple(lines))


if __name__ == "__main__":
    sys.exit(main())
