"""What one property list in /Library/LaunchDaemons asks for, read once, when the job is bootstrapped.

launchd refuses a file that anybody but root could have written, and ignores keys it does not know. Keys that macOS
knows and these stand-ins do not are refused as well, by name: a job that seems to load but is never started as
declared would hide the very fault the stand-ins exist to show.
"""

from __future__ import annotations

import os
import plistlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

DEFAULT_THROTTLE_SECONDS = 10
DEFAULT_EXIT_SECONDS = 5
SPAWN_TYPES = {
    "Standard": "daemon (3)",
    "Interactive": "interactive (4)",
    "Background": "background (5)",
    "Adaptive": "adaptive (6)",
}
"""ProcessType -> how `launchctl print` words it."""

UNSUPPORTED = frozenset(
    [
        "BundleProgram",
        "LaunchEvents",
        "LaunchOnlyOnce",
        "MachServices",
        "QueueDirectories",
        "RootDirectory",
        "Sockets",
        "StandardInPath",
        "StartCalendarInterval",
        "StartOnMount",
        "WatchPaths",
        "inetdCompatibility",
    ]
)
SUPPORTED_KEEP_ALIVE = frozenset({"SuccessfulExit"})
SUPPORTED_LIMITS = frozenset({"NumberOfFiles"})


class LaunchdError(Exception):
    """A request launchd turned down: its error number, and what a person should look at."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class UnsupportedKeysError(LaunchdError):
    """The plist asks for something macOS would do and this stand-in cannot."""


@dataclass(frozen=True)
class JobPlist:
    """The supported keys of one job, under launchd's own names in snake case; times in seconds."""

    path: Path
    label: str
    program: str
    arguments: list[str]
    program_inferred: bool
    user_name: str | None
    group_name: str | None
    working_directory: str | None
    environment_variables: dict[str, str]
    run_at_load: bool
    keep_alive: bool
    keep_alive_successful_exit: bool | None
    throttle_interval: int
    start_interval: int | None
    exit_timeout: int
    standard_out_path: str | None
    standard_error_path: str | None
    soft_files: int | None
    hard_files: int | None
    process_type: str
    umask: int | None
    nice: int
    abandon_process_group: bool
    disabled: bool

    @property
    def starts_at_load(self) -> bool:
        """Whether bootstrap alone starts it; a KeepAlive condition on the exit needs one run to be judged."""
        return self.run_at_load or self.keep_alive or self.keep_alive_successful_exit is not None

    def keeps_alive_after(self, status: int) -> bool:
        """Whether it is started again after an exit status (negative: the signal that ended it)."""
        if self.keep_alive_successful_exit is not None:
            return (status == 0) == self.keep_alive_successful_exit
        return self.keep_alive

    @property
    def grace_seconds(self) -> int | None:
        """How long SIGTERM may take before SIGKILL; None waits for ever."""
        return self.exit_timeout or None


def read_job(path: Path) -> JobPlist:
    """One job from its file. Raises LaunchdError 5, as `launchctl bootstrap` reports any fault in the file."""
    content = _contents(path)
    if not isinstance(content.get("Label"), str) or not _command_line(content):
        raise LaunchdError(5, f"{path}: needs Label, and Program or ProgramArguments")
    try:
        _refuse_unsupported(path, content)
        return _parse(path, content)
    except (TypeError, ValueError, AttributeError) as error:
        raise LaunchdError(5, f"{path}: a key has the wrong type: {error}") from error


def _contents(path: Path) -> dict[str, Any]:
    try:
        _check_ownership(path, path.lstat())
        content = plistlib.loads(path.read_bytes())
    except OSError as error:
        raise LaunchdError(5, f"{path}: {os.strerror(error.errno or 0)}") from error
    except (plistlib.InvalidFileException, ExpatError, ValueError) as error:
        raise LaunchdError(5, f"{path}: not a property list: {error}") from error
    if not isinstance(content, dict):
        raise LaunchdError(5, f"{path}: the property list is not a dictionary")
    return content


def _check_ownership(path: Path, seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode) or (seen.st_uid, seen.st_gid) != (0, 0) or seen.st_mode & 0o022:
        raise LaunchdError(5, f"{path}: Path had bad ownership/permissions")


def _refuse_unsupported(path: Path, content: dict[str, Any]) -> None:
    unsupported = sorted(UNSUPPORTED & content.keys())
    if isinstance(content.get("KeepAlive"), dict):
        unsupported += sorted(content["KeepAlive"].keys() - SUPPORTED_KEEP_ALIVE)
    for limits in ("SoftResourceLimits", "HardResourceLimits"):
        unsupported += sorted(content.get(limits, {}).keys() - SUPPORTED_LIMITS)
    if unsupported:
        raise UnsupportedKeysError(5, f"{path}: this stand-in's launchd has no {', '.join(unsupported)}")


def _command_line(content: dict[str, Any]) -> list[str]:
    """The job's arguments; empty where the keys are missing or hold anything but strings."""
    arguments: Any = content.get("ProgramArguments") or [content.get("Program")]
    sound = isinstance(arguments, list) and all(isinstance(argument, str) for argument in arguments)
    return arguments if sound else []


def _parse(path: Path, content: dict[str, Any]) -> JobPlist:
    arguments = _command_line(content)
    keep_alive = content.get("KeepAlive", False)
    conditions: dict[str, Any] = keep_alive if isinstance(keep_alive, dict) else {}
    return JobPlist(
        path=path,
        label=content["Label"],
        program=content.get("Program", arguments[0]),
        arguments=arguments,
        program_inferred="Program" not in content,
        user_name=content.get("UserName"),
        group_name=content.get("GroupName"),
        working_directory=content.get("WorkingDirectory"),
        environment_variables={name: str(value) for name, value in content.get("EnvironmentVariables", {}).items()},
        run_at_load=bool(content.get("RunAtLoad", False)),
        keep_alive=keep_alive is True,
        keep_alive_successful_exit=conditions.get("SuccessfulExit"),
        throttle_interval=int(content.get("ThrottleInterval", DEFAULT_THROTTLE_SECONDS)),
        start_interval=_optional_int(content.get("StartInterval")),
        exit_timeout=int(content.get("ExitTimeOut", DEFAULT_EXIT_SECONDS)),
        standard_out_path=content.get("StandardOutPath"),
        standard_error_path=content.get("StandardErrorPath"),
        soft_files=_optional_int(content.get("SoftResourceLimits", {}).get("NumberOfFiles")),
        hard_files=_optional_int(content.get("HardResourceLimits", {}).get("NumberOfFiles")),
        process_type=content.get("ProcessType", "Standard"),
        umask=_umask(content.get("Umask")),
        nice=int(content.get("Nice", 0)),
        abandon_process_group=bool(content.get("AbandonProcessGroup", False)),
        disabled=bool(content.get("Disabled", False)),
    )


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)


def _umask(value: int | str | None) -> int | None:
    """An integer is the mask itself, written in decimal; a string is octal."""
    return int(value, 8) if isinstance(value, str) else _optional_int(value)
