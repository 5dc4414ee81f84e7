"""An SSH connection that is prompt, stays open and notices when the other end is gone. Checked with paramiko 5."""

from __future__ import annotations

import socket
import sys
from typing import Any

import paramiko

_KEEPALIVE_SECONDS = 10
_SILENCE_SECONDS = 40
# macOS calls it TCP_RXT_CONNDROPTIME and counts seconds; Python has no name for it.
_DARWIN_DROP_TIME = 0x80


def prompt_transport(sock: Any, **options: Any) -> paramiko.Transport:
    """A transport for the inventory's `ssh_paramiko_connect_kwargs["transport_factory"]`.

    Small packets are not held back by Nagle's algorithm, which costs 45 ms a command. Connections of replicas that
    roll late idle for minutes, so they are kept alive; one whose peer no longer acknowledges breaks instead of
    hanging for ever.
    """
    # Through a jump host it is a channel, whose own transport has these options.
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "darwin":
            sock.setsockopt(socket.IPPROTO_TCP, _DARWIN_DROP_TIME, _SILENCE_SECONDS)
        elif sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _SILENCE_SECONDS)
    transport = paramiko.Transport(sock, **options)
    transport.set_keepalive(_KEEPALIVE_SECONDS)
    return transport
