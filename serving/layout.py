"""Where everything of Cidermill lies on a Mac.

/opt/cidermill/
    environments/   locked Python environments, root-owned, one directory each, never changed once laid
    software/       our own wheel, unpacked, likewise
    releases/       per daemon: links to an environment and to software, and its configuration
    weights/        one directory per manifest; beside it NAME.receipt.json, NAME.partial/ and NAME.lock
    secrets/        0600, the service account's
    state/          what the agent writes: rank status, transport files
    links/          root's: what the links daemon found before its first change, and which release was confirmed
    macos/          root's: what softwareupdate said while it installed a macOS
    rolls/          root's: what this machine was last proven with, the plist to go back to, and the history
    before/         root's: settings as they were before the first change, for removal
/var/log/cidermill/ logs
/var/run/           the links daemon's report; macOS empties it at every boot, so it is never stale
"""

from __future__ import annotations

ROOT = "/opt/cidermill"
PYTHON = f"{ROOT}/python"
ENVIRONMENTS = f"{ROOT}/environments"
SOFTWARE = f"{ROOT}/software"
RELEASES = f"{ROOT}/releases"
WEIGHTS = f"{ROOT}/weights"
SECRETS = f"{ROOT}/secrets"
STATE = f"{ROOT}/state"
LINKS = f"{ROOT}/links"
CONFIRMED = f"{LINKS}/confirmed"
BEFORE = f"{ROOT}/before"
SETTINGS_BEFORE = f"{BEFORE}/settings.json"
MACOS = f"{ROOT}/macos"
ROLLS = f"{ROOT}/rolls"
SERVES = f"{ROLLS}/serves.json"
"""What this machine was last proven with: see `serving.record.Record`."""
PROVEN_PLIST = f"{ROLLS}/agent.plist"
"""The agent's plist that was proven last, to go back to."""
HISTORY = f"{ROLLS}/history.jsonl"
"""A line of JSON for each change, the newest last."""
LOGS = "/var/log/cidermill"
LINKS_REPORT = "/var/run/cidermill-links.json"
FILTER_ANCHOR = "com.apple/cidermill"
"""Apple's own pf.conf evaluates every anchor below com.apple/, so no file of Apple's is changed."""
TOKEN = f"{SECRETS}/cluster.token"
KEY = f"{SECRETS}/gateway.key"
"""The lab's own key, to ask the gateway with."""
KEYS = f"{SECRETS}/keys.json"
"""All keys that the gateway takes, by their digests."""
EXTERNAL_KEYS = f"{SECRETS}/external.json"
"""What backends ask for that are none of ours, by their names: one file, so that no key outlives its declaration."""
CERTIFICATE, CERTIFICATE_KEY = f"{SECRETS}/gateway.certificate.pem", f"{SECRETS}/gateway.certificate.key"


def directories(account: str) -> list[tuple[str, str, str, int]]:
    """(path, owner, group, mode as its decimal digits) of every directory, parents first."""
    ours = (ROOT, PYTHON, ENVIRONMENTS, SOFTWARE, RELEASES, WEIGHTS, ROLLS)
    roots_alone = (LINKS, BEFORE)
    theirs = ((SECRETS, 700), (STATE, 755), (LOGS, 755))
    return [
        *((path, "root", "wheel", 755) for path in ours),
        *((path, "root", "wheel", 700) for path in roots_alone),
        *((path, account, account, mode) for path, mode in theirs),
    ]
