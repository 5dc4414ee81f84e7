import pytest

from operations.platforms import APPLE, Target, UnknownPlatform, managed_target, platform_for, target_for


def interpreter(platform, library="", version="", python="3.11.7"):
    return {"version": python, "platform": platform, "libc": [library, version]}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (interpreter("darwin-arm64"), APPLE),
        (interpreter("linux-x86_64", "glibc", "2.36"), "x86_64-manylinux_2_36"),
        (interpreter("linux-aarch64", "glibc", "2.39"), "aarch64-manylinux_2_39"),
        (interpreter("linux-x86_64", "glibc", "2.30"), "x86_64-manylinux_2_28"),
        (interpreter("linux-x86_64", "glibc", "2.99"), "x86_64-manylinux_2_40"),
    ],
)
def test_an_interpreter_has_a_platform_in_the_words_of_uv(seen, expected):
    assert platform_for(seen) == expected


@pytest.mark.parametrize(
    "seen",
    [
        interpreter("darwin-x86_64"),
        interpreter("linux-x86_64"),
        interpreter("linux-x86_64", "musl", "1.2"),
        interpreter("linux-x86_64", "glibc", "2.17"),
        interpreter("win-amd64"),
    ],
    ids=lambda seen: "-".join((seen["platform"], *seen["libc"])),
)
def test_an_unknown_platform_is_refused(seen):
    with pytest.raises(UnknownPlatform, match=f"cannot choose packages for platform '{seen['platform']}'"):
        platform_for(seen)


def test_wheels_for_a_mac_depend_on_its_macos_and_not_on_the_point_release():
    assert target_for(interpreter("darwin-arm64"), "26.3.1") == Target(APPLE, "3.11", "26.0")
    assert managed_target("3.12.4", "26.4") == Target(APPLE, "3.12", "26.0")


def test_wheels_for_linux_do_not():
    assert target_for(interpreter("linux-x86_64", "glibc", "2.36"), "26.3") == Target("x86_64-manylinux_2_36", "3.11")
