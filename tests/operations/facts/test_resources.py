import subprocess

import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.resources import Resources
from tests.operations.answers import capture, printed
from tests.operations.facts.good import RESOURCES


def resources(asked=1790153380.0, answered=1790153382.0, **sections: str | tuple[str, int]):
    """What is read by a control machine whose clock showed these times."""
    fact, times = Resources(), iter((asked, answered))
    fact.clock = lambda: next(times)
    fact.command()
    return fact.process(printed(**RESOURCES | sections))


def test_everything_there_is_to_use_up_is_read():
    assert resources() == {
        "disk_free_bytes": 612345678 * 1024,
        "wired_limit_mb": 0,
        "clock_ahead_seconds": 6.5,
        "protection_domains": 3,
    }


def test_the_nearest_directory_that_is_there_tells_of_the_disk():
    fact = Resources()
    printed_by_df = subprocess.run(
        ["df", "-k", "/tmp/nothing/here", "/tmp/nothing", "/tmp", "/"], capture_output=True, text=True, check=False
    )
    (row,) = subprocess.run(["df", "-k", "/tmp"], capture_output=True, text=True, check=True).stdout.splitlines()[1:]

    assert "/bin/df -k /tmp/nothing/here /tmp/nothing /tmp /" in fact.command(path="/tmp/nothing/here")
    disk = (printed_by_df.stderr + printed_by_df.stdout, printed_by_df.returncode)
    assert resources(disk=disk)["disk_free_bytes"] == pytest.approx(int(row.split()[3]) * 1024, rel=0.01)


@pytest.mark.parametrize(
    ("seconds", "ahead"),
    [(99, 0.0), (100, 0.0), (104, 0.0), (105, 3.5), (98, -3.5), (40, -61.5), (3700, 3598.5)],
)
def test_a_clock_is_right_when_asking_it_took_longer_than_it_is_off(seconds, ahead):
    """Asked at 100 and answered at 104: whatever the Mac showed in between may be right."""
    assert resources(100.0, 104.0, clock=f"{seconds}\n")["clock_ahead_seconds"] == ahead


@pytest.mark.parametrize(
    ("domains", "held"),
    [
        ("AppleThunderboltRDMAProtectionDomain = 0\n", 0),
        ("noise\nAppleThunderboltRDMAProtectionDomain = 4, 11\n", 11),
        ("AppleThunderboltRDMAProtectionDomain = <no such class>\n", None),
        (("/usr/sbin/ioclasscount: No such file or directory\n", 127), None),
    ],
)
def test_protection_domains_are_counted_where_macos_counts_them(domains, held):
    assert resources(domains=domains)["protection_domains"] == held


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("disk", ""),
        ("disk", "Filesystem 1024-blocks Used Available Capacity\n"),
        ("disk", "/dev/disk3s1 100 20 -5 20% /\n"),
        ("disk", "/dev/disk3s1 100 20 5000 20% /\n"),
        ("disk", ("df: /opt: Permission denied\n" + capture("df-studio.txt").partition("\n")[2], 1)),
        ("wired", ("sysctl: unknown oid 'iogpu.wired_limit_mb'\n", 1)),
        ("wired", "iogpu.wired_limit_mb: -1\n"),
        ("wired", "something.else: 0\n"),
        ("clock", "Wed Sep 23 01:49:47 UTC 2026\n"),
        ("clock", ""),
        ("domains", ""),
        ("domains", "AppleThunderboltRDMAProtectionDomain\n"),
        ("domains", "AppleThunderboltRDMAProtectionDomain = -1\n"),
        ("domains", ("Error: Can't get registry root.\n", 71)),
    ],
)
def test_an_answer_without_its_number_is_not_guessed(section, text):
    with pytest.raises(FactProcessError, match=r"cannot tell how|cannot tell the limit"):
        resources(**{section: text})
