"""The text of `launchctl print`, laid out as macOS 26 lays it out.

Nested blocks repeat the words `state`, `type` and `active count` on purpose: a reader must look at the lines with
exactly one tab.
"""

from __future__ import annotations

import signal

from tests.standin.launchd_job import Job
from tests.standin.launchd_plist import SPAWN_TYPES
from tests.standin.launchd_process import DEFAULT_PATH

SIGNAL_NAMES = {
    signal.SIGHUP: "Hangup: 1",
    signal.SIGINT: "Interrupt: 2",
    signal.SIGQUIT: "Quit: 3",
    signal.SIGILL: "Illegal instruction: 4",
    signal.SIGTRAP: "Trace/BPT trap: 5",
    signal.SIGABRT: "Abort trap: 6",
    signal.SIGFPE: "Floating point exception: 8",
    signal.SIGKILL: "Killed: 9",
    signal.SIGBUS: "Bus error: 10",
    signal.SIGSEGV: "Segmentation fault: 11",
    signal.SIGPIPE: "Broken pipe: 13",
    signal.SIGALRM: "Alarm clock: 14",
    signal.SIGTERM: "Terminated: 15",
    signal.SIGUSR1: "User defined signal 1: 30",
    signal.SIGUSR2: "User defined signal 2: 31",
}
"""macOS's words and numbers; some numbers differ from Linux's."""

EXIT_NAMES = dict(
    enumerate(
        [
            "USAGE",
            "DATAERR",
            "NOINPUT",
            "NOUSER",
            "NOHOST",
            "UNAVAILABLE",
            "SOFTWARE",
            "OSERR",
            "OSFILE",
            "CANTCREAT",
            "IOERR",
            "TEMPFAIL",
            "PROTOCOL",
            "NOPERM",
            "CONFIG",
        ],
        start=64,
    )
)


def service(job: Job) -> str:
    """`launchctl print system/LABEL`."""
    sections = [_head(job), *_program(job), _environment(job), _counters(job), *_conditions(job), _tail(job)]
    body = "\n".join(sections)
    return f"system/{job.plist.label} = {{\n{body}}}\n"


def system(jobs: dict[str, Job], disabled: dict[str, bool]) -> str:
    """`launchctl print system`, brief: the counts, the services and the overrides."""
    running = sum(job.process is not None for job in jobs.values())
    services = [f"{_pid(job):>8} {_seen(job):>6} \t{label}" for label, job in sorted(jobs.items())]
    counts = ["type = system", "handle = 0", f"active count = {len(jobs) + 1}", f"service count = {len(jobs)}"]
    counts += [f"active service count = {running}", "maximum allowed shutdown time = 65 s"]
    overrides = [f'"{label}" => {word}' for label, word in _words(disabled)]
    blocks = [_block("services", services), _block("disabled services", overrides)]
    return "system = {\n" + _lines(*counts) + "\n" + "\n".join(blocks) + "}\n"


def print_disabled(disabled: dict[str, bool]) -> str:
    """`launchctl print-disabled system`."""
    rows = [f'\t"{label}" => {word}\n' for label, word in _words(disabled)]
    return "disabled services = {\n" + "".join(rows) + "}\n"


def listing(jobs: dict[str, Job]) -> str:
    """`launchctl list` in a domain with these jobs."""
    rows = [f"{_pid(job) or '-'}\t{_status(job)}\t{label}\n" for label, job in sorted(jobs.items())]
    return "PID\tStatus\tLabel\n" + "".join(rows)


def _pid(job: Job) -> int:
    return job.process.pid if job.process else 0


def _status(job: Job) -> int:
    return job.last_status or 0


def _seen(job: Job) -> str:
    return "-" if job.last_status is None else str(job.last_status)


def _words(disabled: dict[str, bool]) -> list[tuple[str, str]]:
    return [(label, "disabled" if state else "enabled") for label, state in sorted(disabled.items())]


def _lines(*lines: str | None) -> str:
    return "".join(f"\t{line}\n" for line in lines if line is not None)


def _block(name: str, rows: list[str]) -> str:
    return f"\t{name} = {{\n" + "".join(f"\t\t{row}\n" for row in rows) + "\t}\n"


def _field(name: str, value: object) -> str | None:
    return None if value is None else f"{name} = {value}"


