"""How a Mac is set: pmset, systemsetup, softwareupdate, defaults, launchctl, fdesetup, socketfilterfw, pfctl."""

from __future__ import annotations

from collections.abc import Callable

from operations.facts.reading import AS_WHOM
from operations.facts.settings import UPDATE_KEYS
from tests.states.lab import Lab, Mac, Output

NOT_ROOT = "You need administrator access to run this tool... exiting!\n"
NO_ALTQ = "No ALTQ support in kernel\nALTQ related functions disabled\n"
RULES = """\
pass in quick on lo0 all flags S/SA keep state
pass in quick proto tcp from <cidermill> to any port = 7440 flags S/SA keep state
block return in quick proto tcp from any to any port = 7440
block return in quick proto tcp from any to any port = 7441
"""
SSHD = """\
system/com.openssh.sshd = {
\tactive count = 1
\tpath = /System/Library/LaunchDaemons/ssh.plist
\ttype = LaunchDaemon
\tstate = not running

\tprogram = /usr/libexec/sshd-keygen-wrapper
}
"""


def pmset_custom(_: Lab, mac: Mac) -> str:
    """`pmset -g custom`: one block per source of power; a laptop has no autorestart."""
    rows: dict[str, int | None] = {
        "Sleep On Power Button": 1,
        "lowpowermode": 0,
        "standby": 0,
        "ttyskeepawake": 1,
        "powernap": 0,
        "displaysleep": 0,
        "womp": 1,
        "networkoversleep": 0,
        "sleep": 0,
        "tcpkeepalive": 1,
        "autorestart": None if mac.is_laptop else 1,
        "disksleep": 0,
        "SleepServices": 0,
    } | mac.power
    mains = "".join(f" {name:<20} {value}\n" for name, value in rows.items() if value is not None)
    battery = "Battery Power:\n sleep                1\n womp                 0\n" if mac.is_laptop else ""
    return f"{battery}AC Power:\n{mains}"


def pmset_live(_: Lab, mac: Mac) -> str:
    """`pmset -g`."""
    return "System-wide power settings:\nCurrently in use:\n standby              0\n sleep                0\n"


def freeze(_: Lab, mac: Mac) -> str:
    """`systemsetup -getrestartfreeze`: ends with 0 also when it refuses."""
    return f"Restart After Freeze: {mac.freeze}\n" if mac.is_root else NOT_ROOT


def print_disabled(_: Lab, mac: Mac) -> str:
    """`launchctl print-disabled system`."""
    return f'disabled services = {{\n\t"com.openssh.sshd" => {mac.sshd}\n\t"com.apple.ftpd" => disabled\n}}\n'


def sshd(_: Lab, mac: Mac) -> Output:
    """`launchctl print system/com.openssh.sshd`."""
    if mac.sshd == "enabled":
        return SSHD, 0
    return 'Bad request.\nCould not find service "com.openssh.sshd" in domain for system\n', 113


def pf_info(_: Lab, mac: Mac) -> Output:
    """`pfctl -s info`."""
    if not mac.is_root:
        return "pfctl: /dev/pf: Permission denied\n", 1
    return f"{NO_ALTQ}Status: {mac.filtering:<38}Debug: Urgent\n", 0


def pf_rules(_: Lab, mac: Mac) -> Output:
    """`pfctl -a ANCHOR -s rules`."""
    if not mac.is_root:
        return "pfctl: /dev/pf: Permission denied\n", 1
    return NO_ALTQ + (RULES if mac.has_rules else ""), 0


def firewall(_: Lab, mac: Mac) -> str:
    """`socketfilterfw --getglobalstate`."""
    return f"Firewall is {'enabled' if mac.firewall else 'disabled'}. (State = {mac.firewall})\n"


def preferences(domain: str) -> Callable[[Lab, Mac], Output]:
    """`defaults read DOMAIN`."""

    def told(_: Lab, mac: Mac) -> Output:
        values = {key: mac.updates.get(key, 0) for key, where in UPDATE_KEYS.items() if where == domain}
        rows = "".join(f"    {key} = {value};\n" for key, value in values.items() if value is not None)
        if not rows:
            stamp = "2026-09-23 10:10:38.619 defaults[1053:11513] "
            return f"{stamp}\nDomain {domain} does not exist\n", 1
        return f"{{\n{rows}    LastUpdatesAvailable = 0;\n}}\n", 0

    return told


COMMANDS: dict[str, Callable[[Lab, Mac], str | Output]] = {
    " ".join(AS_WHOM.argv): lambda _, mac: "0\n" if mac.is_root else "501\n",
    "/usr/bin/pmset -g custom": pmset_custom,
    "/usr/bin/pmset -g": pmset_live,
    "/usr/sbin/systemsetup -getrestartfreeze": freeze,
    "/usr/sbin/softwareupdate --schedule": lambda _, mac: f"Automatic checking for updates is turned {mac.schedule}\n",
    "/bin/launchctl print-disabled system": print_disabled,
    "/bin/launchctl print system/com.openssh.sshd": sshd,
    "/usr/bin/fdesetup status": lambda _, mac: f"FileVault is {mac.file_vault}.\n",
    "/usr/libexec/ApplicationFirewall/socketfilterfw --getglobalstate": firewall,
    "/sbin/pfctl -s info": pf_info,
    "/sbin/pfctl -a": pf_rules,
    **{f"/usr/bin/defaults read {domain}": preferences(domain) for domain in UPDATE_KEYS.values()},
}
