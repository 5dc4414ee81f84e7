"""What is sent to machines, built on the control machine: locked environments, our own software, a managed Python.

A Mac needs no compiler, no registry and no internet: `uv` picks wheels here for the machine's platform, by hash, from
`uv.lock`. The same lock, platform and Python give the same name, so what was built once is found again in
`~/.cache/cidermill/environments` and costs nothing. Checked with uv 0.13.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory, mkdtemp
from threading import Lock

from pyinfra import logger
from uv import find_uv_bin

from operations.archive import pack
from operations.platforms import APPLE, Target
from operations.transfer import CannotSend

CACHE = Path.home() / ".cache" / "cidermill" / "environments"
_HASH_CHARACTERS = 12
_READ_BY_UV = ("pyproject.toml", "uv.lock")
_UV = f"uv {version('uv')}"
# One build at a time in this process; pyinfra has patched the lock to wait without stopping other greenlets. Another
# process may build the same at the same time: each then moves its own, equal archive into place.
_building = Lock()
# The deploy file asks for the same once for each host, at the same time.
_asking = Lock()


class CannotPackage(CannotSend):
    """Something could not be built, or is not what was asked for; its text is meant for a person."""


@dataclass(frozen=True)
class Package:
    """A tree of files for machines, known by name before it is built."""

    name: str
    fill: Callable[[Path], None] = field(compare=False, repr=False)
    """Fills an empty directory with the tree. Raises CannotPackage."""
    cache: Path = field(default=CACHE, compare=False, repr=False)

    def archive(self) -> Path:
        """The tree as `<name>.tar.gz`, built when it is not in the cache. Raises CannotPackage."""
        archive = self.cache / f"{self.name}.tar.gz"
        with _building:
            if not archive.exists():
                logger.info(f"Assembling {self.name} here, from what the lock file names; it is kept for the next time")
                self._build(archive)
        return archive

    def _build(self, archive: Path) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        with _workplace(self.cache) as work:
            tree, packed = work / "tree", work / "packed"
            tree.mkdir()
            self.fill(tree)
            pack(tree, packed)
            os.replace(packed, archive)


@contextmanager
def _workplace(parent: Path) -> Generator[Path]:
    work = Path(mkdtemp(prefix=".building-", dir=parent))
    try:
        yield work
    finally:
        # gevent 26.9, which pyinfra has patch this process, closes a directory only when its loop runs again. Removed
        # from here, an environment's thousands are open all at once, and a shell on a Mac allows for 256.
        subprocess.run(["rm", "-rf", str(work)], check=True)


def packages(*, target: Target, package: str, mac_wheels: Mapping[str, str]) -> dict[str, Package]:
    """Everything that is sent to a machine for a target: `node`, `gateway`, and `software`, our own package.

    The project is the working directory, where the lock file lies.
    """
    with _asking:
        return _packages(Path.cwd(), target, package, tuple(sorted(mac_wheels.items())))


@lru_cache
def _packages(
    project: Path, target: Target, package: str, mac_wheels: tuple[tuple[str, str], ...]
) -> dict[str, Package]:
    return {
        "node": environment(project, group="node", target=target, mac_wheels=dict(mac_wheels)),
        "gateway": environment(project, group="gateway", target=target),
        "software": software(project, package=package),
    }


def environment(project: Path, *, group: str, target: Target, mac_wheels: Mapping[str, str] | None = None) -> Package:
    """The project's dependencies and one dependency group, as `uv.lock` has them, for a target.

    `mac_wheels` says for a distribution how the platform tag of its wheel for Macs must begin, where another would
    install as well and lack something: `{"mlx-metal": "macosx_26"}`.
    """
    requirements = _locked(project, group)
    needed = dict(mac_wheels or {}) if target.platform == APPLE else {}
    digest = _digest(json.dumps([requirements, asdict(target), needed], sort_keys=True).encode())

    def fill(tree: Path) -> None:
        _install(requirements, target, tree)
        shutil.rmtree(tree / "bin", ignore_errors=True)  # scripts with the control machine's paths in them
        (tree / ".lock").unlink(missing_ok=True)
        _check_wheels(tree, needed)

    return Package(f"{group}-{digest}", fill)


def software(project: Path, *, package: str) -> Package:
    """The project's own wheel, unpacked; named by the sources of its one package and `pyproject.toml`."""
    sources = sorted(path for path in (project / package).rglob("*") if path.is_file() and path.suffix != ".pyc")
    content = hashlib.sha256()
    for path in (project / "pyproject.toml", *sources):
        content.update(f"{path.relative_to(project)}\0{path.stat().st_size}\0".encode() + path.read_bytes())

    def fill(tree: Path) -> None:
        with TemporaryDirectory() as out:
            _uv("build", "--wheel", "--quiet", "--out-dir", out, str(project))
            (wheel,) = Path(out).glob("*.whl")
            with zipfile.ZipFile(wheel) as zipped:
                zipped.extractall(tree)

    return Package(f"software-{content.hexdigest()[:_HASH_CHARACTERS]}", fill)


