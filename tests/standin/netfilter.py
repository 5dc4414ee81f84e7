"""The rules of pf put into force in the Linux kernel, through nf_tables(7) netlink messages.

Written out here for the reason `addresses` is. One table of one chain on what comes in; it is replaced whole, in one
transaction, so that no packet is met by half of it. What pf calls a state is here a mark on a tracked connection: it
outlives a change of the rules, as pf's states do.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence

from tests.standin.packet_filter import FilterRule

_HEADER = struct.Struct("IHHII")  # length, type, flags, sequence, port
_FAMILY = struct.Struct("!BBH")  # family, version, resource
_ATTRIBUTE = struct.Struct("HH")
_NETFILTER = 12
_NESTED, _ERROR = 0x8000, 2
_REQUEST, _ACKNOWLEDGE, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_BEGIN, _END, _NFTABLES = 0x10, 0x11, 10
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = 0xA00, 0xA02, 0xA03, 0xA06
_TABLE, _CHAIN = b"pf\0", b"in\0"
_VERDICT, _REGISTER = 0, 1
_DROP, _ACCEPT = 0, 1
_EQUAL, _NOT_EQUAL = 0, 1
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_INTERFACE_NAME, _PROTOCOL = 6, 16
_MARK = 3
_TCP = b"\x06"
_SYN, _SYN_OR_ACK = b"\x02", b"\x12"
_INTERFACES = {"lo0": b"lo\0"}


class PacketFilter:
    """The filter of the network namespace this object is made in."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        self._socket.bind((0, 0))

    def enforce(self, rules: Sequence[FilterRule], tables: Mapping[str, Sequence[str]], generation: int = 1) -> None:
        """Let these rules decide from the next packet on; states of another generation are no longer known."""
        chain = [_attribute(1, _TABLE), _attribute(3, _CHAIN)]
        hook = _nest(4, _number(1, 1), _number(2, 0))  # on input, at the priority of filters
        self._commit(
            *self._without(),
            _message(_NEW_TABLE, _attribute(1, _TABLE)),
            _message(_NEW_CHAIN, *chain, hook, _number(5, _ACCEPT), _attribute(7, b"filter\0")),
            *(_rule(expressions) for expressions in _chain(rules, tables, generation)),
        )

    def lift(self) -> None:
        """Let everything in; nothing to lift is fine too."""
        self._commit(*self._without())

    def _without(self) -> list[bytes]:
        # To delete what may not be there: make it first, which is nothing when it is.
        return [_message(kind, _attribute(1, _TABLE)) for kind in (_NEW_TABLE, _DELETE_TABLE)]

    def _commit(self, *messages: bytes) -> None:
        begin, end = (_message(kind, resource=_NFTABLES, acknowledge=False) for kind in (_BEGIN, _END))
        self._socket.send(begin + b"".join(messages) + end)
        answered = 0
        while answered < len(messages):
            packet = self._socket.recv(1 << 16)
            while packet:
                length, kind, *_ = _HEADER.unpack_from(packet)
                _raise_for(packet, kind)
                answered, packet = answered + 1, packet[_aligned(length) :]


def _raise_for(packet: bytes, kind: int) -> None:
    (number,) = struct.unpack_from("i", packet, _HEADER.size)
    if kind == _ERROR and number:
        raise OSError(-number, f"nf_tables: {os.strerror(-number)}")


def _chain(rules: Sequence[FilterRule], tables: Mapping[str, Sequence[str]], generation: int) -> Iterator[list[bytes]]:
    """The expressions of each kernel rule: first what has a state, then pf's rules in order."""
    mark = struct.pack("I", generation)
    yield [_expression("ct", _number(1, _REGISTER), _number(2, _MARK)), _compare(mark), _verdict(_ACCEPT)]
    for rule in rules:
        for source in _sources(rule.source, tables):
            where = [*_on(rule.interface), *source]
            if rule.action == "pass":
                yield from _passing(rule, where, mark)
            else:
                yield from _blocking(rule, where)


def _passing(rule: FilterRule, where: list[bytes], mark: bytes) -> Iterator[list[bytes]]:
    keep = _remember(mark) if rule.state == "keep" else []
    first = _first_packet() if rule.flags == "S/SA" else []
    yield [*where, *_protocol(), *_ports(rule), *first, *keep, _verdict(_ACCEPT)]
    if not rule.tcp:
        yield [*where, *_protocol(_NOT_EQUAL), *keep, _verdict(_ACCEPT)]


