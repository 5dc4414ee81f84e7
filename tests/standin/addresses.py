"""IPv4 addresses of one network namespace, through rtnetlink(7).

Written out here, because pyroute2 wants the event loop for itself and takes as long to import as a Mac to boot.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

_ERROR, _DONE = 2, 3
_NEW, _DELETE, _GET = 20, 21, 22
_REQUEST, _ACKNOWLEDGE, _DUMP, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_HEADER = struct.Struct("IHHII")  # length, type, flags, sequence, port
_ADDRESS = struct.Struct("BBBBI")  # family, prefix length, flags, scope, interface index
_ATTRIBUTE = struct.Struct("HH")  # length, type
_PEER, _LOCAL = 1, 2


class Addresses:
    """The addresses of the namespace this object is made in; refusals raise OSError with the kernel's errno."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)

    def add(self, index: int, address: str, prefix: int) -> None:
        """Give the interface with this number an address."""
        packed = socket.inet_aton(address)
        self._change(_NEW, _CREATE | _EXCLUSIVE, index, prefix, _attribute(_LOCAL, packed) + _attribute(_PEER, packed))

    def remove(self, index: int, address: str) -> None:
        """Take an address away."""
        self._change(_DELETE, 0, index, 32, _attribute(_LOCAL, socket.inet_aton(address)))

    def of(self, index: int) -> list[tuple[str, int]]:
        """(address, prefix length) in order of assignment."""
        self._send(_GET, _DUMP, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0))
        found = []
        for body in self._answers():
            _, prefix, _, _, owner = _ADDRESS.unpack_from(body)
            if owner == index:
                found.append((socket.inet_ntoa(_attributes(body)[_LOCAL]), prefix))
        return found

    def _change(self, kind: int, flags: int, index: int, prefix: int, attributes: bytes) -> None:
        self._send(kind, flags | _ACKNOWLEDGE, _ADDRESS.pack(socket.AF_INET, prefix, 0, 0, index) + attributes)
        for _ in self._answers():
            pass

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, 0, 0) + body)

    def _answers(self) -> Iterator[bytes]:
        while True:
            packet = self._socket.recv(1 << 16)
            while packet:
                length, kind, *_ = _HEADER.unpack_from(packet)
                body, packet = packet[_HEADER.size : length], packet[_aligned(length) :]
                if kind == _DONE or (kind == _ERROR and _is_acknowledgement(body)):
                    return
                yield body


def _is_acknowledgement(body: bytes) -> bool:
    (number,) = struct.unpack_from("i", body)
    if number:
        raise OSError(-number, os.strerror(-number))
    return True


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value


def _attributes(body: bytes) -> dict[int, bytes]:
    found, rest = {}, body[_ADDRESS.size :]
    while rest:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        found[kind] = rest[_ATTRIBUTE.size : length]
        rest = rest[_aligned(length) :]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
