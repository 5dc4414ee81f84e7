"""`pfctl`: the packet filter. It is off at every start, and whatever was loaded is forgotten.

The main ruleset, which macOS loads at boot, evaluates the anchors directly below `com.apple` and no others: rules in
an anchor of another name are held, shown and never asked. What enables the filter holds a reference, named by a
token; it stays on until the last is released, or until somebody switches it off without asking (`-d`). Wording,
streams and exit codes are those captured on macOS 26.5.2.
"""

from __future__ import annotations

import getopt
import ipaddress
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.standin.commands import pfctl_print as text
from tests.standin.commands.boot_state import keep, recall
from tests.standin.commands.replies import failure, unsupported
from tests.standin.mac import Call, Command, Mac, Reply
from tests.standin.packet_filter import FilterRule, FilterSyntaxError, read_rules

SUBJECT = "packet-filter"
ALTQ = "No ALTQ support in kernel\nALTQ related functions disabled\n"
WARNING = """\
pfctl: Use of -f option, could result in flushing of rules
present in the main ruleset added by the system at startup.
See /etc/pf.conf for further details.

"""
MODIFIERS = ("info", "rules", "Anchors", "References", "Tables", "all", "states")
FIRST_PID = 4063


class _Refused(Exception):
    """What pfctl says before it exits with a failure."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def pfctl(mac: Mac, call: Call) -> Reply:
    """Everything asked for in one call, in pfctl's own order: off, show, flush, tables, load, on."""
    try:
        pairs, rest = getopt.getopt(call.argv[1:], "a:deEf:F:nqs:t:T:vX:")
    except getopt.GetoptError:
        return unsupported(call)
    options = {name[1:]: value for name, value in pairs}
    if rest or not options.keys() - {"a", "q", "v", "n"} or not _known(options):
        return unsupported(call)
    if not call.is_root and "n" not in options:
        return failure("pfctl: /dev/pf: Permission denied", 1)
    return _act(mac, call, options)


COMMANDS: dict[str, Command] = {"/sbin/pfctl": pfctl}


def _known(options: dict[str, str]) -> bool:
    for name in options.keys() & {"s", "F"}:
        full = _modifier(options[name])
        if full not in (("rules", "all", "Tables", "states") if name == "F" else MODIFIERS[:5]):
            return False
        options[name] = full
    return options.get("T", "show") == "show" and ("T" in options) == ("t" in options)


def _modifier(word: str) -> str:
    """Any beginning of a modifier stands for it."""
    return next((name for name in MODIFIERS if word and name.startswith(word)), "")


def _act(mac: Mac, call: Call, options: dict[str, str]) -> Reply:
    state = _state(mac)
    output, said = "", ALTQ
    try:
        for option, step in STEPS.items():
            if option in options:
                shown, spoken = step(call, state, options)
                output, said = output + shown, said + ("" if "q" in options else spoken)
    except _Refused as refused:
        return Reply(output, said + refused.text, refused.code)
    finally:
        _settle(mac, state, options)
    return Reply(output, said)


def _state(mac: Mac) -> dict[str, Any]:
    """What this boot knows: since when it is on or off, who holds it on, and the anchors by name."""
    fresh = {"enabled": False, "since": None, "references": [], "evaluates": True, "generation": 1, "anchors": {}}
    return recall(mac, SUBJECT, fresh)


def _settle(mac: Mac, state: dict[str, Any], options: dict[str, str]) -> None:
    """Remember, and put into force, what has changed."""
    if options.keys() & {"d", "X", "F", "f", "e", "E"} and "n" not in options:
        keep(mac, SUBJECT, state)
        if state["enabled"]:
            mac.network.enforce_filter(*_in_force(state), state["generation"])
        else:
            mac.network.lift_filter()


def _in_force(state: dict[str, Any]) -> tuple[list[FilterRule], dict[str, list[str]]]:
    rules, tables = list[FilterRule](), dict[str, list[str]]()
    for name, anchor in sorted(state["anchors"].items()):
        if not state["evaluates"] or name.rpartition("/")[0] != text.EVALUATED:
            continue
        tables |= {f"{name}/{table}": held for table, held in anchor["tables"].items()}
        for rule in read_rules("\n".join(anchor["rules"])).rules:
            private = rule.source.startswith("<")
            rules.append(replace(rule, source=f"<{name}/{rule.source[1:]}") if private else rule)
    return rules, tables


def _disable(_: Call, state: dict[str, Any], __: dict[str, str]) -> tuple[str, str]:
    if not state["enabled"]:
        raise _Refused("pfctl: pf not enabled\n")
    state.update(enabled=False, since=time.time(), references=[])
    return "", "pf disabled\n"


def _release(call: Call, state: dict[str, Any], options: dict[str, str]) -> tuple[str, str]:
    if not state["enabled"]:
        raise _Refused("pfctl: pf not enabled\n")
    kept = [held for held in state["references"] if str(held["token"]) != options["X"]]
    if len(kept) == len(state["references"]):
        raise _Refused("pfctl: pf: token invalid\n")
    state["references"] = kept
    if kept:
        more = f"{len(kept)} more pf enable reference(s) remaining, pf still enabled."
        return "", f"disable request successful. {more}\n"
    return _disable(call, state, options)


