"""The whole fleet seen at once, before any operation exists; a way to refuse it, and a way to see that all is well.

pyinfra runs the deploy file once for each host, all at the same time in greenlets. The first to ask reads every
machine, in one round trip each; the others wait for the same answer. So each of them comes to the same verdict, and
when that is a refusal pyinfra prints it once and ends with 1 before it has changed anything. Checked with pyinfra 3.10.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from paramiko import SSHException
from pyinfra.api.exceptions import DeployError, FactProcessError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations import console
from operations.facts import batch
from operations.inventory import machine_name
from operations.rehearsal import Fact, rehearsal
from operations.remote import current_state, run, together, working_on
from operations.subjects import of

T = TypeVar("T")
Seen = dict[str, dict[str, Any]]
Reads = Mapping[str, Fact]
"""By subject the fact and its arguments."""

# Longer than all the limits inside one look together: past it the machine itself does not answer.
_SILENCE_SECONDS = 120


class Refusal(DeployError):
    """The lab was judged, and nothing is to be changed."""


_looks: WeakKeyDictionary[State, Seen] = WeakKeyDictionary()
# pyinfra has patched these to wait without stopping other greenlets.
_looking, _rehearsing, _working_out = Lock(), Lock(), Lock()
_unreachable: WeakKeyDictionary[State, Mapping[str, str]] = WeakKeyDictionary()
_once: WeakKeyDictionary[State, dict[Callable[..., Any], Any]] = WeakKeyDictionary()


def look(at: Callable[[str], Mapping[str, Any]]) -> Seen:
    """For each connected machine, by name, every subject of `subjects.of`; `at` gives its arguments for a machine.

    Each is what the fact of that subject returns, or `{"problem": text}` when the machine could not tell. Machines
    left out with `--limit` are not there. All machines are read at the same time, once in a run; the answers are kept
    for operations that ask the same in a rehearsal.

    From here on a host that fails ends the run, in a terminal as with -y.
    """
    state = current_state()
    with _looking:
        if state not in _looks:
            # pyinfra would ask a person whether to go on without it. The rest of a lab is not what was declared.
            state.should_raise_failed_hosts = None
            _looks[state] = _read_all(state, lambda name: of(**at(name)))
        return _looks[state]


def looked(state: State) -> Seen:
    """What the deploy file has looked at in this run; empty when it never came to it."""
    return _looks.get(state, {})


def once(function: Callable[..., T], *arguments: Any) -> T:
    """What a function returns, worked out once in a run and not once for each host.

    The arguments must be the same on all hosts.
    """
    known = _once.setdefault(current_state(), {})
    with _working_out:
        if function not in known:
            known[function] = function(*arguments)
        return known[function]


def checked(refused: type[Exception], function: Callable[..., T], *arguments: Any) -> T:
    """As `once`; an error of the kind `refused` is a refusal in its own words, with nothing changed."""
    try:
        return once(function, *arguments)
    except refused as error:
        raise Refusal(f"nothing was changed:\n    {error}") from error


def cannot_reach(why: Mapping[str, str]) -> None:
    """Say of machines why there is no connection to them, before `look`: it tells that of all their subjects."""
    _unreachable[current_state()] = why


def refuse(faults: Sequence[tuple[str, str]]) -> None:
    """Raise pyinfra's DeployError with all faults, if there are any: one message, exit code 1, nothing changed.

    Each is a machine and what is wrong with it. A rehearsal ends for those machines alone.
    """
    if rehearsal().is_on:
        faults = [fault for fault in faults if fault[0] == machine_name(host)]
    if faults:
        listed = "\n".join(f"    {text}" for _, text in faults)
        raise Refusal(f"nothing was changed:\n{listed}")


def settled(deploy_file: str, *, plan: Iterable[str] = ()) -> bool:
    """Whether no operation of the deploy file would do anything on any machine; then none of them is registered.

    The file is rehearsed for all machines with what `look` read. Call it once everything is judged and before the
    first operation. `plan` is told before: what is about to be done, in lines.
    """
    now = rehearsal()
    if now.is_on:
        return False
    console.plan(plan)
    with _rehearsing:
        if not now.is_done:
            rehearse(deploy_file, current_state().inventory.get_active_hosts())
            now.is_settled = not now.differences
            if now.is_settled:
                console.aside("Nothing to do: every Mac is as declared.")
        return now.is_settled


def rehearse(deploy_file: str, hosts: Collection[Host]) -> None:
    """Rehearse a deploy file for these machines; what it finds is in `rehearsal()`."""
    now = rehearsal()
    code = compile(Path(deploy_file).read_text(), deploy_file, "exec")

    def one(host: Host) -> None:
        with now.on(), working_on(host):
            now.begin(Path(deploy_file).name)
            try:
                exec(code, {"__file__": deploy_file})  # noqa: S102 - as pyinfra does with it
            except Refusal:
                return  # whoever judged has told why
            except PyinfraError as error:
                now.differs("deploy file", seen="", needed="", refused=str(error))

    together([partial(one, host) for host in hosts])
    now.is_done = True


def _read_all(state: State, reads: Callable[[str], Reads]) -> Seen:
    unreachable = _unreachable.get(state, {})
    hosts = [host for host in state.inventory if host.connected or machine_name(host) in unreachable]
    seen: Seen = {machine_name(host): {} for host in hosts}
    now = rehearsal()

    def read(host: Host) -> None:
        wanted, why = reads(machine_name(host)), unreachable.get(machine_name(host))
        answers = _read(host, wanted) if why is None else dict.fromkeys(wanted, FactProcessError(why))
        for subject, answer in answers.items():
            now.remember(host, wanted[subject], answer)
            told = {"problem": str(answer)} if isinstance(answer, FactProcessError) else answer
            seen[machine_name(host)][subject] = told

    together([partial(read, host) for host in hosts])
    return seen


def _read(host: Host, reads: Reads) -> Mapping[str, Any]:
    # Not `host.get_fact`: that fails the host and gives a default, and the reason is lost in the log.
    facts = {subject: (fact(), arguments) for subject, (fact, arguments) in reads.items()}
    # A fact that asks Apple's servers takes longer than all that asks the machine alone.
    seconds = _SILENCE_SECONDS + sum(getattr(fact, "extra_seconds", 0) for fact, _ in reads.values())
    try:
        succeeded, output = run(host, batch.together(facts), timeout_seconds=seconds, as_root=True)
        if succeeded:
            return batch.apart(output.stdout_lines, facts)
        problem = output.stderr or "the command failed without a word"
    except TimeoutError:
        problem = f"no answer within {seconds} s"
    except (OSError, EOFError, SSHException) as error:
        problem = str(error)
    return dict.fromkeys(reads, FactProcessError(problem))
