"""What a Mac holds after the deploy, looked up on its disk: what the playbook then expects to find there."""

from __future__ import annotations

import hashlib
import plistlib
from pathlib import Path
from typing import Any

from serving import layout
from serving.daemons import AGENT, GATEWAY, PREFIX
from tests.standin.lab import Lab

_ACCOUNT = "_cidermill"


def truth(lab: Lab, name: str) -> dict[str, Any]:
    """The variables of one Mac."""
    root, machine = lab.root(name), lab.machine(name)
    plists = sorted(_on(root, "/Library/LaunchDaemons").glob(f"{PREFIX}*.plist"))
    releases = {plist.stem: _release(plist) for plist in plists}
    laid = [layout.ENVIRONMENTS, layout.SOFTWARE, layout.RELEASES]
    return {
        "build": machine.build,
        "chip": machine.chip,
        "memory_bytes": str(machine.memory_bytes),
        "thunderbolt_ports": len(machine.ports),
        "directories": [
            {"path": path, "owner": owner, "group": group, "mode": f"{mode:04}"}
            for path, owner, group, mode in layout.directories(_ACCOUNT)
        ],
        "laid": [{"root": path, "names": sorted(each.name for each in _on(root, path).iterdir())} for path in laid],
        "receipts": [receipt for path in laid for receipt in _receipts(root, path)],
        "secrets": [{"path": f"{layout.SECRETS}/{s.name}", "sha256": _sha256(s)} for s in _files(root, layout.SECRETS)],
        "plists": [{"label": plist.stem, "sha256": _sha256(plist)} for plist in plists],
        "told": [
            {"path": layout.CONFIRMED, "holds": _on(root, layout.CONFIRMED).read_text().strip()},
            {"path": layout.LINKS_REPORT, "holds": '"state": ?"confirmed"'},
        ],
        "answering": [*_answering(AGENT, releases), *_answering(GATEWAY, releases)] if GATEWAY in releases else [],
        **_weights(root),
    }


def _on(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _files(root: Path, path: str) -> list[Path]:
    return sorted(file for file in _on(root, path).rglob("*") if file.is_file())


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _release(plist: Path) -> str:
    return plistlib.loads(plist.read_bytes())["ProgramArguments"][-1].rpartition("/")[0]


def _receipts(root: Path, path: str) -> list[dict[str, str]]:
    found = sorted(_on(root, path).glob("*/.receipt.json"))
    return [{"path": f"/{file.relative_to(root)}", "text": file.read_text()} for file in found]


def _weights(root: Path) -> dict[str, Any]:
    for directory in filter(Path.is_dir, _on(root, layout.WEIGHTS).iterdir()):
        sizes = [file.stat().st_size for file in directory.rglob("*") if file.is_file()]
        return {"weights": {"directory": f"/{directory.relative_to(root)}", "sizes": sizes}}
    return {}


def _answering(label: str, releases: dict[str, str]) -> list[list[str]]:
    """The status command of a daemon, as the deploy runs it."""
    kind, release = label.removeprefix(PREFIX), releases[label]
    environment, module = f"PYTHONPATH={release}/software", f"serving.{kind}.status"
    return [["/usr/bin/env", environment, f"{release}/environment/bin/python", "-m", module, f"{release}/{kind}.json"]]
