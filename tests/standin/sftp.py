"""SFTP of a stand-in Mac: the Mac's own disk, with the rights of the account that logged in."""

from __future__ import annotations

import functools
import os
import pwd
from collections.abc import Callable
from typing import Any

import asyncssh

from tests.standin.kernel import files_as

_REQUESTS = """
open open56 listdir lstat stat setstat lsetstat fsetstat remove mkdir rmdir realpath rename readlink symlink link
posix_rename statvfs
"""
_BY_PATH = _REQUESTS.split()
"""The requests where the account's rights decide; what is open already was judged when it was opened."""


def _as_account(handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def judged(self: Files, *arguments: Any) -> Any:
        # These handlers never wait, so nothing else of this thread can run while it has the account's rights.
        with files_as(self.account.pw_uid, self.account.pw_gid):
            return handler(self, *arguments)

    return judged


class Files(asyncssh.SFTPServer):
    """Relative paths begin at home."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(channel)
        self.account = pwd.getpwnam(channel.get_connection().get_extra_info("username"))

    def map_path(self, path: bytes) -> bytes:
        return os.path.join(os.fsencode(self.account.pw_dir), path)

    def listdir(self, path: bytes) -> list[bytes]:
        return os.listdir(self.map_path(path))


for _name in _BY_PATH:
    setattr(Files, _name, _as_account(getattr(Files, _name)))