def _head(job: Job) -> str:
    active = f"active count = {int(job.process is not None)}"
    return _lines(active, f"path = {job.plist.path}", "type = LaunchDaemon", f"state = {job.state}")


def _program(job: Job) -> list[str]:
    plist = job.plist
    program = _lines(f"program = {plist.program}") + _block("arguments", plist.arguments)
    where = _field("working directory", plist.working_directory)
    return [program, _lines(where)] if where else [program]


def _environment(job: Job) -> str:
    plist = job.plist
    outputs = _lines(_field("stdout path", plist.standard_out_path), _field("stderr path", plist.standard_error_path))
    own = {**plist.environment_variables, "XPC_SERVICE_NAME": plist.label}
    rows = [f"{name} => {value}" for name, value in own.items()]
    default = _block("default environment", [f"PATH => {DEFAULT_PATH}"])
    return f"{outputs}{default}\n{_block('environment', rows)}"


def _counters(job: Job) -> str:
    plist = job.plist
    account = _lines(_field("username", plist.user_name), _field("group", plist.group_name))
    times = _lines(
        _field("umask", None if plist.umask is None else f"{plist.umask:o}"),
        f"minimum runtime = {plist.throttle_interval}",
        f"exit timeout = {plist.exit_timeout}",
        f"nice = {plist.nice}" if plist.nice else None,
        f"runs = {job.runs}",
    )
    return _lines("domain = system") + (f"{account}\n" if account else "") + times + _process(job) + _last_exit(job)


def _process(job: Job) -> str:
    if job.process is None:
        return ""
    return _lines(
        f"pid = {job.process.pid}",
        f"immediate reason = {job.reason}",
        "forks = 0",
        "execs = 1",
        "initialized = 1",
        "trampolined = 1",
        "started suspended = 0",
        "proxy started suspended = 0",
        "checked allocations = 0 (queried = 1)",
        "checked allocations reason = no host",
        "checked allocations flags = 0x0",
    )


def _last_exit(job: Job) -> str:
    status = job.last_status
    if status is None:
        return _lines("last exit code = (never exited)")
    if status < 0:
        name = SIGNAL_NAMES.get(signal.Signals(-status), f"Unknown signal: {-status}")
        return _lines(f"last terminating signal = {name}")
    suffix = f": EX_{EXIT_NAMES[status]}" if status in EXIT_NAMES else ""
    return _lines(f"last exit code = {status}{suffix}")


def _conditions(job: Job) -> list[str]:
    blocks: list[str] = []
    if job.plist.keep_alive_successful_exit is not None:
        blocks.append(_block("semaphores", [f"successful exit => {int(job.plist.keep_alive_successful_exit)}"]))
    if job.runs:
        blocks += [_coalition("resource", job), _coalition("jetsam", job)]
    return blocks


def _coalition(kind: str, job: Job) -> str:
    number = 1000 + 2 * sum(job.plist.label.encode()) + (kind == "jetsam")
    rows = [f"ID = {number}", f"type = {kind}", "state = active", "active count = 1", f"name = {job.plist.label}"]
    return _block(f"{kind} coalition", rows)


def _tail(job: Job) -> str:
    plist = job.plist
    limits = {"soft": plist.soft_files, "hard": plist.hard_files}
    rows = [f"maxfiles ({kind}) => {count}" for kind, count in limits.items() if count is not None]
    return (
        _lines(
            f"spawn type = {SPAWN_TYPES.get(plist.process_type, SPAWN_TYPES['Standard'])}",
            "jetsam priority = 40",
            "jetsam memory limit (active) = (unlimited)",
            "jetsam memory limit (inactive) = (unlimited)",
            "jetsamproperties category = daemon",
            "jetsam thread limit = 32",
            "cpumon = default",
        )
        + (f"{_block('resource limits', rows)}\n" if rows else "")
        + _lines(
            f"run interval = {plist.start_interval} seconds" if plist.start_interval else None,
            _field("job state", job.job_state),
        )
        + _block("probabilistic guard malloc policy", ["activation rate = 1/1000", "sample rate = 1/0"])
        + "\n"
        + _lines(f"properties = {_properties(job)}")
    )


def _properties(job: Job) -> str:
    plist = job.plist
    named = {
        "keepalive": plist.keep_alive,
        "runatload": plist.starts_at_load,
        "inferred program": plist.program_inferred,
    }
    return " | ".join([*(name for name, true in named.items() if true), "system service", "tle system"])
