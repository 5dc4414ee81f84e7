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


def secret_file(
    path: Path, content: bytes = f"{LONG}\n".encode(), mode: int = 0o600, kind: str = "key"
) -> dict[str, str | None]:
    path.write_bytes(content)
    path.chmod(mode)
    return {"file": str(path), "environment": None, "kind": kind}


def unusable(given: control.References) -> list[tuple[str, str]]:
    return control.unusable({name: {"kind": "key", "on": "mac-1", **each} for name, each in given.items()})


def test_a_secret_is_read_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BENS_KEY", "another-secret-long-enough")
    given = {
        "anna": secret_file(tmp_path / "anna"),
        "ben": {"file": None, "environment": "BENS_KEY"},
    }
    with ctx_state.use(Fleet({"mac-1": {}}).state):
        kept = control.kept_secrets("lab", ["token"], given=given)

    assert unusable(given) == []
    assert (kept["anna"].unmask(), kept["ben"].unmask()) == (LONG, "another-secret-long-enough")
    assert control.digests(kept)["anna"] == hashlib.sha256(LONG.encode()).hexdigest()


def test_words_that_are_needed_before_a_lab_is_looked_at_are_those_that_can_be_used(tmp_path: Path):
    given = {"token": {"file": str(tmp_path / "token"), "kind": "word"}, "lost": {"file": "/nowhere", "kind": "word"}}
    (tmp_path / "token").write_text("hf_secret\n")
    (tmp_path / "token").chmod(0o600)

    assert control.words(given) == {"token": "hf_secret"}


def test_what_is_given_is_not_kept(tmp_path: Path):
    with ctx_state.use(Fleet({"mac-1": {}}).state):
        control.kept_secrets("lab", ["token"], given={"anna": secret_file(tmp_path / "anna")})
    kept = Path(".cidermill/lab.secrets.json")

    assert list(json.loads(kept.read_text())) == ["token"]
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_file_in_ones_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    secret_file(tmp_path / "anna")

    assert unusable({"anna": {"file": "~/anna"}}) == []


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
    ((machine, fault),) = unusable({"anna": secret_file(path, content, mode)})

    assert machine == "mac-1"
    assert fault.startswith(f"cannot use secret 'anna': {path} {told}")
    assert not content.strip() or content.decode(errors="replace").strip() not in fault


def test_a_secret_that_is_not_there_is_refused(tmp_path: Path):
    given = {"anna": {"file": str(tmp_path / "anna")}, "ben": {"environment": "NOBODYS_KEY"}, "eve": {"file": "/"}}
    told = [fault for _, fault in unusable(given)]

    assert len(told) == 3
    assert f"{tmp_path}/anna cannot be read: No such file or directory" in told[0]
    assert "the environment variable NOBODYS_KEY is missing or empty" in told[1]
    assert "/ cannot be read: Is a directory" in told[2]


def test_two_owners_cannot_have_the_same_secret(tmp_path: Path):
    given = {name: secret_file(tmp_path / name) for name in ("anna", "ben")}
    ((_, fault),) = unusable(given)

    assert fault == "cannot use secret 'ben': it is 'anna' as well. Give each a secret of its own."


def test_what_somebody_elses_server_asks_for_may_be_short_and_the_same_as_anothers(tmp_path: Path):
    theirs = secret_file(tmp_path / "theirs", b"ollama\n", kind="word")

    assert unusable({"external one": theirs, "external two": theirs}) == []


def test_a_text_stays_as_it_is(tmp_path: Path):
    pem = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    given = {"tls key": secret_file(tmp_path / "key", pem, kind="text")}
    with ctx_state.use(Fleet({"mac-1": {}}).state):
        kept = control.kept_secrets("lab", [], given=given)

    assert unusable(given) == []
    assert kept["tls key"].unmask() == pem.decode()


def test_a_persons_password_keeps_its_blanks_and_its_letters(tmp_path: Path):
    given = {"volume owner": secret_file(tmp_path / "word", " grüß Gott, \n".encode(), kind="line")}
    with ctx_state.use(Fleet({"mac-1": {}}).state):
        kept = control.kept_secrets("lab", [], given=given)

    assert unusable(given) == []
    assert kept["volume owner"].unmask() == " grüß Gott, "


@pytest.mark.parametrize("content", [b"two\nlines\n", b"a\tb\n", b"a\0b"])
def test_a_persons_password_is_one_line(tmp_path: Path, content: bytes):
    ((_, fault),) = unusable({"volume owner": secret_file(tmp_path / "word", content, kind="line")})

    assert fault.endswith("holds more than one line of text. Put the password alone there.")


@pytest.mark.parametrize(("mode", "is_usable"), [(0o600, True), (0o644, True), (0o664, False)])
def test_what_is_public_may_be_read_by_others_but_not_changed(tmp_path: Path, mode: int, is_usable: bool):
    given = {"tls certificate": secret_file(tmp_path / "certificate", b"two\nlines\n", mode, kind="public")}

    assert (unusable(given) == []) == is_usable


def test_several_secrets_travel_as_one_that_is_not_shown():
    one = control.hidden({"big": control.hidden("sesame"), "small": control.hidden("open")})

    assert json.loads(one.unmask()) == {"big": "sesame", "small": "open"}
    assert "sesame" not in repr(one)
