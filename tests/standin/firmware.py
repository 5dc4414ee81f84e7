"""One boot of a Mac, from the power button to the resident process.

The firmware process puts macOS's interfaces on the receptacles and waits; below it, in fresh namespaces, process 1
enters the Mac's file system and starts the resident process. When that ends, all end.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from ipaddress import ip_interface
from pathlib import Path
from typing import NoReturn

from pyroute2 import IPRoute

from tests.standin import kernel
from tests.standin.disk import enter_system, mount_processes
from tests.standin.kernel_network import ETHERNET, receptacle_name
from tests.standin.layer import interpreter
from tests.standin.links import Links
from tests.standin.mac import INSIDE, Machine
from tests.standin.state import PREFIX_LENGTH, State

ETHERNET_RECEPTACLE = "ethernet"
_NAMESPACES = kernel.NEW_NETWORK | kernel.NEW_PIDS | kernel.NEW_IPC | kernel.NEW_HOSTNAME
_NETWORK_SETTINGS = {
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
    # As in BSD, an address does not go away because another one of the same subnet does.
    "ipv4/conf/all/promote_secondaries": "1",
}


def boot(state: State, machine: Machine, receptacles: Links) -> int:
    """Run macOS once, in a process forked from the hardware; returns how its resident process ended."""
    kernel.die_with_parent()
    with IPRoute() as outside:
        kernel.unshare(_NAMESPACES)
        socket.sethostname(machine.name)
        _make_interfaces(outside, machine)
    pid1 = fork(lambda: _first_process(state, machine, receptacles))
    state.pid1_file(machine.name).write_text(str(pid1))
    return exit_code(os.waitpid(pid1, 0)[1])


def set_up_network() -> None:
    """Give a fresh network namespace the settings that all of them have."""
    for name, value in _NETWORK_SETTINGS.items():
        setting = Path("/proc/sys/net", name)
        if setting.exists():  # a kernel without IPv6 has nothing to switch off
            setting.write_text(value)


def fork(child: Callable[[], int]) -> int:
    """Run a function in a child process, which ends with what it returns; returns the child's pid."""
    pid = os.fork()
    if pid == 0:
        raise SystemExit(child())
    return pid


def exit_code(status: int) -> int:
    """How a child ended, from its wait status; a signal is a number above 128."""
    return os.waitstatus_to_exitcode(status) % 256


def _make_interfaces(outside: IPRoute, machine: Machine) -> None:
    """Put macOS's interfaces on the receptacles, which stay in the hardware's network namespace."""
    set_up_network()
    pairs = {ETHERNET_RECEPTACLE: ETHERNET}
    pairs |= {receptacle_name(number): interface for number, interface in machine.ports.items()}
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    for receptacle, interface in pairs.items():
        (below,) = outside.link_lookup(ifname=receptacle)
        outside.link("add", ifname=interface, kind="macvlan", macvlan_mode="passthru", link=below, net_ns_fd=here)
    os.close(here)
    links = Links()
    links.set_up("lo", True)
    links.set_up(ETHERNET, True)
    _address_ethernet(links.index(ETHERNET), machine.address)


def _address_ethernet(index: int, address: str) -> None:
    with IPRoute() as inside:
        inside.addr("add", index=index, address=address, prefixlen=PREFIX_LENGTH)
        # pyinfra's SSH client waits for each small packet to be acknowledged: 40 ms per command, if not at once.
        network = str(ip_interface(f"{address}/{PREFIX_LENGTH}").network)
        inside.route(
            "replace", dst=network, oif=index, prefsrc=address, proto="kernel", scope="link", metrics={"quickack": 1}
        )


def _first_process(state: State, machine: Machine, receptacles: Links) -> int:
    """Process 1: collect what others leave behind, and end, with everything else, when the resident process ends."""
    kernel.die_with_parent()
    kernel.unshare(kernel.NEW_MOUNTS)
    rack_directory = os.open(state.directory, os.O_RDONLY | os.O_DIRECTORY)
    enter_system(state.stage, machine, cached=state.cached_marker.exists())
    mount_processes()
    darwin = fork(lambda: _become_darwin(machine.name, rack_directory, receptacles))
    while True:
        pid, status = os.wait()
        if pid == darwin:
            return exit_code(status)


def _become_darwin(name: str, rack_directory: int, receptacles: Links) -> NoReturn:
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # by whoever started the lab under nohup
        signal.signal(ignored, signal.SIG_DFL)
    os.setgroups([])
    kernel.stay_inside()
    inherited = (rack_directory, receptacles.fileno())
    for descriptor in inherited:
        os.set_inheritable(descriptor, True)
    environment = {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONPATH": f"{INSIDE}:{INSIDE / 'site-packages'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    argv = [str(interpreter()), "-P", "-m", "tests.standin.darwin", name, *map(str, inherited)]
    os.execve(argv[0], argv, environment)  # noqa: S606 - there is no shell to start it with, and no need of one
