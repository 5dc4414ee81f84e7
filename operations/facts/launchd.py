"""Our LaunchDaemons: the plists on disk, the jobs launchd has loaded, and what was disabled.

Relies on `launchctl list` (as root: the system domain), `launchctl print system/LABEL` (not an API, says Apple: only
lines with exactly one tab are the job's own, deeper ones repeat the same keys) and `launchctl print-disabled system`.
Checked against output of macOS 26.5.
"""

from __future__ import annotations

import re
from typing import TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.reading import AS_WHOM, Answer, answers, asking, bounded, cannot_tell, in_perl, number, understood

DIRECTORY = "/Library/LaunchDaemons"
_SECONDS = 15
# Both: @ARGV is the prefix of the labels.
_DIGESTS = rf"""
opendir my $listing, "{DIRECTORY}" or die "{DIRECTORY}: $!\n";
for (sort grep {{ index($_, $ARGV[0]) == 0 && /\.plist\z/ }} readdir $listing) {{
    printf "%s  %s\n", Digest::SHA->new(256)->addfile("{DIRECTORY}/$_", "b")->hexdigest, "{DIRECTORY}/$_";
}}
"""
_JOBS = r"""
$| = 1;
my @listing = map { (split)[2] // "" } `/bin/launchctl list`;
exit($? & 127 ? 128 + ($? & 127) : $? >> 8) if $?;
for (grep { index($_, $ARGV[0]) == 0 } @listing) {
    print "job $_\n";
    system "/bin/launchctl", "print", "system/$_";
}
"""
_OWN_LINE = re.compile(r"\t([a-z][a-z ]*) = (.*)")
_DIGEST = re.compile(r"([0-9a-f]{64})\s+\*?(/.+)\.plist")
_DISABLED = re.compile(r'\s*"([^"]+)" => (?:disabled|true)$')


class Daemon(TypedDict):
    """One label. `state` is launchd's word, "not loaded" when it has none; `last_exit` is "" when never told."""

    plist_sha256: str | None
    loaded: bool
    pid: int | None
    state: str
    last_exit: str
    disabled: bool


class LaunchDaemons(FactBase[dict[str, Daemon] | None]):
    """Every daemon whose label begins with a prefix, on disk or loaded, by label. Needs root.

    None only when the machine could not be asked at all.
    """

    def command(self, prefix: str) -> str:
        """One command for files, jobs and overrides."""
        self.prefix = prefix
        return asking(
            user=AS_WHOM,
            plists=in_perl(_DIGESTS, prefix),
            jobs=in_perl(_JOBS, prefix),
            disabled=bounded(_SECONDS, "/bin/launchctl", "print-disabled", "system"),
        )

    def process(self, output: list[str]) -> dict[str, Daemon]:
        """Raises FactProcessError when not asked as root: then launchd would tell of another domain."""
        found = answers(output)
        if found["user"].text != "0":
            raise cannot_tell("which daemons are loaded", "asked as an ordinary user, needs root")
        digests = _digests(understood(found["plists"], "which daemons are on disk"))
        jobs = _jobs(understood(found["jobs"], "how the daemons are"))
        disabled = disabled_labels(understood(found["disabled"], "which daemons are disabled"))
        labels = digests.keys() | jobs.keys() | {label for label in disabled if label.startswith(self.prefix)}
        return {
            label: {
                "plist_sha256": digests.get(label),
                "loaded": label in jobs,
                "pid": _pid(label, jobs.get(label, {})),
                "state": jobs.get(label, {}).get("state", "not loaded"),
                "last_exit": jobs.get(label, {}).get("last exit code", ""),
                "disabled": label in disabled,
            }
            for label in sorted(labels)
        }


def _digests(answer: Answer) -> dict[str, str]:
    lines = [line for line in answer.lines if line.strip()]
    found = [_DIGEST.fullmatch(line) for line in lines]
    if not all(found):
        raise cannot_tell("which daemons are on disk", f"their digests are told as {answer.text!r}")
    return {digest[2].rpartition("/")[2]: digest[1] for digest in found if digest}


def _jobs(answer: Answer) -> dict[str, dict[str, str]]:
    """The own lines of each loaded job; one that went away since it was listed is not loaded."""
    jobs: dict[str, dict[str, str]] = {}
    label, gone = "", True
    # One more job without a label, so that the last one is looked at as well.
    for line in [*answer.lines, "job "]:
        word, _, rest = line.partition(" ")
        if word == "job":
            if not (gone or label in jobs):
                raise cannot_tell(f"how {label} is", f"launchctl printed {answer.text!r}")
            label, gone = rest, False
        elif line.startswith(f"system/{label} = {{"):
            jobs[label] = {}
        elif line.startswith("Could not find service"):
            gone = True
        elif label in jobs and (own := _OWN_LINE.fullmatch(line)):
            jobs[label].setdefault(own[1], own[2])
    return jobs


def _pid(label: str, job: dict[str, str]) -> int | None:
    if "pid" not in job:
        return None
    pid = number(job["pid"])
    if pid is None:
        raise cannot_tell(f"how {label} runs", f"launchctl printed the pid {job['pid']!r}")
    return pid


def disabled_labels(answer: Answer) -> set[str]:
    """The labels that `launchctl print-disabled` shows as disabled. Raises FactProcessError for another output."""
    lines = [line.strip() for line in answer.lines if line.strip()]
    if not lines or lines[0] != "disabled services = {" or "}" not in lines:
        raise cannot_tell("which daemons are disabled", f"launchctl printed {answer.text!r}")
    return {found[1] for line in lines if (found := _DISABLED.match(line))}
