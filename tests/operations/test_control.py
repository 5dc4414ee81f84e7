"""What the control machine keeps, and what people give it by reference."""

import hashlib
import json
from pathlib import Path

import pytest
from pyinfra.context import ctx_state

from operations import control
from tests.operations.fleet_of_fakes import Fleet

LONG = "a-secret-that-is-long-enough"


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def secret_file(path: Path, content: bytes = f"{LONG}\n".encode(), mode: int = 0o600) -> dict[str, str | bool | None]:
    path.write_bytes(content)
    path.chmod(mode)
    return {"file": str(path), "environment": None}


def test_a_secret_is_read_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BENS_KEY", "another-secret-long-enough")
    given = {
        "anna": secret_file(tmp_path / "anna"),
        "ben": {"file": None, "environment": "BENS_KEY"},
    }
    with ctx_state.use(Fleet({"mac-1": {}}).state):
        kept = control.kept_secrets("lab", ["token"], given=given)

    assert control.unusable(given, on="mac-1") == []
    assert (kept["anna"].unmask(), kept["ben"].unmask()) == (LONG, "another-secret-long-enough")
    assert control.digests(kept)["anna"] == hashlib.sha256(LONG.encode()).hexdigest()


def test_what_is_given_is_not_kept(tmp_path: Path):
    with ctx_state.use(Fleet({"mac-1": {}}).state):
        control.kept_secrets("lab", ["token"], given={"anna": secret_file(tmp_path / "anna")})
    kept = Path(".cidermill/lab.secrets.json")

    assert list(json.loads(kept.read_text())) == ["token"]
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_file_in_ones_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    secret_file(tmp_path / "anna")

    assert control.unusable({"anna": {"file": "~/anna"}}, on="mac-1") == []


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (f"{LONG}\n".encode(), 0o644, "can be read or changed by others (mode 644), needed 600. Run: chmod 600 "),
        (f"{LONG}\n".encode(), 0o620, "can be read or changed by others (mode 620)"),
        (b"", 0o600, "is missing or empty"),
        (b" \n", 0o600, "is missing or empty"),
        (b"nineteen-characters", 0o600, "holds 19 characters, needed 20"),
        (b"two words that are long enough", 0o600, "holds more than one word of ASCII"),
        (f"{LONG}\n{LONG}\n".encode(), 0o600, "holds more than one word of ASCII"),
        ("ein-schlüssel-der-lang-genug-wäre".encode(), 0o600, "holds more than one word of ASCII"),
        (b"\xff\xfe and so on, long enough", 0o600, "holds something other than text"),
    ],
)
def test_a_file_that_cannot_be_a_secret_is_refused_without_its_words(
    tmp_path: Path, content: bytes, mode: int, told: str
):
    path = tmp_path / "anna"
    ((machine, fault),) = control.unusable({"anna": secret_file(path, content, mode)}, on="mac-1")

    assert machine == "mac-1"
    assert fault.startswith(f"cannot use the key of 'anna': {path} {told}")
    assert not content.strip() or content.decode(errors="replace").strip() not in fault


def test_a_secret_that_is_not_there_is_refused(tmp_path: Path):
    given = {"anna": {"file": str(tmp_path / "anna")}, "ben": {"environment": "NOBODYS_KEY"}, "eve": {"file": "/"}}
    told = [fault for _, fault in control.unusable(given, on="mac-1")]

    assert len(told) == 3
    assert f"{tmp_path}/anna cannot be read: No such file or directory" in told[0]
    assert "the environment variable NOBODYS_KEY is missing or empty" in told[1]
    assert "/ cannot be read: Is a directory" in told[2]


def test_two_owners_cannot_have_the_same_secret(tmp_path: Path):
    given = {name: secret_file(tmp_path / name) for name in ("anna", "ben")}
    ((_, fault),) = control.unusable(given, on="mac-1")

    assert fault == "cannot use the key of 'ben': it is that of 'anna' as well. Give each a secret of its own."


def test_what_somebody_elses_server_asks_for_may_be_short_and_the_same_as_anothers(tmp_path: Path):
    theirs = {**secret_file(tmp_path / "theirs", b"ollama\n"), "handed_out": False}

    assert control.unusable({"external one": theirs, "external two": theirs}, on="mac-1") == []
