"""What a Mac's software finds below `/`: a sealed, read-only system and a writable disk of limited size.

The disk is mounted once by the Mac's hardware and outlives reboots. Everything else is put together at each boot, from
the hardware's own mount namespace, and goes away with it.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import sysconfig
from pathlib import Path

from tests.standin import kernel
from tests.standin.layer import build_layer, interpreter
from tests.standin.mac import INSIDE, Machine
from tests.standin.reply_cache import DIRECTORY

DISK_SIZE = "6g"
ADMIN_UID, STAFF, ADMIN_GROUP = 501, 20, 80

# path on the disk -> owner, group, mode
_FOLDERS: dict[str, tuple[int, int, int]] = {
    "Applications": (0, ADMIN_GROUP, 0o775),
    "Library": (0, 0, 0o755),
    "Library/Application Support": (0, ADMIN_GROUP, 0o755),
    "Library/LaunchAgents": (0, 0, 0o755),
    "Library/LaunchDaemons": (0, 0, 0o755),
    "Library/Logs": (0, 0, 0o755),
    "Library/Preferences": (0, 0, 0o755),
    "Users": (0, ADMIN_GROUP, 0o755),
    "Users/Shared": (0, 0, 0o1777),
    "Users/admin": (ADMIN_UID, STAFF, 0o750),
    "Users/admin/.ssh": (ADMIN_UID, STAFF, 0o700),
    "Volumes": (0, 0, 0o755),
    "opt": (0, 0, 0o755),
    "private": (0, 0, 0o755),
    "private/etc": (0, 0, 0o755),
    "private/etc/newsyslog.d": (0, 0, 0o755),
    "private/etc/pf.anchors": (0, 0, 0o755),
    "private/etc/pam.d": (0, 0, 0o755),
    "private/etc/ssh": (0, 0, 0o755),
    "private/etc/sudoers.d": (0, 0, 0o755),
    "private/tmp": (0, 0, 0o1777),
    "private/var": (0, 0, 0o755),
    "private/var/db": (0, 0, 0o755),
    "private/var/empty": (0, 0, 0o755),
    "private/var/log": (0, 0, 0o755),
    "private/var/root": (0, 0, 0o750),
    "private/var/run": (0, 1, 0o775),
    "private/var/tmp": (0, 0, 0o1777),
    "usr/local": (0, 0, 0o755),
    "usr/local/bin": (0, 0, 0o755),
    "memory": (0, 0, 0o755),
}
_WRITABLE = ("Applications", "Library", "Users", "Volumes", "opt", "private", "usr/local")
_PURGED_AT_BOOT = ("private/tmp", "private/var/run")
_ETC = {
    "hosts": "127.0.0.1\tlocalhost\n255.255.255.255\tbroadcasthost\n::1             localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "pf.anchors/com.apple": 'anchor "200.AirDrop/*"\nanchor "250.ApplicationFirewall/*"\n',
    "pf.conf": (
        'scrub-anchor "com.apple/*"\nnat-anchor "com.apple/*"\nrdr-anchor "com.apple/*"\n'
        'dummynet-anchor "com.apple/*"\nanchor "com.apple/*"\n'
        'load anchor "com.apple" from "/etc/pf.anchors/com.apple"\n'
    ),
    "pam.d/su": (
        "auth sufficient pam_rootok.so\nauth sufficient pam_wheel.so trust use_uid group=admin\n"
        "auth required pam_deny.so\naccount required pam_permit.so\nsession required pam_permit.so\n"
    ),
    "resolv.conf": "",
    "shells": "/bin/bash\n/bin/csh\n/bin/dash\n/bin/ksh\n/bin/sh\n/bin/tcsh\n/bin/zsh\n",
}
_ETC_OF_LINUX = ("ld.so.cache", "localtime", "protocols", "services")
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")


def create_disk(stage: Path, authorized_key: str, host_key: Path) -> Path:
    """Mount a fresh disk at `stage` and install macOS's writable half on it; returns where the disk's tree is."""
    kernel.mount("disk", stage, "tmpfs", options=f"size={DISK_SIZE},mode=755")
    disk = stage / "disk"
    disk.mkdir()
    for name, (owner, group, mode) in _FOLDERS.items():
        _folder(disk / name, owner, group, mode)
    for name, text in _ETC.items():
        (disk / "private/etc" / name).write_text(text)
    for name in _ETC_OF_LINUX:
        if Path("/etc", name).is_file():
            shutil.copyfile(Path("/etc", name), disk / "private/etc" / name)
    _keys(disk, authorized_key, host_key)
    (disk / "usr/local/bin/python3").symlink_to(interpreter())
    return disk


def _keys(disk: Path, authorized_key: str, host_key: Path) -> None:
    authorized = disk / "Users/admin/.ssh/authorized_keys"
    authorized.write_text(authorized_key)
    authorized.chmod(0o600)
    os.chown(authorized, ADMIN_UID, STAFF)
    inside = disk / "private/etc/ssh/ssh_host_ed25519_key"
    shutil.copyfile(host_key, inside)
    inside.chmod(0o600)


def enter_system(stage: Path, machine: Machine, *, cached: bool = False) -> None:
    """Assemble the Mac's root from its disk and the Linux machine's /usr, and make it this process's root."""
    disk, boot = stage / "disk", stage / "boot"
    boot.mkdir(exist_ok=True)
    kernel.mount("boot", boot, "tmpfs", options="mode=755")
    root, layer = boot / "root", boot / "layer"
    root.mkdir()
    layer.mkdir()
    kernel.bind(root, root)
    build_layer(layer, machine, cached=cached)
    _system_folders(root, layer)
    _machinery(root, disk)
    if cached:
        (root / DIRECTORY.relative_to("/")).mkdir()
    _writable_folders(root, disk)
    _devices(root / "dev")
    kernel.mount("none", root, flags=kernel.BIND | kernel.REMOUNT | kernel.READ_ONLY)
    kernel.make_root(root)


