"""The LaunchDaemons as property lists. Checked against launchd.plist(5) of macOS 26.

System domain, never agents: Local Network Privacy silently blocks those. No secret is in them. Each names its release
by its full path, so a running daemon never imports half of another release, and a changed release is a changed plist.
"""

from __future__ import annotations

from typing import Any

from serving.layout import LOGS, STATE

PREFIX = "dev.cidermill."
LINKS, AGENT, GATEWAY = f"{PREFIX}links", f"{PREFIX}agent", f"{PREFIX}gateway"
GATEWAYS = (GATEWAY, f"{GATEWAY}-2")
"""One gateway takes over from another, so there are two labels; but for that moment only one of them is there."""
DEFAULT_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


def links(release: str) -> dict[str, Any]:
    """The root daemon that keeps the cables' ports addressed; it survives whatever the others do."""
    return _daemon(LINKS, release, "serving.links.daemon", "links.json")


def agent(release: str, account: str, *, grace_seconds: int) -> dict[str, Any]:
    """The agent; it has longer to leave than its rank has: SIGKILL can leak wired memory until reboot."""
    return _daemon(AGENT, release, "serving.agent.daemon", "agent.json") | {
        "UserName": account,
        "GroupName": account,
        "ExitTimeOut": grace_seconds + 15,
        # launchd's own limit is 256, and every client is a connection; the hard limit needs no change.
        "SoftResourceLimits": {"NumberOfFiles": 8192},
    }


def gateway(release: str, account: str, *, drain_seconds: int) -> dict[str, Any]:
    """LiteLLM; it has so long to finish what it began."""
    return _daemon(GATEWAY, release, "serving.gateway.daemon", "gateway.json") | {
        "UserName": account,
        "GroupName": account,
        "ExitTimeOut": drain_seconds + 30,
        "SoftResourceLimits": {"NumberOfFiles": 8192},
    }


def _daemon(label: str, release: str, module: str, configuration: str) -> dict[str, Any]:
    name = label.removeprefix(PREFIX)
    return {
        "Label": label,
        "ProgramArguments": [f"{release}/environment/bin/python", "-m", module, f"{release}/{configuration}"],
        "WorkingDirectory": "/",
        "EnvironmentVariables": {
            "HOME": STATE,
            "PATH": DEFAULT_PATH,
            "PYTHONPATH": f"{release}/software",
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_OFFLINE": "1",
        },
        "RunAtLoad": True,
        "KeepAlive": True,
        # Background would slow Metal about eightfold; no type at all still throttles.
        "ProcessType": "Interactive",
        # What is said before, or in place of, the daemon's own log.
        "StandardOutPath": f"{LOGS}/{name}.out.log",
        "StandardErrorPath": f"{LOGS}/{name}.out.log",
    }
