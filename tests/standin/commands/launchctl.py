"""`launchctl`: the client of launchd, with macOS 26's words and exit codes.

Reading needs no privileges; changing the system domain needs root.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from tests.standin.commands import launchctl_print as text
from tests.standin.commands.apples_jobs import apples_jobs
from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.launchd import Launchd
from tests.standin.launchd_plist import LaunchdError, UnsupportedKeysError, read_job
from tests.standin.mac import Call, Command, Mac, Reply

ERRORS = {
    1: "Operation not permitted",
    3: "No such process",
    5: "Input/output error",
    36: "Operation now in progress",
    37: "Operation already in progress",
    113: "Could not find specified service",
    119: "Service is disabled",
    125: "Domain does not support specified action",
}
NO_DOMAIN = 112
RICHER = "Try re-running the command as root for richer errors."
SAME_NUMBERS = (1, 2, 3, 6, 9, 13, 14, 15)
"""Signals with the same number on macOS and Linux."""


async def launchctl(mac: Mac, call: Call) -> Reply:
    """Dispatch on the verb."""
    verb, arguments = (call.argv[1], call.argv[2:]) if len(call.argv) > 1 else ("", [])
    if verb == "kickstart":
        return await _kickstart(mac.launchd, call, arguments)
    if verb in VERBS:
        return VERBS[verb](mac.launchd, call, arguments)
    return unsupported(call)


COMMANDS: dict[str, Command] = {"/bin/launchctl": launchctl}


def _failed(verb: str, error: LaunchdError) -> Reply:
    sentence = [f"{verb}: {error.code}: {ERRORS[error.code]}"]
    if isinstance(error, UnsupportedKeysError):
        sentence.append(error.reason)
    elif error.code == 5:
        sentence.append(RICHER)
    return failure("\n".join(sentence), error.code)


def _not_root(verb: str) -> Reply:
    return _failed(verb, LaunchdError(1, "only root may change the system domain"))


def _not_found(label: str, *, bad_request: bool = False) -> Reply:
    sentence = f'Could not find service "{label}" in domain for system'
    return failure(f"Bad request.\n{sentence}" if bad_request else sentence, 113)


def _label(target: str) -> str | None:
    """The label of `system/LABEL`; None for any other domain."""
    domain, _, label = target.partition("/")
    return label if domain == "system" and label else None


def _bootstrap(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
    if len(arguments) < 2 or not all(path.startswith("/") for path in arguments[1:]):
        return unsupported(call)
    if arguments[0] != "system":
        return _failed("Bootstrap failed", LaunchdError(125, f"{arguments[0]} is no domain of this Mac"))
    if not call.is_root:
        return _failed("Bootstrap failed", LaunchdError(5, "only root may load into the system domain"))
    try:
        for path in arguments[1:]:
            launchd.bootstrap(Path(path))
    except LaunchdError as error:
        return _failed("Bootstrap failed", error)
    return Reply()


def _bootout(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
    label = _bootout_label(launchd, arguments)
    if label is None:
        return unsupported(call)
    if not call.is_root:
        return _not_root("Boot-out failed")
    try:
        launchd.bootout(label)
    except LaunchdError as error:
        return _failed("Boot-out failed", error)
    return Reply()


def _bootout_label(launchd: Launchd, arguments: list[str]) -> str | None:
    if len(arguments) == 1:
        return _label(arguments[0])
    if len(arguments) == 2 and arguments[0] == "system":
        loaded = [label for label, job in launchd.jobs.items() if job.plist.path == Path(arguments[1])]
        return loaded[0] if loaded else Path(arguments[1]).stem
    return None


async def _kickstart(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
    flags = {flag for argument in arguments if argument.startswith("-") for flag in argument[1:]}
    targets = [argument for argument in arguments if not argument.startswith("-")]
    label = _label(targets[0]) if len(targets) == 1 else None
    if label is None or flags - {"k", "p"}:
        return unsupported(call)
    if not call.is_root:
        return _not_root("Could not kickstart service")
    try:
        pid = await launchd.job(label).kickstart(kill="k" in flags)
    except LaunchdError as error:
        return _not_found(label) if error.code == 113 else _failed("Could not kickstart service", error)
    return lines(str(pid)) if "p" in flags else Reply()


def _kill(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
    number = _signal(arguments[0]) if len(arguments) == 2 else None
    label = _label(arguments[1]) if len(arguments) == 2 else None
    if number is None or label is None:
        return unsupported(call)
    if label not in launchd.jobs:
        return _not_found(label)
    if not call.is_root:
        return failure("Not privileged to signal service.", 1)
    process = launchd.job(label).process
    if process is None:
        return failure("No process to signal.", 3)
    process.send(number)
    return Reply()


def _signal(word: str) -> int | None:
    if word.isdigit():
        return int(word) if int(word) in SAME_NUMBERS else None
    name = word.upper() if word.upper().startswith("SIG") else f"SIG{word.upper()}"
    return getattr(signal, name, None)


def _print(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
    if len(arguments) != 1:
        return unsupported(call)
    jobs = apples_jobs(launchd) | launchd.jobs
    if arguments == ["system"]:
        return Reply(stdout=text.system(jobs, launchd.disabled))
    domain, _, rest = arguments[0].partition("/")
    if domain == "gui" and rest:
        return failure(f"Bad request.\nCould not find domain for user gui: {rest.partition('/')[0]}", NO_DOMAIN)
    label = _label(arguments[0])
    if label is None:
        return unsupported(call)
    return Reply(stdout=text.service(jobs[label])) if label in jobs else _not_found(label, bad_request=True)


def _print_disabled(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
    return Reply(stdout=text.print_disabled(launchd.disabled)) if arguments == ["system"] else unsupported(call)


def _list(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
    """Root sees the system domain; anybody else their own, which has no jobs here."""
    jobs = apples_jobs(launchd) | launchd.jobs if call.is_root else {}
    return unsupported(call) if arguments else Reply(stdout=text.listing(jobs))


def _override(disabled: bool) -> Callable[[Launchd, Call, list[str]], Reply]:
    def override(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
        label = _label(arguments[0]) if len(arguments) == 1 else None
        if label is None:
            return unsupported(call)
        if not call.is_root:
            return _not_root(f"Could not {'disable' if disabled else 'enable'} service")
        launchd.set_disabled(label, disabled)
        return Reply()

    return override


def _load(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
    """The old verb: like bootstrap, with `-w` to lift an override, and exit code 0 whatever happens."""
    if len(arguments) != 2 or arguments[0] != "-w":
        return unsupported(call)
    try:
        plist = read_job(_as_root(call, arguments[1]))
        launchd.set_disabled(plist.label, False)
        launchd.bootstrap(plist.path)
    except LaunchdError as error:
        return _lied("Load", "bootstrap", error)
    return Reply()


def _unload(launchd: Launchd, call: Call, arguments: list[str]) -> Reply:
    """The old verb: like bootout, with `-w` to disable, and exit code 0 whatever happens."""
    if len(arguments) != 2 or arguments[0] != "-w":
        return unsupported(call)
    try:
        plist = read_job(_as_root(call, arguments[1]))
        launchd.set_disabled(plist.label, True)
        launchd.bootout(plist.label)
    except LaunchdError as error:
        return _lied("Unload", "bootout", error)
    return Reply()


def _as_root(call: Call, path: str) -> Path:
    if not call.is_root:
        raise LaunchdError(5, "only root may change the system domain")
    return Path(path)


def _lied(verb: str, successor: str, error: LaunchdError) -> Reply:
    """The old verbs report a failure in words only."""
    if isinstance(error, UnsupportedKeysError):
        return _failed(f"{verb} failed", error)
    sentence = f"{verb} failed: 5: {ERRORS[5]}\nTry running `launchctl {successor}` as root for richer errors."
    return failure(sentence, 0)


VERBS: dict[str, Callable[[Launchd, Call, list[str]], Reply]] = {
    "bootout": _bootout,
    "bootstrap": _bootstrap,
    "disable": _override(disabled=True),
    "enable": _override(disabled=False),
    "kill": _kill,
    "list": _list,
    "load": _load,
    "print": _print,
    "print-disabled": _print_disabled,
    "unload": _unload,
}
