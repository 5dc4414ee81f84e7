"""What the lock file holds for the gateway: hashes for everything, nothing proprietary, nothing known to be bad."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

LOCK = tomllib.loads((Path(__file__).parents[1] / "uv.lock").read_text())
PACKAGES: dict[str, Any] = {package["name"]: package for package in LOCK["package"]}

KNOWN_BAD = [
    ("litellm", "==1.82.7", "stole credentials; published 2026-03-24"),
    ("litellm", "==1.82.8", "stole credentials from a .pth file; published 2026-03-24"),
    ("litellm", ">=1.81.16,<1.83.7", "CVE-2026-42208: SQL injection before a key is asked for"),
    ("litellm", "<1.83.7", "CVE-2026-42271: commands of an MCP server are run"),
    ("litellm", "<1.83.7", "CVE-2026-42203: templates are run"),
    ("litellm", "<1.83.0", "CVE-2026-35030: OIDC is passed by"),
    ("litellm", "<1.83.0", "CVE-2026-35029: /config/update is open to all keys"),
    ("litellm", "<1.83.10", "CVE-2026-40217: guardrails leave their sandbox"),
    ("litellm", "<1.83.10", "CVE-2026-47102: a key gives itself more rights"),
    ("litellm", "<1.83.14", "CVE-2026-47101: routes of keys"),
    ("litellm", "<1.84.0", "CVE-2026-49468: a Host header passes authentication by"),
]
"""Package, versions and why."""
PROPRIETARY = {"litellm-enterprise"}
"""May not be used in production without a licence; LiteLLM's own `proxy` extra needs it."""


def needed(group: str) -> set[str]:
    """All packages that a group brings along, on whichever machine."""
    project = PACKAGES["cidermill"]
    found: set[str] = set()
    waiting = [*project["dev-dependencies"][group], *project["dependencies"]]
    while waiting:
        wanted = waiting.pop()
        extras: Iterable[str] = wanted.get("extra", ())
        package: Mapping[str, Any] = PACKAGES[wanted["name"]]
        more = [each for extra in extras for each in package.get("optional-dependencies", {}).get(extra, ())]
        if wanted["name"] not in found:
            found.add(wanted["name"])
            more += package.get("dependencies", ())
        waiting += [each for each in more if each["name"] not in found or each.get("extra")]
    return found


@pytest.fixture(scope="module")
def gateway() -> set[str]:
    return needed("gateway")


def test_the_tree_is_walked_to_its_leaves(gateway: set[str]):
    assert {"litellm", "aiohttp", "multidict", "openai", "pydantic-core", "certifi"} <= gateway


def test_every_file_that_may_be_installed_has_a_hash_and_comes_from_a_registry(gateway: set[str]):
    for name in gateway:
        package = PACKAGES[name]
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]

        assert files, name
        assert all(file["hash"].startswith("sha256:") for file in files), name
        assert set(package["source"]) == {"registry"}, name


def test_nothing_proprietary_is_in_it(gateway: set[str]):
    assert gateway & PROPRIETARY == set()
    assert PROPRIETARY & set(PACKAGES) == set()


@pytest.mark.parametrize(("name", "versions", "why"), KNOWN_BAD, ids=[why for _, _, why in KNOWN_BAD])
def test_no_version_that_is_known_to_be_bad_is_locked(name: str, versions: str, why: str):
    assert not SpecifierSet(versions, prereleases=True).contains(PACKAGES[name]["version"]), why


def test_a_bad_version_would_be_found():
    bad = [why for _, versions, why in KNOWN_BAD if SpecifierSet(versions, prereleases=True).contains("1.82.7")]

    assert len(bad) == len(KNOWN_BAD) - 1
