"""What stands ready for another macOS: softwareupdate, pgrep, sysadminctl, dscl, diskutil, pmset."""

from __future__ import annotations

from collections.abc import Callable

from operations.detached import HELD
from tests.states.lab import Lab, Mac, Output

UID = "5FDF1E5A-1C2D-4B6A-9F0E-7A1B2C3D4E5F"
HEAD = "Software Update Tool\n\nFinding available software\n"
SAFARI = "* Label: Safari27.0TahoeAuto-27.0\n\tTitle: Safari, Version: 27.0, Size: 249465KiB, Recommended: YES, \n"


def offers(lab: Lab, mac: Mac) -> str:
    """`softwareupdate --list`, where the declared build does not run."""
    update = lab.cluster.macos.update if lab.cluster.macos else None
    if update and update.build == mac.build:
        return "that build runs\n"
    if not mac.offers:
        return f"{HEAD}No new software available.\n"
    rows = "".join(
        f"* Label: {label}\n\tTitle: {label.rpartition('-')[0]}, Version: {version}, Size: 3039632KiB, "
        "Recommended: YES, Action: restart, \n"
        for label, version in mac.offers.items()
    )
    return f"{HEAD}Software Update found the following new or updated software:\n{SAFARI}{rows}"


def running(_: Lab, mac: Mac) -> Output:
    """`pgrep -x softwareupdate`."""
    return ("611\n", 0) if mac.updating else ("", 1)


def token(_: Lab, mac: Mac) -> str:
    """`sysadminctl -secureTokenStatus`, which prints on standard error and ends with 0."""
    return f"2026-09-23 10:10:38.619 sysadminctl[1053:11513] Secure token is {mac.token} for user Admin\n"


def owners(_: Lab, mac: Mac) -> str:
    """`diskutil apfs listUsers /`."""
    whole = f"+-- {UID}\n|   Type: Local Open Directory User\n|   Volume Owner: {mac.owner}\n|\n"
    recovery = "+-- EBC6C064-0000-11AA-AA11-00306543ECAC\n    Type: Personal Recovery User\n    Volume Owner: Yes\n\n"
    return f"Cryptographic users for disk3s1s1 (2 found)\n|\n{whole}{recovery}"


COMMANDS: dict[str, Callable[[Lab, Mac], str | Output]] = {
    '/bin/sh -c if [ "$(/usr/bin/sw_vers -buildVersion)" = "$1" ]': offers,
    f"-e {HELD} /opt/cidermill/macos/install-": lambda _, mac: "held\n" if mac.updating == "install" else "free\n",
    f"-e {HELD} /opt/cidermill/macos/fetch-": lambda _, mac: "held\n" if mac.updating == "fetch" else "free\n",
    "/usr/bin/pgrep -x softwareupdate": running,
    "/usr/sbin/sysadminctl -secureTokenStatus": token,
    "/usr/bin/dscl . -read /Users/": lambda _, __: f"GeneratedUID: {UID}\n",
    "/usr/sbin/diskutil apfs listUsers /": owners,
    "/usr/bin/pmset -g batt": lambda _, mac: f"Now drawing from '{mac.source} Power'\n",
}
