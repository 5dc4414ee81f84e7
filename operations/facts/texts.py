"""Small text files, many in one read."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra.api.facts import FactBase

from operations.facts.reading import answers, asking, cannot_tell, in_perl, understood

_EACH = r"""
for my $path (grep { -f } @ARGV) {
    open my $text, "<", $path or die "$path: $!\n";
    print "path $path\n", map({ s/\n?\z/\n/; " $_" } <$text>), "\n";
}
"""


class Texts(FactBase[dict[str, str | None] | None]):
    """The text of each of many files, None for one that is not there. Needs the right to read.

    None instead of a dict only when the machine could not be asked at all.
    """

    def command(self, paths: Sequence[str]) -> str:
        """One command for all files."""
        self.paths = list(paths)
        return asking(texts=in_perl(_EACH, *paths))

    def process(self, output: list[str]) -> dict[str, str | None]:
        """Raises FactProcessError when the files could not be read."""
        texts: dict[str, list[str]] = {}
        path = ""
        for line in understood(answers(output)["texts"], "what small files hold").lines:
            word, _, rest = line.partition(" ")
            if word == "path":
                path = rest
                texts[path] = []
            elif line.startswith(" ") and path in texts:
                texts[path].append(line[1:])
            elif line:
                raise cannot_tell("what small files hold", f"at {path or 'the start'} came {line!r}")
        return {path: "".join(f"{line}\n" for line in texts[path]) if path in texts else None for path in self.paths}
