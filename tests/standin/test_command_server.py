from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.standin.command_server import CommandServer
from tests.standin.mac import Call, Command, Mac, Reply


def write_client(folder: Path) -> Path:
    """The client as it is installed in a Mac, but for the place of the socket."""
    source = Path(__file__).with_name("client.py").read_text()
    client = folder / "probe"
    source = source.replace("/System/Standin/run/darwin.sock", str(folder / "darwin.sock"))
    client.write_text(f"#!{sys.executable} -IS\nCOMMAND = '/usr/bin/probe'\n{source}")
    client.chmod(0o755)
    return client


def called(folder: Path, command: Command, *arguments: str, **given: Any) -> subprocess.CompletedProcess[bytes]:
    async def serve_once() -> subprocess.CompletedProcess[bytes]:
        commands: Mapping[str, Command] = {"/usr/bin/probe": command}
        server = CommandServer(_no_mac(), commands, folder / "darwin.sock")
        serving = asyncio.create_task(server.serve())
        client = [str(write_client(folder)), *arguments]
        how = {"capture_output": True, **given}
        done = await asyncio.to_thread(subprocess.run, client, check=False, **how)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        server.close()
        return done

    return asyncio.run(serve_once())


def _no_mac() -> Mac:
    return Mac("mac-1", lambda: pytest.fail("asked for the rack"), None, None, None, None, pytest.fail)  # type: ignore[arg-type]


def test_a_command_gets_arguments_environment_standard_input_and_caller(tmp_path: Path) -> None:
    seen: list[Call] = []

    def probe(_: Mac, call: Call) -> Reply:
        seen.append(call)
        return Reply(stdout=call.stdin.read().decode().upper())

    done = called(tmp_path, probe, "-a", "two words", "", input=b"typed\n", env={"COLOUR": "a=b"})

    assert done.stdout == b"TYPED\n"
    assert seen[0].argv[1:] == ["-a", "two words", ""]
    assert seen[0].environment["COLOUR"] == "a=b"
    assert seen[0].uid == os.getuid()


def test_a_reply_keeps_its_streams_and_code_apart_however_long_it_is(tmp_path: Path) -> None:
    reply = Reply(stdout="o" * 300_000 + "\n", stderr="täglich\n", code=68)

    done = called(tmp_path, lambda _, __: reply)

    assert (done.stdout.decode(), done.stderr.decode(), done.returncode) == (reply.stdout, reply.stderr, reply.code)


def test_a_command_may_take_its_time(tmp_path: Path) -> None:
    async def slow(_: Mac, __: Call) -> Reply:
        await asyncio.sleep(0.05)
        return Reply("slept\n")

    assert called(tmp_path, slow).stdout == b"slept\n"


def test_what_a_command_tells_while_it_goes_on_comes_at_once_and_before_its_reply(tmp_path: Path) -> None:
    heard = tmp_path / "heard"

    async def slow(_: Mac, call: Call) -> Reply:
        await call.tell("\r10 %")
        await call.tell("\r20 %" * 30_000)
        async with asyncio.timeout(10):
            while not heard.exists() or heard.stat().st_size < 5 + 5 * 30_000:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return Reply("done\n", "+3\nx", 7)

    with heard.open("wb") as output:
        done = called(tmp_path, slow, capture_output=False, stdout=output, stderr=subprocess.PIPE)

    assert heard.read_bytes() == b"\r10 %" + b"\r20 %" * 30_000 + b"done\n"
    assert (done.stderr, done.returncode) == (b"+3\nx", 7)


def test_a_command_that_breaks_gives_no_answer_and_a_clear_code(tmp_path: Path) -> None:
    def broken(_: Mac, __: Call) -> Reply:
        raise ZeroDivisionError

    done = called(tmp_path, broken)

    assert done.returncode == 70
    assert b"gave no answer" in done.stderr
