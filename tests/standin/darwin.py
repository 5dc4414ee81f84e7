"""The one process that is macOS on a stand-in: it serves SSH and Apple's commands and supervises launchd's jobs.

`python -m tests.standin.darwin NAME RACK_DIRECTORY RECEPTACLES`, the last two being inherited descriptors: the
directory of `rack.json`, and a socket in the network namespace of the Mac's receptacles.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from functools import partial
from pathlib import Path

from tests.standin import reply_cache, sshd
from tests.standin.command_server import CommandServer
from tests.standin.commands import COMMANDS
from tests.standin.commands.directory import write_passwd
from tests.standin.kernel_network import KernelNetwork
from tests.standin.launchd import Launchd
from tests.standin.links import Links
from tests.standin.mac import INSIDE, Boot, Ending, Mac, Memory
from tests.standin.rack import read_powered_rack, read_rack
from tests.standin.reply_cache import ReplyCache

SHUTDOWN_SECONDS = 5.0  # what jobs get to end in before the power goes


async def run(name: str, rack_directory: int, receptacles: Links) -> int:
    """Run macOS until it is shut down; returns the exit code that tells the hardware what is next."""
    memory = Memory(INSIDE / "memory")
    write_passwd(memory, Path("/private/etc"))
    ending: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    launchd = Launchd(memory)
    network = KernelNetwork(name, partial(read_rack, "rack.json", rack_directory), receptacles)
    rack = partial(read_powered_rack, "rack.json", rack_directory)
    mac = Mac(name, rack, memory, network, boot_now(), launchd, lambda how: _end(ending, how))
    cache = ReplyCache() if reply_cache.DIRECTORY.is_dir() else None
    server = CommandServer(mac, COMMANDS, INSIDE / "run" / "darwin.sock", cache)
    serving = asyncio.create_task(server.serve())
    await launchd.start()
    async with await sshd.listen():
        code = await ending
        await _shut_down(launchd)
    serving.cancel()
    return code


def boot_now() -> Boot:
    """A boot session that begins now."""
    microseconds = time.time_ns() // 1000
    return Boot(str(uuid.uuid4()).upper(), microseconds // 1_000_000, microseconds % 1_000_000)


def _end(ending: asyncio.Future[int], how: str) -> None:
    if not ending.done():
        ending.set_result(Ending[how.upper()])


async def _shut_down(launchd: Launchd) -> None:
    try:
        await asyncio.wait_for(launchd.stop(), SHUTDOWN_SECONDS)
    except TimeoutError:
        print("shutdown: some jobs did not end in time", file=sys.stderr)


def main() -> int:
    """Take over the inherited descriptors, keep them from every child, and run."""
    name, rack_directory, receptacles = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for descriptor in (rack_directory, receptacles):
        os.set_inheritable(descriptor, False)
    return asyncio.run(run(name, rack_directory, Links(receptacles)))


if __name__ == "__main__":
    sys.exit(main())
