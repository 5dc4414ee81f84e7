"""The job that macOS itself has on every Mac and that a deploy asks for: Remote Login.

Stand-ins serve SSH without it; it is here to be seen by `launchctl`, loaded and between two logins not running.
"""

from __future__ import annotations

from pathlib import Path

from tests.standin.launchd import Launchd
from tests.standin.launchd_job import Job
from tests.standin.launchd_plist import JobPlist

_SSHD = "/usr/libexec/sshd-keygen-wrapper"
REMOTE_LOGIN = JobPlist(
    path=Path("/System/Library/LaunchDaemons/ssh.plist"),
    label="com.openssh.sshd",
    program=_SSHD,
    arguments=[_SSHD],
    program_inferred=False,
    user_name=None,
    group_name=None,
    working_directory=None,
    environment_variables={},
    run_at_load=False,
    keep_alive=False,
    keep_alive_successful_exit=None,
    throttle_interval=10,
    start_interval=None,
    exit_timeout=5,
    standard_out_path=None,
    standard_error_path=None,
    soft_files=None,
    hard_files=None,
    process_type="Standard",
    umask=None,
    nice=0,
    abandon_process_group=False,
    disabled=False,
)


def apples_jobs(launchd: Launchd) -> dict[str, Job]:
    """Remote Login, macOS's own job: loaded, unless it was disabled when the Mac started."""
    return {} if REMOTE_LOGIN.label in launchd.disabled_at_boot else {REMOTE_LOGIN.label: Job(REMOTE_LOGIN)}
