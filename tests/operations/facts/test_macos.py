import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.macos import Mac
from tests.operations.answers import capture, printed

STUDIO = {
    "macos": capture("sw_vers-26.3.txt"),
    "hardware": capture("sysctl-m3-ultra.txt"),
    "kernel": capture("uname-26.3.txt"),
}


def test_a_mac_studio_is_read_whole():
    assert Mac().process(printed(**STUDIO)) == {
        "macos": "26.3",
        "build": "25D125",
        "model": "Mac15,14",
        "chip": "Apple M3 Ultra",
        "memory_bytes": 549755813888,
        "boot_session": "6C1F2C0B-3C0E-4F0B-9A52-0B8F5B9B6E11",
        "kernel": "25.3.0",
        "arch": "arm64",
    }


def test_a_rapid_security_response_is_told_by_its_build():
    mac = Mac().process(printed(**STUDIO | {"macos": capture("sw_vers-26.3.1-a.txt")}))

    assert (mac["macos"], mac["build"]) == ("26.3.1", "25D2128")


@pytest.mark.parametrize(
    ("section", "text", "words"),
    [
        ("kernel", "Linux 6.1.0 x86_64\n", "Is it a Mac?"),
        ("macos", ("", 127), "Is it a Mac?"),
        ("macos", "ProductVersion:\t\t26.3\n", "BuildVersion is missing"),
        ("macos", "ProductVersion:\t\tnext\nBuildVersion:\t\t25D125\n", "'next'"),
        ("macos", "ProductVersion:\t\t26.3\nBuildVersion:\t\t-\n", "'-'"),
        ("hardware", "hw.model: Mac15,14\n", "machdep.cpu.brand_string is missing"),
        ("hardware", capture("sysctl-m3-ultra.txt").replace("549755813888", "\u00b2"), "hw.memsize"),
        ("hardware", ("sysctl: unknown oid 'hw.model'\n", 1), "unknown oid"),
        ("hardware", capture("sysctl-m3-ultra.txt").replace("549755813888", "512 GB"), "'512 GB'"),
    ],
)
def test_what_is_not_understood_is_not_guessed(section, text, words):
    with pytest.raises(FactProcessError, match=f"cannot tell .*{words}"):
        Mac().process(printed(**STUDIO | {section: text}))
