"""What the file of keys says, who is found in it, and whether it is read again. Values, and files."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.declared import ClientKey
from serving.errors import KeyRefused, KeysUnreadable
from serving.gateway.key_file import KeyFile
from serving.gateway.keys import Key, digest, found, key_of, parsed, require_allowed, shown, written

SECRET = "a-secret-that-is-long-enough"
ANNA = Key(owner="anna", sha256=digest(SECRET), expires="2026-12-31")
BEN = Key(owner="ben", sha256=digest("another-secret-long-enough"), names=("w",), requests_per_minute=3)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def refused(*arguments) -> KeyRefused:
    with pytest.raises(KeyRefused) as caught:
        found(*arguments)
    return caught.value


def test_what_is_written_is_read_back():
    assert parsed(written([ANNA, BEN])) == (ANNA, BEN)


def test_of_a_declared_key_the_file_holds_the_digest_and_not_where_its_secret_lies():
    declared = ClientKey.model_validate(
        {
            "owner": "anna",
            "secret": {"file": "/keys/anna"},
            "names": ["w"],
            "tokens_per_minute": 9,
            "expires": "2026-12-31",
        }
    )
    text = written([key_of(declared, digest(SECRET), ("w", "alias"))])

    assert parsed(text) == (
        Key(owner="anna", sha256=digest(SECRET), names=("w", "alias"), tokens_per_minute=9, expires="2026-12-31"),
    )
    assert SECRET not in text
    assert "/keys/anna" not in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"keys": [',
        "[]",
        '{"keys": [{"owner": "anna"}]}',
        written([ANNA]).replace(ANNA.sha256, "00"),
        written([ANNA]).replace("2026-12-31", "2026-13-31"),
        written([ANNA]).replace('"owner"', '"admin": true, "owner"'),
    ],
)
def test_a_file_that_is_anything_else_is_refused_without_its_words(text: str):
    with pytest.raises(KeysUnreadable) as caught:
        parsed(text)

    assert ANNA.sha256 not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_key_is_found_wherever_it_stands(place: int):
    keys = [BEN, BEN.model_copy(update={"sha256": digest("third")})]
    keys.insert(place, ANNA)

    assert found(keys, SECRET.encode(), NOW) == ANNA


@pytest.mark.parametrize(
    ("secret", "code"),
    [(b"", "missing_api_key"), (b"guessed", "invalid_api_key"), (ANNA.sha256.encode(), "invalid_api_key")],
    ids=["none", "unknown", "the digest itself"],
)
def test_who_shows_no_key_of_ours_is_told_so_and_not_what_they_have_shown(secret: bytes, code: str):
    fault = refused([ANNA, BEN], secret, NOW)

    assert (fault.status, fault.code) == (401, code)
    assert not secret or secret.decode() not in str(fault)


def test_a_key_opens_until_the_end_of_its_last_day_and_is_then_told_apart_from_an_unknown_one():
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    fault = refused([ANNA], SECRET.encode(), midnight)

    assert found([ANNA], SECRET.encode(), midnight - timedelta(seconds=1)) == ANNA
    assert (fault.status, fault.code) == (401, "expired_api_key")
    assert "expired with 2026-12-31" in str(fault)
    assert SECRET not in str(fault)


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({b"authorization": b"Bearer k"}, b"k"),
        ({b"authorization": b"bearer  k "}, b"k"),
        ({b"x-api-key": b" k"}, b"k"),
        ({b"authorization": b"Bearer k", b"x-api-key": b"other"}, b"k"),
        ({b"authorization": b"Basic k", b"x-api-key": b"k"}, b"k"),
        ({b"authorization": b"Basic k"}, b""),
        ({b"authorization": b"k"}, b""),
        ({b"authorization": b"Bearer"}, b""),
        ({}, b""),
    ],
)
def test_a_key_is_shown_as_openais_or_as_anthropics_clients_do(headers: dict[bytes, bytes], secret: bytes):
    assert shown(headers) == secret


@pytest.mark.parametrize("name", ["v", None, ["w"], 3, ""])
def test_a_key_for_some_names_is_for_no_others(name: object):
    require_allowed(ANNA, name)
    require_allowed(BEN, "w")
    with pytest.raises(KeyRefused, match="it is for w") as caught:
        require_allowed(BEN, name)

    assert caught.value.status == 403


def moved(path: Path, text: str) -> None:
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


def test_another_file_in_its_place_counts_from_the_next_look_on(tmp_path: Path):
    path = tmp_path / "keys.json"
    path.write_text(written([ANNA]))
    file = KeyFile(path)
    seen = [file.keys()]
    for keys in ([BEN], [ANNA, BEN], []):
        moved(path, written(keys))
        seen.append(file.keys())

    assert seen == [(ANNA,), (BEN,), (ANNA, BEN), ()]


@pytest.mark.parametrize("damage", ["gone", '{"keys": [', json.dumps({"keys": [{"owner": "anna"}]})])
def test_a_damaged_file_keeps_the_last_good_keys_says_so_once_and_is_read_again_when_it_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
):
    path = tmp_path / "keys.json"
    path.write_text(written([ANNA]))
    file = KeyFile(path)
    path.unlink()
    if damage != "gone":
        path.write_text(damage)
    with caplog.at_level(logging.ERROR):
        kept = [file.keys() for _ in range(3)]
    path.unlink(missing_ok=True)
    path.write_text(written([ANNA, BEN]))

    assert kept == [(ANNA,)] * 3
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.levelno == logging.ERROR] == [
        f"cannot read the keys in {path}" if damage == "gone" else "cannot read the keys"
    ]
    assert file.keys() == (ANNA, BEN)


def test_without_keys_to_begin_with_there_is_no_beginning(tmp_path: Path):
    with pytest.raises(KeysUnreadable, match="No such file"):
        KeyFile(tmp_path / "keys.json")