def _blocking(rule: FilterRule, where: list[bytes]) -> Iterator[list[bytes]]:
    if rule.action == "block drop":
        yield [*where, *(_protocol() if rule.tcp else []), *_ports(rule), _verdict(_DROP)]
        return
    reset = _expression("reject", _number(1, 1), _attribute(2, b"\0"))
    yield [*where, *_protocol(), *_ports(rule), reset]
    if not rule.tcp:
        unreachable = _expression("reject", _number(1, 0), _attribute(2, b"\x03"))
        yield [*where, *_protocol(_NOT_EQUAL), unreachable]


def _sources(source: str, tables: Mapping[str, Sequence[str]]) -> Iterator[list[bytes]]:
    """Where a packet must come from; a table that does not exist holds nobody."""
    if source == "any":
        yield []
        return
    for address in tables.get(source[1:-1], []) if source.startswith("<") else [source]:
        network = ipaddress.IPv4Network(address)
        mask = _masked(network.netmask.packed)
        yield [_load(_NETWORK_HEADER, 12, 4), mask, _compare(network.network_address.packed)]


def _on(interface: str) -> list[bytes]:
    name = _INTERFACES.get(interface, interface.encode() + b"\0")
    return [_meta(_INTERFACE_NAME), _compare(name.ljust(16, b"\0"))] if interface else []


def _protocol(how: int = _EQUAL) -> list[bytes]:
    return [_meta(_PROTOCOL), _compare(_TCP, how)]


def _ports(rule: FilterRule) -> list[bytes]:
    if rule.ports is None:
        return []
    low, high = (port.to_bytes(2, "big") for port in rule.ports)
    bounds = [_nest(3, _attribute(1, low)), _nest(4, _attribute(1, high))]
    return [_load(_TRANSPORT_HEADER, 2, 2), _expression("range", _number(1, _REGISTER), _number(2, _EQUAL), *bounds)]


def _first_packet() -> list[bytes]:
    return [_load(_TRANSPORT_HEADER, 13, 1), _masked(_SYN_OR_ACK), _compare(_SYN)]


def _remember(mark: bytes) -> list[bytes]:
    load = _expression("immediate", _number(1, _REGISTER), _nest(2, _attribute(1, mark)))
    return [load, _expression("ct", _number(2, _MARK), _number(4, _REGISTER))]


def _meta(what: int) -> bytes:
    return _expression("meta", _number(1, _REGISTER), _number(2, what))


def _load(header: int, offset: int, length: int) -> bytes:
    return _expression("payload", _number(1, _REGISTER), _number(2, header), _number(3, offset), _number(4, length))


def _masked(mask: bytes) -> bytes:
    nothing = _nest(5, _attribute(1, bytes(len(mask))))
    registers = (_number(1, _REGISTER), _number(2, _REGISTER), _number(3, len(mask)))
    return _expression("bitwise", *registers, _nest(4, _attribute(1, mask)), nothing)


def _compare(value: bytes, how: int = _EQUAL) -> bytes:
    return _expression("cmp", _number(1, _REGISTER), _number(2, how), _nest(3, _attribute(1, value)))


def _verdict(code: int) -> bytes:
    return _expression("immediate", _number(1, _VERDICT), _nest(2, _nest(2, _number(1, code))))


def _rule(expressions: list[bytes]) -> bytes:
    return _message(_NEW_RULE, _attribute(1, _TABLE), _attribute(2, _CHAIN), _nest(4, *expressions), flags=_APPEND)


def _expression(name: str, *data: bytes) -> bytes:
    return _nest(1, _attribute(1, name.encode() + b"\0"), _nest(2, *data))


def _message(kind: int, *attributes: bytes, resource: int = 0, flags: int = 0, acknowledge: bool = True) -> bytes:
    body = _FAMILY.pack(socket.AF_INET if acknowledge else 0, 0, resource) + b"".join(attributes)
    flags |= _REQUEST | (_ACKNOWLEDGE if acknowledge else 0) | (0 if kind == _DELETE_TABLE else _CREATE)
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!I", value))


def _nest(kind: int, *attributes: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(attributes))


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_aligned(length) - length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
