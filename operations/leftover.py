"""What is still on a Mac of directories and files that are to go, without what is to be kept inside them.

The Mac names the topmost paths that can go whole, and nothing is removed that it did not name and this side does not
find inside the paths given. A link is named itself, never what it points to.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Literal, TypedDict

from pyinfra.api.exceptions import FactProcessError, OperationValueError
from pyinfra.api.facts import FactBase

from operations.facts.launchd import DIRECTORY
from operations.facts.reading import answers, asking, understood

_PLACES = ("/opt", "/var/log", "/var/run", "/var/db", "/usr/local", "/Library/Logs", "/Library/Caches")
"""A path that is to go lies below one of these."""
_OTHERS = ("/opt/homebrew", "/opt/local", "/usr/local/bin", "/usr/local/lib", "/var/db/dslocal")
"""Below them, but never ours."""
_PLAIN = re.compile(r"(/[A-Za-z0-9_+@-][A-Za-z0-9._+@-]*)+")

# POSIX sh without local variables: what a call needs after it called itself is expanded before.
_WALK = r"""
kept=$1
shift
leftover() {
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 0; fi
  inside=
  for keep in $kept; do
    if [ "$1" = "$keep" ]; then return 0; fi
    case $keep in "$1"/*) if [ -e "$keep" ]; then inside=yes; fi ;; esac
  done
  if [ -L "$1" ]; then printf 'link %s\n' "$1"; return 0; fi
  if [ -z "$inside" ]; then printf 'path %s\n' "$1"; return 0; fi
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do leftover "$entry"; done
}
for path in "$@"; do leftover "$path"; done
"""


class Left(TypedDict):
    """A path that can go whole; of a link only the link."""

    path: str
    kind: Literal["path", "link"]


class Leftover(FactBase[list[Left] | None]):
    """What is there of `paths` but for what is in `keep`. Needs root; None only when the machine could not be asked."""

    def command(self, paths: Sequence[str], keep: Sequence[str]) -> str:
        """One command for all paths."""
        self.paths, self.keep = list(paths), list(keep)
        return asking(leftover=shlex.join(("/bin/sh", "-c", _WALK, "leftover", " ".join(keep), *paths)))

    def process(self, output: list[str]) -> list[Left]:
        """Raises FactProcessError for anything that was not asked about, such as the second line of a file's name."""
        lines = filter(None, understood(answers(output)["leftover"], "what is left").lines)
        return [self._one(line) for line in lines]

    def _one(self, line: str) -> Left:
        kind, _, path = line.partition(" ")
        asked = any(path == root or path.startswith(f"{root}/") for root in self.paths)
        to_be_kept = any(path == kept or path.startswith(f"{kept}/") for kept in self.keep)
        if kind not in ("path", "link") or not asked or to_be_kept:
            raise FactProcessError(f"cannot tell what is left: {line!r} was not asked about")
        return {"path": path, "kind": kind}


class StagedPlists(FactBase[list[str] | None]):
    """The plists that a run which was cut off left beside those of a family. None when it could not be asked."""

    def command(self, prefix: str) -> str:
        """One command for all of them."""
        self.start = f"{DIRECTORY}/.{prefix}"
        pattern = f"{shlex.quote(self.start)}*.plist.new"
        return asking(staged=f'for file in {pattern}; do if [ -f "$file" ]; then printf "%s\\n" "$file"; fi; done')

    def process(self, output: list[str]) -> list[str]:
        """Raises FactProcessError for any other path."""
        found = list(filter(None, understood(answers(output)["staged"], "which plists are staged").lines))
        if not all(path.startswith(self.start) and "/" not in path.removeprefix(self.start) for path in found):
            raise FactProcessError(f"cannot tell which plists are staged: {found} were not asked about")
        return found


def check_paths(paths: Iterable[str], keep: Iterable[str]) -> None:
    """Raise OperationValueError for a path that must not go, and for something kept that is in none of the paths."""
    roots = list(paths)
    for path in roots:
        if not _PLAIN.fullmatch(path) or not _is_below(path, _PLACES) or path in _OTHERS or _is_below(path, _OTHERS):
            raise OperationValueError(
                f"cannot remove {path!r}: needed a plain path of our own below one of {', '.join(_PLACES)}."
            )
    for path in keep:
        if not _PLAIN.fullmatch(path) or not _is_below(path, roots):
            raise OperationValueError(f"cannot keep {path!r}: it is not inside any of {', '.join(roots)}.")


def removing(left: Iterable[Left]) -> str:
    """The shell script that removes these paths, each whole, on its own volume, without following a link."""
    paths = shlex.join([one["path"] for one in left])
    return f"""set -u
failed=0
for path in {paths}; do
  if [ -d "$path" ] && [ ! -L "$path" ]; then
    find "$path" -xdev -depth -delete || failed=1
  else
    rm -f "$path" || failed=1
  fi
done
exit $failed"""


def _is_below(path: str, places: Iterable[str]) -> bool:
    return any(path.startswith(f"{place}/") for place in places)
