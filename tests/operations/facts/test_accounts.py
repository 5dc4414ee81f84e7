import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.accounts import ServiceAccount
from tests.operations.answers import capture, printed

NUMBERS = capture("dscl-numbers.txt")
MISSING = (capture("dscl-no-record.txt"), 56)


USER, GROUP = capture("dscl-user.txt"), capture("dscl-group.txt")


def account(user=USER, group=GROUP, numbers=NUMBERS):
    fact = ServiceAccount()
    fact.command(account="_example", uid=341)
    return fact.process(printed(user=user, group=group, uids=numbers, gids=numbers))


def test_an_account_is_read_with_values_on_lines_of_their_own_and_native_keys():
    assert account() == {
        "user": {
            "UniqueID": "341",
            "PrimaryGroupID": "341",
            "NFSHomeDirectory": "/var/empty",
            "UserShell": "/usr/bin/false",
            "RealName": "Example service",
            "IsHidden": "1",
        },
        "group": {"PrimaryGroupID": "341", "RealName": "Example service"},
        "uid_owners": ["_example"],
        "gid_owners": ["_example"],
    }


def test_records_that_do_not_exist_are_none():
    found = account(user=MISSING, group=MISSING)

    assert (found["user"], found["group"]) == (None, None)


def test_a_key_that_is_not_set_is_left_out():
    found = account(group="PrimaryGroupID: 341\nNo such key: RealName\n")

    assert found["group"] == {"PrimaryGroupID": "341"}


def test_a_directory_that_does_not_answer_is_not_an_account_that_is_missing():
    with pytest.raises(FactProcessError, match="cannot tell whether the account exists"):
        account(user=("Operation failed with error: eServerError", 40))


@pytest.mark.parametrize("text", ["", "something else\n"])
def test_a_record_without_any_key_is_no_account(text):
    with pytest.raises(FactProcessError, match="cannot tell whether the account exists"):
        account(user=text)


@pytest.mark.parametrize("text", ["", "no list of accounts\n"])
def test_a_list_without_numbers_does_not_make_a_number_look_free(text):
    with pytest.raises(FactProcessError, match="cannot tell who holds which number"):
        account(numbers=text)
