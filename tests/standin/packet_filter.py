"""The rules of pf, as far as a stand-in Mac understands them: read from text, and printed as pf prints them.

Only incoming traffic, and only rules that decide at once (`quick`). A rule for a list of ports becomes one rule for
each, as in pf; a rule that passes TCP and names no flags passes the first packet of a connection and remembers the
rest (`flags S/SA keep state`), so that connections older than the filter are met by the rules after it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

SERVICES = {22: "ssh", 80: "http", 443: "https", 4000: "terabase", 5000: "commplex-main", 8000: "irdmi"} | {
    8080: "http-alt",
    8888: "ddi-tcp-1",
}
"""Ports that pf prints by name, from macOS's /etc/services; the ones a deploy may come near."""
_TOKEN = re.compile(r"(?:[^\S\n]|#[^\n]*|\\\n)*(\n|<[\w.-]+>|[{},=]|\"[^\"\n]*\"|[^\s{},<>=\"#]+|.)")
_STATES = ((("flags", "any"), "any"), (("flags", "S/SA"), "S/SA"))


class FilterSyntaxError(Exception):
    """The line numbers of the statements that pf does not understand."""

    def __init__(self, numbers: list[int]) -> None:
        super().__init__(f"lines {numbers}")
        self.numbers = numbers


@dataclass(frozen=True)
class FilterRule:
    """One rule for one range of ports; `source` is `any`, a network, or a table as `<name>`."""

    action: str  # "pass", "block drop" or "block return"
    interface: str = ""
    tcp: bool = False
    source: str = "any"
    ports: tuple[int, int] | None = None
    flags: str = ""  # "S/SA" or "any"; empty where there is no state to keep
    state: str = ""  # "keep" or "no"; empty for a rule that blocks

    def __str__(self) -> str:
        words = [f"{self.action} in quick", *([f"on {self.interface}"] if self.interface else [])]
        if self.source[0].isdigit():
            words.append("inet")
        words += ["proto tcp"] if self.tcp else []
        everything = self.source == "any" and self.ports is None
        words.append("all" if everything else f"from {self.source} to any")
        words += [f"port {_range(self.ports)}"] if self.ports else []
        words += [f"flags {self.flags}"] if self.flags else []
        return " ".join([*words, *([f"{self.state} state"] if self.state else [])])


@dataclass
class Ruleset:
    """What one file says: the tables by name, and the rules in order."""

    tables: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    rules: list[FilterRule] = field(default_factory=list[FilterRule])


def read_rules(text: str) -> Ruleset:
    """The tables and rules of a file. Raises FilterSyntaxError when any statement is not understood."""
    found, wrong = Ruleset(), list[int]()
    for words in _statements(text):
        try:
            _read(words, found)
        except (_Unexpected, ValueError):
            wrong.append(words.line)
    if wrong:
        raise FilterSyntaxError(wrong)
    return found


class _Unexpected(Exception):
    """A word that cannot stand here."""


class _Words:
    """The words of one statement, taken one after another."""

    def __init__(self, words: list[tuple[str, int]]) -> None:
        self._words = words
        self._next = 0

    @property
    def line(self) -> int:
        """The line of the next word, or of the last one."""
        return self._words[min(self._next, len(self._words) - 1)][1]

    def peek(self) -> str:
        return self._words[self._next][0] if self._next < len(self._words) else ""

    def take(self) -> str:
        if not self.peek():
            raise _Unexpected
        self._next += 1
        return self._words[self._next - 1][0]

    def accept(self, *words: str) -> bool:
        """Take these words if they come next."""
        ahead = tuple(word for word, _ in self._words[self._next : self._next + len(words)])
        self._next += len(words) if ahead == words else 0
        return ahead == words

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise _Unexpected


def _statements(text: str) -> Iterator[_Words]:
    """A statement ends with its line, but not inside braces."""
    words, line, depth = list[tuple[str, int]](), 1, 0
    for match in _TOKEN.finditer(text + "\n"):
        word = match[1]
        line += match[0].count("\n") - (word == "\n")
        depth += {"{": 1, "}": -1}.get(word, 0)
        if word != "\n":
            words.append((word, line))
        elif words and depth <= 0:
            yield _Words(words)
            words, depth = [], 0
        line += word == "\n"
    if words:
        yield _Words(words)


def _read(words: _Words, found: Ruleset) -> None:
    if words.accept("table"):
        name = words.take()
        if not name.startswith("<"):
            raise _Unexpected
        while words.accept("const") or words.accept("persist"):
            pass
        found.tables[name[1:-1]] = [_network(address) for address in _listed(words)]
    else:
        found.rules += _filter(words)
    if words.peek():
        raise _Unexpected


def _listed(words: _Words) -> list[str]:
    """`{ a, b c }`: the words between braces; a lone word where there are none."""
    if not words.accept("{"):
        return [words.take()]
    items = list[str]()
    while not words.accept("}"):
        items.append(words.take())
        words.accept(",")
    return items


def _filter(words: _Words) -> list[FilterRule]:
    rule = FilterRule(_action(words))
    words.expect("in", "quick")
    if words.accept("on"):
        rule = replace(rule, interface=words.take())
    words.accept("inet")
    if words.accept("proto"):
        words.expect("tcp")
        rule = replace(rule, tcp=True)
    ports: list[str] = []
    if not words.accept("all"):
        words.expect("from")
        rule = replace(rule, source=_source(words.take()))
        words.expect("to", "any")
        if words.accept("port"):
            words.accept("=")
            ports = _listed(words)
    rule = _with_state(rule, words)
    if ports and not rule.tcp:
        raise _Unexpected  # port only applies to tcp/udp
    return [replace(rule, ports=_ports(port)) for port in ports] or [rule]


def _action(words: _Words) -> str:
    action = words.take()
    if action == "block":
        if words.accept("return"):
            return "block return"
        words.accept("drop")
        return "block drop"
    if action != "pass":
        raise _Unexpected
    return action


def _with_state(rule: FilterRule, words: _Words) -> FilterRule:
    flags = next((name for wanted, name in _STATES if words.accept(*wanted)), "")
    if rule.action != "pass":
        if flags:
            raise _Unexpected
        return rule
    if words.accept("no", "state"):
        return replace(rule, flags=flags, state="no")
    words.accept("keep", "state")
    return replace(rule, flags=flags or "S/SA", state="keep")


def _source(word: str) -> str:
    return word if word == "any" or word.startswith("<") else _network(word)


def _network(word: str) -> str:
    network = ipaddress.IPv4Network(word, strict=False)
    return str(network.network_address) if network.prefixlen == 32 else str(network)


def _ports(word: str) -> tuple[int, int]:
    by_name = {name: str(number) for number, name in SERVICES.items()}
    first, colon, last = by_name.get(word, word).partition(":")
    low, high = int(first), int(last if colon else first)
    if not 0 <= low <= high <= 65535:
        raise _Unexpected
    return low, high


def _range(ports: tuple[int, int]) -> str:
    low, high = ports
    return f"= {SERVICES.get(low, low)}" if low == high else f"{low}:{high}"