def mount_processes() -> None:
    """Show the processes of this pid namespace; Linux programs need it, macOS has nothing like it."""
    kernel.mount("proc", Path("/proc"), "proc")


def _system_folders(root: Path, layer: Path) -> None:
    for name in ("usr", "bin", "sbin", "lib", "lib64"):
        original = Path("/", name)
        if original.is_symlink():
            (root / name).symlink_to(original.readlink())
        elif original.is_dir():
            (root / name).mkdir()
            (layer / name).mkdir(exist_ok=True)
            lower = f"lowerdir={layer / name}:{original}"
            kernel.mount("system", root / name, "overlay", kernel.READ_ONLY, lower)


def _machinery(root: Path, disk: Path) -> None:
    inside = root / INSIDE.relative_to("/")
    packages = Path(sysconfig.get_paths()["purelib"])
    for name, source in (("tests", Path(__file__).parents[1]), ("site-packages", packages)):
        _show(source, inside / name, read_only=True)
    _show(disk / "memory", inside / "memory")
    (inside / "run").mkdir()
    kernel.mount("run", inside / "run", "tmpfs", options="size=8m,mode=755")
    base = Path(sys.base_prefix)
    if base != Path("/usr"):
        _show(base, root / base.relative_to("/"), read_only=True)


def _writable_folders(root: Path, disk: Path) -> None:
    for name in _PURGED_AT_BOOT:
        shutil.rmtree(disk / name)
        _folder(disk / name, *_FOLDERS[name])
    for name in _WRITABLE:
        _show(disk / name, root / name)
    for name in ("etc", "tmp", "var"):
        (root / name).symlink_to(f"private/{name}")


def _devices(dev: Path) -> None:
    dev.mkdir()
    kernel.mount("dev", dev, "tmpfs", options="mode=755,size=64k")
    for name in _DEVICES:
        os.mknod(dev / name, stat.S_IFCHR, os.stat(f"/dev/{name}").st_rdev)
        (dev / name).chmod(0o666)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (dev / name).symlink_to(f"/proc/self/fd/{number}")
    (dev / "fd").symlink_to("/proc/self/fd")
    (dev / "shm").mkdir()
    kernel.mount("shm", dev / "shm", "tmpfs", options="mode=1777")
    (dev.parent / "proc").mkdir()


def _show(source: Path, target: Path, *, read_only: bool = False) -> None:
    target.mkdir(parents=True, exist_ok=True)
    kernel.bind(source, target, read_only=read_only)


def _folder(path: Path, owner: int, group: int, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    os.chown(path, owner, group)
