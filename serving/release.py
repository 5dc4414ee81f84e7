"""A release: links to directories that never change, and configuration as text, named by its content. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.layout import RELEASES


@dataclass(frozen=True)
class Release:
    """An immutable directory: names of symbolic links with their targets, and of files with their text."""

    kind: str
    links: Mapping[str, str]
    files: Mapping[str, str]

    @property
    def path(self) -> str:
        """Where it lies, named by its content."""
        content = json.dumps([dict(self.links), dict(self.files)], sort_keys=True)
        return f"{RELEASES}/{self.kind}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def laid(self) -> dict[str, Any]:
        """Path, links and files, as what lays it wants them."""
        return {"path": self.path, "links": self.links, "files": self.files}

    def command(self, module: str, configuration: str) -> list[str]:
        """The command line of one of our modules, run with this release from anywhere."""
        return command(self.path, module, configuration)


def command(path: str, module: str, configuration: str) -> list[str]:
    """The command line of one of our modules, run with the release at a path from anywhere."""
    python, software = f"{path}/environment/bin/python", f"{path}/software"
    return ["/usr/bin/env", f"PYTHONPATH={software}", python, "-m", module, f"{path}/{configuration}"]
