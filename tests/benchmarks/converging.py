"""What a run costs that finds nothing to do: beside pyinfra's empty deploy, and beside the same checks in Ansible.

    uv run --all-groups python -m tests.benchmarks.converging [--hosts 32] [--runs 5]

It makes a rack of stand-in Macs of its own, deploys to them, and then lets the three run in turn. It ends with 1 when a
bound is missed. Needs what the stand-in Macs need (Linux, root), and about 10 GB of memory for 32 of them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from operations import control
from tests.benchmarks import declared
from tests.benchmarks.rack import freeze_all_but_the_first, rack, show_environments
from tests.benchmarks.result import Result, Wrong, settled, table, verdict
from tests.benchmarks.truth import truth
from tests.standin.lab import Lab

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
_console = Console(highlight=False, soft_wrap=True)
_console.width = max(130, _console.width)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.converging")
    parser.add_argument("--hosts", type=int, default=32)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--ansible-runs", type=int, default=1, help="of Ansible: each takes minutes (default: 1)")
    given = parser.parse_args(arguments)
    try:
        with rack(given.hosts) as lab:
            _set_up(lab)
            result = measured(lab, given.runs, given.ansible_runs)
    except Wrong as wrong:
        _console.print(wrong, style="red")
        return 1
    finally:
        control.forgotten(declared.CLUSTER)
    _console.print(table(result))
    for line in verdict(result):
        _console.print(line)
    return 0 if result.is_within and result.is_faster else 1


def _set_up(lab: Lab) -> None:
    names = list(lab.rack().machines)
    _console.print(f"Deploying to one Mac, then to {len(names)}")
    _pyinfra(lab, names[:1], "deploy.py")
    show_environments(lab)
    _pyinfra(lab, names, "deploy.py")
    frozen = freeze_all_but_the_first(lab)
    _console.print(
        f"Frozen: {frozen} daemons of all Macs but {names[0]}; they would compete for the {os.cpu_count()} processors "
        "of this machine, where each Mac has its own"
    )


def measured(lab: Lab, runs: int, ansible_runs: int) -> Result:
    """Let the three run in turn; a first run of pyinfra's, which fills every cache there is, does not count."""
    names = list(lab.rack().machines)
    of_ansible = declared.for_ansible(lab, names, {name: truth(lab, name) for name in names})
    contestants: dict[str, tuple[int, Callable[[], None]]] = {
        "empty": (runs, lambda: _pyinfra(lab, names, str(HERE / "empty.py"))),
        "deploy": (runs, lambda: settled(_pyinfra(lab, names, "deploy.py"))),
        "ansible": (ansible_runs, lambda: _ansible(lab, of_ansible)),
    }
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for run in track(range(-1, max(runs, ansible_runs)), "Running", console=_console):
        for name, (count, contestant) in contestants.items():
            if run < count and (run >= 0 or name != "ansible"):
                began = time.perf_counter()
                contestant()
                taken[name] += [time.perf_counter() - began] if run >= 0 else []
    return Result(len(names), **taken)


def _pyinfra(lab: Lab, names: Sequence[str], deploy: str) -> str:
    return _run([Path(sys.executable).with_name("pyinfra"), "-y", declared.for_pyinfra(lab, names), deploy], lab)


def _ansible(lab: Lab, inventory: Path) -> None:
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, HERE / "checks.yml"]
    output = _run(command, lab, _ansible_environment(lab))
    recap = re.findall(r"ok=\d+ +changed=0 +unreachable=0 +failed=0 ", output)
    if len(recap) != len(lab.rack().machines):
        raise Wrong(f"cannot time Ansible: not all Macs were as expected.\n{output}")


def _ansible_environment(lab: Lab) -> Mapping[str, str]:
    return {
        "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
        "ANSIBLE_HOME": str(lab.state / "ansible"),
        "ANSIBLE_REMOTE_USER": "admin",
        "ANSIBLE_PRIVATE_KEY_FILE": str(lab.key),
        "ANSIBLE_SSH_COMMON_ARGS": f"-o UserKnownHostsFile={lab.known_hosts}",
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/local/bin/python3",
        "LC_ALL": "C.UTF-8",
    }


def _run(command: Sequence[str | Path], lab: Lab, more: Mapping[str, str] | None = None) -> str:
    # Bytecode is kept from run to run, as it is for everybody, also where the caller has forbidden it.
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(lab.state / "bytecode"), "PYTHONPATH": str(ROOT)}
    variables = {**os.environ, **kept, **(more or {})}
    ended = subprocess.run(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if ended.returncode != 0:
        raise Wrong(f"cannot go on: {Path(command[0]).name} ended with {ended.returncode} and said:\n{ended.stdout}")
    return ended.stdout


if __name__ == "__main__":
    sys.exit(main())
