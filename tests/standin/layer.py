"""What lies over the Linux machine's /usr inside a Mac: Apple's commands, and nothing where macOS has nothing.

The layer is the upper of two read-only overlay directories, laid out like the Linux machine below `/`.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.standin import reply_cache
from tests.standin.commands import COMMANDS, available
from tests.standin.mac import Machine

_NOT_ON_A_MAC = """
addgroup adduser apt apt-cache apt-config apt-get apt-key apt-mark chage chpasswd delgroup deluser dnf dpkg dpkg-deb
dpkg-query dpkg-reconfigure free getent gpasswd groupadd groupdel groupmod hostnamectl ip journalctl loginctl
lsb_release nproc nsenter pacman rpm service setsid sha256sum systemctl systemd-run taskset timedatectl timeout
unshare useradd userdel usermod yum
"""
HIDDEN = _NOT_ON_A_MAC.split()

_HERE = Path(__file__).parent
_DIRECTORIES = ("/bin", "/sbin", "/usr/bin", "/usr/sbin")


def build_layer(layer: Path, machine: Machine, *, cached: bool = False) -> None:
    """Fill an empty directory with the commands of this Mac's macOS; `cached` puts `reply_cache` before them."""
    for directory in sorted(_real_directories()):
        (layer / directory.relative_to("/")).mkdir(parents=True, exist_ok=True)
    _hide(layer, [Path(directory, name) for directory in _real_directories() for name in HIDDEN])
    _lead_past_etc(layer)
    for path in COMMANDS:
        if available(path, machine):
            _install(layer, f"{reply_cache.CLIENTS}{path}" if cached else path, _client(path))
            if cached:
                _install(layer, path, reply_cache.script(path))
        else:
            _hide(layer, [_real(path)])
    _install(layer, "/usr/bin/sudo", (_HERE / "sudo.sh").read_text())


def interpreter() -> Path:
    """The Python that runs this, by its own path; the same path leads to it inside a Mac."""
    return Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")


def _client(path: str) -> str:
    return f"#!{interpreter()} -IS\nCOMMAND = {path!r}\n{(_HERE / 'client.py').read_text()}"


def _real(path: str) -> Path:
    # /bin is a link to /usr/bin on most Linux machines: the overlay needs the directory it leads to.
    parent, name = os.path.split(path)
    return Path(os.path.realpath(parent), name)


def _real_directories() -> set[Path]:
    return {Path(os.path.realpath(directory)) for directory in _DIRECTORIES}


def _lead_past_etc(layer: Path) -> None:
    """Debian's awk, which and others are links by way of /etc/alternatives, which is not there on a Mac."""
    for directory in _real_directories():
        for file in directory.iterdir():
            if file.is_symlink() and str(file.readlink()).startswith("/etc/"):
                (layer / file.relative_to("/")).symlink_to(file.resolve())


def _install(layer: Path, path: str, text: str) -> None:
    file = layer / _real(path).relative_to("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def _hide(layer: Path, paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_symlink() or path.exists():
            os.mknod(layer / path.relative_to("/"), stat.S_IFCHR, os.makedev(0, 0))
