"""Secrets that were declared by where they are found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyinfra.api.hiddenvalue import HiddenValue

from operations.control import NoSecret, fingerprints, found_secrets


def in_file(path: Path) -> dict[str, str | None]:
    return {"file": str(path), "environment": None}


def in_environment(name: str) -> dict[str, str | None]:
    return {"file": None, "environment": name}


def test_a_secret_comes_from_its_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "key").write_text("sesame\n")
    monkeypatch.setenv("SOME_KEY", "open")
    found = found_secrets({"one": in_file(tmp_path / "key"), "two": in_environment("SOME_KEY")})

    assert json.loads(found.unmask()) == {"one": "sesame", "two": "open"}
    assert "sesame" not in repr(found)


def test_all_that_are_missing_are_told_at_once_and_none_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    (tmp_path / "two words").write_text("open sesame")
    (tmp_path / "no text").write_bytes(b"\xff")
    places = {"gone": tmp_path / "gone", "words": tmp_path / "two words", "bytes": tmp_path / "no text"}

    with pytest.raises(NoSecret) as told:
        found_secrets({name: in_file(path) for name, path in places.items()} | {"unset": in_environment("SOME_KEY")})
    assert str(told.value).splitlines() == [
        f"cannot read the secret of 'gone': file {places['gone']}: No such file or directory",
        f"cannot use the secret of 'words': file {places['words']} holds more than one word, needed it alone. "
        "Put it there",
        f"cannot read the secret of 'bytes': file {places['bytes']}: not text",
        "cannot use the secret of 'unset': environment variable SOME_KEY holds nothing, needed it alone. Put it there",
    ]


def test_the_name_of_a_secret_that_somebody_thought_of_cannot_be_searched_for():
    made, others = {"token": HiddenValue("drawn")}, {"token": HiddenValue("other")}
    found = {"key": HiddenValue("password")}
    named = [fingerprints(each | found, found)["key"] for each in (made, others)]

    assert named[0] != named[1]
    assert named[0] == fingerprints(made | found, found)["key"]
    assert fingerprints(made | found, found)["token"] == fingerprints(made)["token"]
