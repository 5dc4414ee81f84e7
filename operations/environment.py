"""Environments, our own software and Pythons on a machine: sent whole, unpacked, tried, and only then in place.

Trying means importing as root. That writes exactly the bytecode that will be used later, because the service account
cannot write any, and it shows a wheel that does not load on this machine before anything depends on it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from pyinfra.context import host

from operations.facts.environment import Releases
from operations.laying import unpacked
from operations.packaging import Package
from operations.remote import Commands, differs, operation, read

# A virtual environment is bound to its interpreter's path as given: a link such as Homebrew's outlives upgrades. Where
# the interpreter does not find its library from there, as a relocatable build does not, it is bound to the true path.
# Scripts that activate would name the directory by the name it has while it is prepared.
_VENV = """
where='import sys; print(sys.base_prefix)'
"$python" -m venv --without-pip "$new"
if [ "$("$new"/bin/python -c "$where")" != "$("$python" -c "$where")" ]; then
  true=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
  "$true" -m venv --without-pip --clear "$new"
fi
rm -f "$new"/bin/*ctivate*
"""


@operation
def environment(
    root: str,
    *,
    package: Package,
    python: str,
    imports: Sequence[str],
    versions: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Commands:
    """A virtual environment `<root>/<package name>` of the machine's `python`, holding the package and nothing else.

    Every module in `imports` must load, with `variables` set, and every distribution in `versions` have that version.

    environment.environment(
        name="Lay the node environment",
        root="/opt/example/environments",
        package=packaging.environment(project, group="node", target=target),
        python="/usr/local/bin/python3",
        imports=["mlx.core"],
        versions={"mlx": "0.32.4"},
    )
    """
    if _is_laid(root, package):
        return
    set_first = shlex.join(f"{name}={value}" for name, value in (variables or {}).items())
    yield from unpacked(
        f"{root}/{package.name}",
        package=package,
        receipt={"package": package.name, "python": python},
        before=(f"python={shlex.quote(python)}", _VENV),
        into='"$new"/lib/python*/site-packages',
        proof=(f'env {set_first} "$new"/bin/python -I -c {shlex.quote(_proof(imports, versions or {}))}',),
    )


@operation
def software(root: str, *, package: Package, python: str, imports: Sequence[str]) -> Commands:
    """A directory `<root>/<package name>` of modules for PYTHONPATH; `python` must be able to load all of `imports`.

    environment.software(
        name="Lay our software",
        root="/opt/example/software",
        package=packaging.software(project, package="serving"),
        python="/opt/example/environments/node-1a2b/bin/python",
        imports=["serving.agent.daemon"],
    )
    """
    if _is_laid(root, package):
        return
    yield from unpacked(
        f"{root}/{package.name}",
        package=package,
        receipt={"package": package.name},
        proof=(f'PYTHONPATH="$new" {shlex.quote(python)} -c {shlex.quote(_proof(imports, {}))}',),
    )


@operation
def interpreter(root: str, *, package: Package | None, version: str) -> Commands:
    """A Python of our own in `<root>/<package name>`, whose `bin/python3` must be of that version.

    Without a package there is nothing to lay.

    environment.interpreter(
        name="Lay Python", root="/opt/example/python", package=packaging.managed_python("3.12"), version="3.12"
    )
    """
    if package is None:
        host.noop("the Python declared is one that is there")
        return
    if _is_laid(root, package):
        return
    check = f"import platform; v = platform.python_version(); assert (v + '.').startswith({f'{version}.'!r}), v"
    yield from unpacked(
        f"{root}/{package.name}",
        package=package,
        receipt={"package": package.name},
        proof=(f'"$new"/bin/python3 -I -c {shlex.quote(check)}',),
    )


def _is_laid(root: str, package: Package) -> bool:
    laid = read(host, Releases, root=root)
    if laid.get(package.name) is None:
        differs(package.name, seen="not laid", needed="laid")
        return False
    host.noop(f"{package.name} is laid")
    return True


def _proof(imports: Sequence[str], versions: Mapping[str, str]) -> str:
    return (
        "import importlib, importlib.metadata as metadata\n"
        f"for name in {list(imports)!r}: importlib.import_module(name)\n"
        f"for name, needed in {dict(versions)!r}.items():\n"
        "    seen = metadata.version(name)\n"
        "    if seen != needed: raise SystemExit(f'cannot use {name}: {seen} arrived, needed {needed}.')\n"
    )