def _enable(_: Call, state: dict[str, Any], __: dict[str, str]) -> tuple[str, str]:
    if state["enabled"]:
        raise _Refused("pfctl: pf already enabled\n")
    state.update(enabled=True, since=time.time())
    return "", "pf enabled\n"


def _refer(_: Call, state: dict[str, Any], __: dict[str, str]) -> tuple[str, str]:
    token, now = secrets.randbits(64), time.time()
    if not state["enabled"]:
        state.update(enabled=True, since=now)
    pid = FIRST_PID + secrets.randbelow(1000)
    state["references"] = [{"pid": pid, "token": token, "since": now}, *state["references"]]
    return "", f"pf enabled\nToken : {token}\n"


def _show(call: Call, state: dict[str, Any], options: dict[str, str]) -> tuple[str, str]:
    name = options.get("a", "")
    match options["s"]:
        case "info":
            return text.info(state), ""
        case "References":
            return text.references(state), ""
        case "Anchors":
            return text.anchors(state, name, deep="v" in options), ""
        case "Tables":
            return "".join(f"{table}\n" for table in sorted(_anchor(state, name)["tables"])), ""
        case _:
            return text.rules(state, name)


def _anchor(state: dict[str, Any], name: str) -> dict[str, Any]:
    return state["anchors"].get(name, {"tables": {}, "rules": []})


def _flush(_: Call, state: dict[str, Any], options: dict[str, str]) -> tuple[str, str]:
    name, what = options.get("a", ""), options["F"]
    if what == "states" or (what == "all" and not name):
        state["generation"] += 1
    if what == "states":
        return "", "0 states cleared\n"
    if not name:
        state["evaluates"] = state["evaluates"] and what == "Tables"
    held = _anchor(state, name)
    gone = len(held["tables"])
    left = {"tables": {} if what != "rules" else held["tables"], "rules": held["rules"] if what == "Tables" else []}
    state["anchors"].pop(name, None)
    if left["tables"] or left["rules"]:
        state["anchors"][name] = left
    said = {"rules": "rules cleared\n", "Tables": f"{gone} tables deleted.\n"}
    return "", said.get(what, f"rules cleared\nnat cleared\ndummynet cleared\n{gone} tables deleted.\n")


def _table(_: Call, state: dict[str, Any], options: dict[str, str]) -> tuple[str, str]:
    tables = _anchor(state, options.get("a", ""))["tables"]
    if options["t"] not in tables:
        raise _Refused("pfctl: Table does not exist.\n", 255)
    return "".join(f"   {address}\n" for address in sorted(tables[options["t"]], key=ipaddress.ip_network)), ""


def _load(call: Call, state: dict[str, Any], options: dict[str, str]) -> tuple[str, str]:
    name, file = options.get("a", ""), options["f"]
    content = _text(call, file)
    if not name:
        return _load_main(state, content, file)
    try:
        found = read_rules(content)
    except FilterSyntaxError as wrong:
        raise _Refused(WARNING + _syntax_error(file, wrong.numbers)) from None
    if "n" not in options:
        state["anchors"][name] = {"tables": found.tables, "rules": [str(rule) for rule in found.rules]}
        if not found.tables and not found.rules:
            del state["anchors"][name]
    return "", WARNING


def _load_main(state: dict[str, Any], content: str, file: str) -> tuple[str, str]:
    """The main ruleset is macOS's own or nothing: a stand-in knows no rules there."""
    statements = [line.split() for line in content.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    wrong = [words[0] for words in statements if not words[0].endswith("anchor") and words[:2] != ["load", "anchor"]]
    if wrong:
        raise _Refused(f"{WARNING}usage: pfctl: this stand-in does not know, in {file}: {', '.join(wrong)}\n", 64)
    state["evaluates"] = ["anchor", f'"{text.EVALUATED}/*"'] in statements
    return "", WARNING


def _text(call: Call, file: str) -> str:
    if file == "-":
        return call.stdin.read().decode()
    try:
        return Path(file).read_text()
    except OSError as error:
        reason = f"{error.strerror}\n"
        opened = f"pfctl: {file}: {reason}pfctl: cannot open the main config file!: {reason}"
        raise _Refused(f"{WARNING}{opened}pfctl: Syntax error in config file: pf rules not loaded\n") from None


def _syntax_error(file: str, numbers: list[int]) -> str:
    rows = "".join(f"{'stdin' if file == '-' else file}:{number}: syntax error\n" for number in numbers)
    return f"{rows}pfctl: Syntax error in config file: pf rules not loaded\n"


STEPS = {"d": _disable, "X": _release, "s": _show, "F": _flush, "T": _table, "f": _load, "e": _enable, "E": _refer}
"""Option -> what it does, in the order pfctl does it whatever the order on its command line."""
