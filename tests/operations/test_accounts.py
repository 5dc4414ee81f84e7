import pytest
from pyinfra.api.exceptions import OperationError

from operations import accounts
from tests.operations.answers import capture, printed
from tests.operations.fleet_of_fakes import Fleet, applied

MISSING = (capture("dscl-no-record.txt"), 56)
NUMBERS = capture("dscl-numbers.txt")
WANTED = {"uid": 341, "home": "/var/empty", "real_name": "Example service"}


def world(user=MISSING, group=MISSING, numbers="root 0\n"):
    return {"user": printed(user=user, group=group, uids=numbers, gids=numbers)}


RIGHT = world(capture("dscl-user.txt"), capture("dscl-group.txt"), NUMBERS)


def test_a_bare_mac_gets_a_group_then_a_user_without_a_password():
    machine, _ = applied(accounts.service_account, world(), "_example", **WANTED)

    assert machine.done[0].split(" && ") == [
        "/usr/bin/dscl . -create /Groups/_example",
        "/usr/bin/dscl . -create /Groups/_example Password '*'",
        "/usr/bin/dscl . -create /Groups/_example PrimaryGroupID 341",
        "/usr/bin/dscl . -create /Groups/_example RealName 'Example service'",
        "/usr/bin/dscl . -create /Users/_example",
        "/usr/bin/dscl . -create /Users/_example Password '*'",
        "/usr/bin/dscl . -create /Users/_example UniqueID 341",
        "/usr/bin/dscl . -create /Users/_example PrimaryGroupID 341",
        "/usr/bin/dscl . -create /Users/_example NFSHomeDirectory /var/empty",
        "/usr/bin/dscl . -create /Users/_example UserShell /usr/bin/false",
        "/usr/bin/dscl . -create /Users/_example RealName 'Example service'",
        "/usr/bin/dscl . -create /Users/_example IsHidden 1",
    ]


def test_an_account_that_can_log_in_is_corrected_in_that_alone():
    user = capture("dscl-user.txt").replace("/usr/bin/false", "/bin/zsh")
    machine, _ = applied(
        accounts.service_account, world(user, capture("dscl-group.txt"), NUMBERS), "_example", **WANTED
    )

    assert machine.done == ["/usr/bin/dscl . -create /Users/_example UserShell /usr/bin/false"]


def test_an_account_as_declared_is_left_alone():
    machine, reason = applied(accounts.service_account, RIGHT, "_example", **WANTED)

    assert (machine.done, reason) == ([], "account _example has uid 341 and cannot log in")


def test_success_that_cannot_be_read_back_is_a_failure():
    fleet = Fleet({"mac-1": world()})
    fleet.prepare(accounts.service_account, "_example", **WANTED)

    assert not fleet.execute()
    assert any("dscl ended well, but the directory has" in line for line in fleet.said)


def test_a_number_that_belongs_to_someone_else_is_refused():
    with pytest.raises(OperationError, match=r"number 341 belongs to user _other\. Declare another uid"):
        applied(accounts.service_account, world(numbers="_other 341\nroot 0\n"), "_example", **WANTED)


@pytest.mark.parametrize(
    ("was", "found", "message"),
    [
        ("Example service", "Somebody else", "a user of that name whose RealName is 'Somebody else'"),
        ("/var/empty", "/Users/example", "a user of that name whose NFSHomeDirectory is '/Users/example'"),
    ],
)
def test_an_account_of_the_same_name_that_is_not_ours_is_not_taken_over(was, found, message):
    theirs = world(capture("dscl-user.txt").replace(was, found), capture("dscl-group.txt"), NUMBERS)
    with pytest.raises(OperationError, match=f"cannot create account _example on @fake/mac-1: there is {message}"):
        applied(accounts.service_account, theirs, "_example", **WANTED)


def test_a_group_of_the_same_name_that_is_not_ours_is_not_taken_over():
    theirs = world(group=capture("dscl-group.txt").replace("Example service", "Others"))
    with pytest.raises(OperationError, match="there is a group of that name whose RealName is 'Others'"):
        applied(accounts.service_account, theirs, "_example", **WANTED)


def test_an_account_that_was_cut_off_while_it_was_made_is_finished():
    machine, _ = applied(accounts.service_account, world("UniqueID: 341\n", MISSING, NUMBERS), "_example", **WANTED)

    assert "/usr/bin/dscl . -create /Users/_example NFSHomeDirectory /var/empty" in machine.done[0].split(" && ")
    assert "/usr/bin/dscl . -create /Users/_example" not in machine.done[0].split(" && ")