def managed_python(version: str) -> Package:
    """A CPython for Macs, as uv distributes it; "3.12" is the newest 3.12 that this uv knows."""
    request = f"cpython-{version}-macos-aarch64-none"
    digest = _digest(f"{request} {_UV}".encode())

    def fill(tree: Path) -> None:
        with TemporaryDirectory(dir=tree.parent) as out:
            _uv("python", "install", "--quiet", "--no-bin", "--install-dir", out, request)
            (installed,) = (path for path in Path(out).glob("cpython-*") if path.is_dir() and not path.is_symlink())
            installed.rename(tree)

    return Package(f"python-{version}-{digest}", fill)


def _locked(project: Path, group: str) -> str:
    """What the lock file says of a group; kept, by the content of what uv reads, because uv takes a while to say it."""
    read = [_UV.encode(), group.encode(), *((project / name).read_bytes() for name in _READ_BY_UV)]
    kept = CACHE / f"requirements-{_digest(bytes(1).join(read))}.txt"
    if not kept.exists():
        _keep(kept, _exported(project, group))
    return kept.read_text()


def _exported(project: Path, group: str) -> str:
    return _uv(
        *("export", "--frozen", "--quiet", "--no-header", "--no-annotate", "--no-emit-project"),
        *("--no-default-groups", "--group", group, "--project", str(project)),
    )


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, prefix=".keeping-", delete=False) as new:
        new.write(text)
    os.replace(new.name, path)


def _install(requirements: str, target: Target, tree: Path) -> None:
    if target.platform == APPLE and target.macos is None:
        raise CannotPackage("cannot choose wheels for a Mac: its macOS is not known. Say macos= in the target.")
    listed = tree.parent / "requirements.txt"
    listed.write_text(requirements)
    _uv(
        *("pip", "install", "--quiet", "--target", str(tree), "--python", sys.executable),
        *("--python-platform", target.platform, "--python-version", target.python),
        *("--require-hashes", "--only-binary", ":all:", "--no-deps", "--requirement", str(listed)),
        environment={"MACOSX_DEPLOYMENT_TARGET": target.macos} if target.macos else {},
    )


def _check_wheels(tree: Path, needed: Mapping[str, str]) -> None:
    for distribution, platform in needed.items():
        name = re.sub(r"[-_.]+", "_", distribution)
        lines = [line for file in tree.glob(f"{name}-*.dist-info/WHEEL") for line in file.read_text().splitlines()]
        tags = [line.removeprefix("Tag: ") for line in lines if line.startswith("Tag: ")]
        if not any(tag.rpartition("-")[2].startswith(platform) for tag in tags):
            raise CannotPackage(
                f"cannot use {distribution}: its wheel is {', '.join(tags) or 'not there'}, needed one for {platform}. "
                "Check the macOS version of the machine and the lock file."
            )


def _uv(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    variables = {**os.environ, **(environment or {})}
    ended = subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, env=variables, check=False)
    if ended.returncode != 0:
        said = ended.stderr.strip() or ended.stdout.strip() or "nothing"
        raise CannotPackage(
            f"cannot build: `uv {' '.join(arguments[:2])}` ended with {ended.returncode} and said:\n{said}"
        )
    return ended.stdout


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_CHARACTERS]
