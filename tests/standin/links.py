"""Network interfaces of one namespace, through the socket calls every user may make (netdevice(7)).

The socket belongs to the namespace it was made in, so that a process can hold the interfaces of two namespaces.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

_SET_NAME = 0x8923
_GET_FLAGS, _SET_FLAGS, _GET_HARDWARE_ADDRESS, _GET_INDEX, _ETHTOOL = 0x8913, 0x8914, 0x8927, 0x8933, 0x8946
_IS_UP = 0x1
_ETHTOOL_LINK = 0xA


class Links:
    """Interfaces by name; an unknown one raises OSError (ENODEV)."""

    def __init__(self, from_socket: int | None = None) -> None:
        """See the interfaces of this process's network, or of the one that an inherited socket belongs to."""
        if from_socket is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        else:
            self._socket = socket.socket(fileno=from_socket)

    def fileno(self) -> int:
        """The socket, to be handed to another process."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let go of the namespace."""
        self._socket.close()

    def is_up(self, interface: str) -> bool:
        """Whether the interface is administratively up."""
        return bool(self._flags(interface) & _IS_UP)

    def set_up(self, interface: str, up: bool) -> None:
        """Bring the interface up, or down."""
        flags = self._flags(interface)
        self._call(_SET_FLAGS, interface, struct.pack("H", flags | _IS_UP if up else flags & ~_IS_UP))

    def has_carrier(self, interface: str) -> bool:
        """Whether something live is at the other end; never on an interface that is down."""
        # Asked of the driver: the RUNNING flag lags up to a second behind a lost carrier.
        question = array.array("B", struct.pack("II", _ETHTOOL_LINK, 0))
        self._call(_ETHTOOL, interface, struct.pack("P", question.buffer_info()[0]))
        return bool(struct.unpack("II", question)[1])

    def mac_address(self, interface: str) -> str:
        """The hardware address, lower case with colons."""
        return self._call(_GET_HARDWARE_ADDRESS, interface)[18:24].hex(":")

    def index(self, interface: str) -> int:
        """The kernel's number for the interface."""
        return int(struct.unpack_from("i", self._call(_GET_INDEX, interface), 16)[0])

    def rename(self, interface: str, name: str) -> None:
        """Give an interface that is down another name."""
        self._call(_SET_NAME, interface, struct.pack("16s", name.encode()))

    def _flags(self, interface: str) -> int:
        return int(struct.unpack_from("H", self._call(_GET_FLAGS, interface), 16)[0])

    def _call(self, request: int, interface: str, value: bytes = b"") -> bytes:
        return fcntl.ioctl(self._socket, request, struct.pack("16s24s", interface.encode(), value))
