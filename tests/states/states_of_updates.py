"""Macs on their way to another macOS, and Macs that nothing brings there."""

from tests.states.lab import lab as lab_of
from tests.states.lab import m5_max, studios
from tests.states.state import state

WANTED = {
    "version": "26.4",
    "build": "25E246",
    "volume_owner": {"user": "admin", "password": {"environment": "MACS"}},
}
LABEL = "macOS Tahoe 26.4-25E246"
NEW = {"macos": "26.4", "build": "25E246"}
_DECLARED = {"at_least": "26.3", "update": WANTED}
_TWO = studios(2).declared(macos=_DECLARED).every_mac(offers={LABEL: "26.4", "macOS 27-26A428": "27"})
_DUE = [("m1", "macOS", "drift", "26.3 (25D125)"), ("m2", "macOS", "drift", "26.3 (25D125)")]
_GATEWAY = ("m1", "gateway", "note", "restarts for a newer macOS")
_M2 = [("m2", "macOS", "drift", "26.3 (25D125)")]

STATES = {
    "another macOS declared, and on offer": state(_TWO, *_DUE, _GATEWAY),
    "another macOS declared, and running": state(_TWO.every_mac(**NEW)),
    "one Mac of two with the declared macOS": state(_TWO.mac("m1", **NEW), *_M2),
    "another macOS declared, and a newer one running": state(
        _TWO.mac("m2", **NEW).mac("m1", macos="26.4.1", build="25E253"), ("m1", "macOS", "error", "26.4.1 (25E253)")
    ),
    "another macOS declared, and only the next major on offer": state(
        _TWO.mac("m1", offers={"macOS 27-26A428": "27"}), ("m1", "macOS update", "error", "'macOS 27-26A428'"), *_M2
    ),
    "another macOS declared, and nothing on offer": state(
        _TWO.mac("m1", offers={}), ("m1", "macOS update", "error", "no macOS"), *_M2
    ),
    "another macOS declared, with FileVault on": state(
        _TWO.mac("m1", file_vault="On"),
        ("m1", "FileVault", "note", "unlock screen"),
        ("m1", "macOS update", "error", "unlock screen"),
        *_M2,
    ),
    "another macOS declared, with an owner that owns nothing": state(
        _TWO.mac("m1", owner="No"), ("m1", "macOS update", "error", "no volume owner"), *_M2
    ),
    "another macOS declared, with an owner without a token": state(
        _TWO.mac("m1", token="DISABLED"), ("m1", "macOS update", "error", "no secure token"), *_M2
    ),
    "another macOS declared, and none who may install it": state(
        _TWO.declared(macos__update__volume_owner=None),
        ("m1", "macOS update", "error", "installs for nobody else"),
        ("m2", "macOS update", "error", "installs for nobody else"),
    ),
    "another macOS declared, and a full disk": state(
        _TWO.mac("m1", disk_free_gib=15),
        ("m1", "disk", "note", "15.0 GiB free"),
        ("m1", "macOS update", "error", "15.0 GiB free"),
        *_M2,
    ),
    "another macOS declared, while somebody updates by hand": state(
        _TWO.mac("m1", updating="by hand"), ("m1", "macOS update", "error", "under way"), *_M2
    ),
    "another macOS declared, and our own installation under way": state(
        _TWO.mac("m1", updating="install", offers={}), *_DUE, _GATEWAY
    ),
    "another macOS declared, and Apple out of reach": state(
        _TWO.prints("m1", "/bin/sh", "Can't connect to the Apple Software Update server.\n"),
        ("m1", "macOS update", "error", "cannot tell which macOS is offered"),
        *_M2,
    ),
    "another macOS declared, on a battery": state(
        lab_of([m5_max("m1")]).declared(macos=_DECLARED).mac("m1", offers={LABEL: "26.4"}, source="Battery"),
        ("m1", "macOS update", "error", "battery"),
        ("m1", "restart after power loss", "note", "does not have"),
    ),
}
