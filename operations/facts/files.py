"""Files, directories and links at given paths, many in one read.

Asked in perl (with Digest::SHA, which macOS 26 carries for its own shasum), because a stat and a shasum for each path
cost more than all other questions of a deploy together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.reading import answers, asking, cannot_tell, in_perl, understood

_SMALL_BYTES = 1 << 20
_MODE = re.compile(r"[0-7]{1,5}")
_SHA256 = re.compile(r"([0-9a-f]{64})\s+-")
_KINDS: dict[str, Literal["file", "directory", "link", "other"]] = {
    "file": "file",
    "directory": "directory",
    "link": "link",
    "other": "other",
}
# $! is 2 when there is nothing, and 20 when what should be a directory above is none.
_EACH = rf"""
for my $path (@ARGV) {{
    my @status = lstat $path;
    if (!@status) {{
        next if $! == 2 || $! == 20;
        die "$path: $!\n";
    }}
    my $kind = -l _ ? "link" : -d _ ? "directory" : -f _ ? "file" : "other";
    my $owner = getpwuid($status[4]) // $status[4];
    my $group = getgrgid($status[5]) // $status[5];
    printf "path %s\n%s %s %s %o\n", $path, $kind, $owner, $group, $status[2] & 07777;
    printf "target %s\n", readlink $path if $kind eq "link";
    next if $kind ne "file" || $status[7] > {_SMALL_BYTES};
    printf "%s  -\n", Digest::SHA->new(256)->addfile($path, "b")->hexdigest;
}}
"""


class Entry(TypedDict):
    """What is at a path. `mode` is octal text such as "755"; `sha256` is told of files up to 1 MiB only."""

    kind: Literal["file", "directory", "link", "other"]
    owner: str
    group: str
    mode: str
    target: str | None
    sha256: str | None


class Tree(FactBase[dict[str, Entry] | None]):
    """What is at each of many paths; a path where nothing is has no entry.

    None only when the machine could not be asked at all. Links are not followed. Needs the right to read.
    """

    def command(self, paths: Sequence[str]) -> str:
        """One command for all paths."""
        return asking(tree=in_perl(_EACH, *paths))

    def process(self, output: list[str]) -> dict[str, Entry]:
        """Raises FactProcessError for an answer in another form."""
        what = "which files are there"
        entries: dict[str, Entry] = {}
        path: str | None = None
        for line in filter(str.strip, understood(answers(output)["tree"], what).lines):
            word, _, rest = line.partition(" ")
            if word == "path" and path in (None, *entries):
                path = rest
            elif path is not None and path not in entries and word in _KINDS:
                entries[path] = _entry(word, rest)
            elif word == "target" and path in entries:
                entries[path]["target"] = rest
            elif path in entries and (digest := _SHA256.fullmatch(line)):
                entries[path]["sha256"] = digest[1]
            else:
                raise cannot_tell(what, f"at {path} it printed {line!r}")
        if path is not None and path not in entries:
            raise cannot_tell(what, f"nothing was said of {path}")
        return entries


def _entry(kind: str, rest: str) -> Entry:
    words = rest.split()
    if len(words) != 3 or not _MODE.fullmatch(words[2]):
        raise cannot_tell(f"who owns a {kind}", f"it printed {rest!r}")
    owner, group, mode = words
    return {
        "kind": _KINDS[kind],
        "owner": owner,
        "group": group,
        "mode": mode.lstrip("0") or "0",
        "target": None,
        "sha256": None,
    }
