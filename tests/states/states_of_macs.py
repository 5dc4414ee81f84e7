"""One Mac by itself: which it is, how it is set, what it has left, and what it cannot tell."""

from tests.states.lab import lab, m3_ultra, m4_pro, studios
from tests.states.state import state

_NO_ROOT = "needs root"

STATES = {
    "mixed builds in one replica": state(
        studios(2).mac("m1", macos="26.3.1", extra="(a)", build="25D2128"), ("m2", "macOS build", "error", "25D125")
    ),
    "macOS 27.0 beside 26.3": state(
        studios(2).mac("m2", macos="27.0", build="26A428"), ("m1", "macOS build", "error", "26.3 (25D125)")
    ),
    "an older macOS on all": state(
        studios(2).every_mac(macos="26.2", build="25C56"),
        ("m1", "macOS", "error", "26.2 (25C56)"),
        ("m2", "macOS", "error", "26.2 (25C56)"),
    ),
    "another chip and less memory than declared": state(
        studios(2).declared(machines__0__chip="Apple M4 Max", machines__1__memory_gb=256),
        ("m1", "chip", "error", "Apple M3 Ultra"),
        ("m2", "memory", "error", "512 GB"),
    ),
    "sleep on": state(studios(2).mac("m1", power={"sleep": 1}), ("m1", "sleep", "drift", "sleep 1")),
    "disks that spin down, and standby": state(
        studios(2).mac("m1", power={"disksleep": 10, "standby": 1}), ("m1", "sleep", "drift", "disksleep 10, standby 1")
    ),
    "a pmset that does not tell of sleep": state(
        studios(2).mac("m1", power={"sleep": None}), ("m1", "sleep", "error", "cannot tell")
    ),
    "no restart after a power cut": state(
        studios(2).mac("m1", power={"autorestart": 0}), ("m1", "restart after power loss", "drift", "off")
    ),
    "no restart after a freeze": state(
        studios(2).mac("m1", freeze="Off"), ("m1", "restart after freeze", "drift", "off")
    ),
    "a Mac that cannot restart after a freeze": state(
        studios(2).mac("m1", freeze="Not supported on this machine."),
        ("m1", "restart after freeze", "note", "does not have"),
    ),
    "no wake on network": state(studios(2).mac("m1", power={"womp": 0}), ("m1", "wake on network", "drift", "off")),
    "updates that are looked for": state(
        studios(2).mac("m1", schedule="on"), ("m1", "automatic updates", "drift", "schedule is on")
    ),
    "updates that are installed, and a key never set": state(
        studios(2).mac("m1", updates={"AutomaticallyInstallMacOSUpdates": 1, "AutoUpdate": None}),
        ("m1", "automatic updates", "drift", "AutomaticallyInstallMacOSUpdates is on, AutoUpdate is never set"),
    ),
    "updates off where they are wanted": state(
        studios(1).declared(headless__automatic_updates=True), ("m1", "automatic updates", "drift", "schedule is off")
    ),
    "Remote Login off": state(studios(2).mac("m1", sshd="disabled"), ("m1", "remote login", "drift", "sshd")),
    "FileVault on, told": state(studios(2).mac("m1", file_vault="On"), ("m1", "FileVault", "note", "unlock screen")),
    "FileVault on, declared off": state(
        studios(2).mac("m1", file_vault="On").declared(headless__file_vault="off"),
        ("m1", "FileVault", "error", "unlock screen"),
    ),
    "the application firewall on, told": state(
        studios(2).mac("m1", firewall=1), ("m1", "application firewall", "note", "Python")
    ),
    "the application firewall on, declared off": state(
        studios(2).mac("m1", firewall=2).declared(headless__application_firewall="off"),
        ("m1", "application firewall", "drift", "Python"),
    ),
    "the packet filter off": state(
        studios(2).mac("m1", filtering="Disabled"), ("m1", "packet filter", "drift", "it is off")
    ),
    "the packet filter without our rules": state(
        studios(2).mac("m1", has_rules=False), ("m1", "packet filter", "drift", "without our rules")
    ),
    "a clock that is ahead": state(studios(2).mac("m1", clock_ahead=90), ("m1", "clock", "error", "90 s ahead")),
    "a clock that is behind": state(studios(2).mac("m1", clock_ahead=-3600), ("m1", "clock", "error", "s behind")),
    "a full disk": state(studios(2).mac("m1", disk_free_gib=2), ("m1", "disk", "error", "2.0 GiB free")),
    "a disk without room for the weights, if they are not there yet": state(
        studios(2).mac("m1", disk_free_gib=15), ("m1", "disk", "note", "15.0 GiB free")
    ),
    "weights too large for the machines": state(
        lab([m4_pro("m1"), m4_pro("m2")], weights_gib=96),
        ("m1", "memory for the weights", "error", "64 GB let the GPU wire 57.7 GB, of which 52.0 GB are planned with"),
        ("m2", "memory for the weights", "error", "64 GB let the GPU wire 57.7 GB, of which 52.0 GB are planned with"),
    ),
    "the same weights below a raised limit": state(
        lab([m4_pro("m1"), m4_pro("m2")], weights_gib=96)
        .every_mac(wired_limit_mb=57000)
        .declared(machines__0__wired_limit_mb=57000, machines__1__wired_limit_mb=57000)
    ),
    "a wired limit that leaves macOS too little": state(
        studios(1).mac("m1", wired_limit_mb=500000).declared(machines__0__wired_limit_mb=500000),
        ("m1", "wired limit", "error", "asked for 500000 MB, the machine has 524288 MB"),
    ),
    "a wired limit that a restart took back": state(
        studios(1).declared(machines__0__wired_limit_mb=480000), ("m1", "wired limit", "drift", "macOS's own")
    ),
    "a login without root": state(
        studios(2).mac("m1", is_root=False),
        ("m1", "settings", "error", _NO_ROOT),
        ("m1", "packet filter", "error", "Permission denied"),
    ),
    "JSON cut short": state(
        studios(2).prints("m1", "/usr/sbin/system_profiler", '{\n  "SPThunderboltDataType" : [\n    {\n'),
        ("m1", "Thunderbolt", "error", "cannot tell"),
    ),
    "a system_profiler that says nothing": state(
        studios(2).prints("m2", "/usr/sbin/system_profiler", ""), ("m2", "Thunderbolt", "error", "cannot tell")
    ),
    "a Mac without any Thunderbolt port": state(
        studios(2)
        .prints("m2", "/usr/sbin/system_profiler", '{\n  "SPThunderboltDataType" : [\n\n  ]\n}\n')
        .mac("m2", held={"en3": ()}),
        ("m1", "cable to m2", "error", "no port of m1 sees m2"),
        ("m1", "cable to another Mac", "note", "Mac15,14"),
        ("m2", "Thunderbolt", "error", "shows no Thunderbolt port"),
    ),
    "a machine that is no Mac": state(
        lab([m3_ultra("m1")]).prints("m1", "/usr/bin/sw_vers", "/usr/bin/sw_vers: No such file or directory\n", 127),
        ("m1", "macOS", "error", "Is it a Mac?"),
    ),
    "reads that macOS does not permit over SSH": state(
        studios(1).prints("m1", "/usr/bin/defaults read", "Could not read domain: Operation not permitted\n", 1),
        ("m1", "settings", "error", "Operation not permitted"),
    ),
}
