"""Remote Login of a stand-in Mac: public keys only, commands and SFTP as the account that logged in.

As OpenSSH does it, a command's channel ends when its shell has ended and everybody has closed its output.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path

import asyncssh

from tests.standin.sftp import Files

HOST_KEY = Path("/private/etc/ssh/ssh_host_ed25519_key")
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
_CHUNK = 1 << 16


class RemoteLogin(asyncssh.SSHServer):
    """Lets an account in by the keys in its own `~/.ssh/authorized_keys`, read at each login."""

    def connection_made(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connection = connection

    def begin_auth(self, username: str) -> bool:
        keys = _authorized_keys(username)
        if keys.is_file():
            self._connection.set_authorized_keys(str(keys))
        return True


async def listen() -> asyncssh.SSHAcceptor:
    """Serve SSH on port 22 of every address."""
    return await asyncssh.listen(
        "0.0.0.0",
        22,
        server_factory=RemoteLogin,
        server_host_keys=[str(HOST_KEY)],
        process_factory=_run_command,
        sftp_factory=Files,
        encoding=None,
        line_editor=False,
    )


def _authorized_keys(username: str) -> Path:
    try:
        home = pwd.getpwnam(username).pw_dir
    except KeyError:
        return Path("/var/empty/authorized_keys")
    return Path(home, ".ssh/authorized_keys")


async def _run_command(session: asyncssh.SSHServerProcess[bytes]) -> None:
    child = await _start(session)
    feeding = asyncio.create_task(_feed(session, child))
    leaving = asyncio.create_task(_hang_up_on_leave(session, child))
    await asyncio.gather(_pump(child.stdout, session.stdout), _pump(child.stderr, session.stderr))
    code = await child.wait()
    feeding.cancel()
    leaving.cancel()
    if code < 0:
        session.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
    else:
        session.exit(code)


async def _start(session: asyncssh.SSHServerProcess[bytes]) -> Process:
    account = pwd.getpwnam(session.get_extra_info("username"))
    command = ["-c", session.command] if session.command else []
    return await asyncio.create_subprocess_exec(
        "/bin/sh",
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        limit=_CHUNK,
        start_new_session=True,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=os.getgrouplist(account.pw_name, account.pw_gid),
        cwd=account.pw_dir,
        env=_environment(session, account),
    )


def _environment(session: asyncssh.SSHServerProcess[bytes], account: pwd.struct_passwd) -> dict[str, str]:
    peer, peer_port = session.get_extra_info("peername")[:2]
    own, own_port = session.get_extra_info("sockname")[:2]
    return {
        "HOME": account.pw_dir,
        "LOGNAME": account.pw_name,
        "PATH": PATH,
        "SHELL": account.pw_shell,
        "SSH_CLIENT": f"{peer} {peer_port} {own_port}",
        "SSH_CONNECTION": f"{peer} {peer_port} {own} {own_port}",
        "USER": account.pw_name,
    }


async def _feed(session: asyncssh.SSHServerProcess[bytes], child: Process) -> None:
    """Pass on what the client sends, and its signals; a child that does not listen is not an error."""
    assert child.stdin is not None
    try:
        while data := await _next_input(session, child):
            child.stdin.write(data)
            await child.stdin.drain()
        child.stdin.close()
        await child.stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        return


async def _next_input(session: asyncssh.SSHServerProcess[bytes], child: Process) -> bytes:
    while True:
        try:
            return await session.stdin.read(_CHUNK)
        except asyncssh.SignalReceived as received:
            _signal_group(child, signal.Signals[f"SIG{received.signal}"])
        except asyncssh.BreakReceived:
            _signal_group(child, signal.SIGINT)


async def _hang_up_on_leave(session: asyncssh.SSHServerProcess[bytes], child: Process) -> None:
    await session.channel.wait_closed()
    _signal_group(child, signal.SIGHUP)


def _signal_group(child: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


async def _pump(source: asyncio.StreamReader | None, target: asyncssh.SSHWriter[bytes]) -> None:
    assert source is not None
    gone = False
    while data := await source.read(_CHUNK):
        if gone:
            continue
        try:
            target.write(data)
            await target.drain()
        except (BrokenPipeError, ConnectionError, asyncssh.Error):
            gone = True  # the client left; reading on keeps the child from blocking until it is gone too
