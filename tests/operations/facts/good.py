"""For every fact: arguments, and what a Mac in good order answers. A fact that is missing here fails a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyinfra.api.facts import FactBase

from operations.facts.accounts import ServiceAccount
from operations.facts.agents import AgentState
from operations.facts.environment import Interpreter, LaidAt, Releases
from operations.facts.files import Tree
from operations.facts.launchd import LaunchDaemons
from operations.facts.macos import Mac
from operations.facts.network import Network
from operations.facts.packet_filter import PacketFilter
from operations.facts.resources import Resources
from operations.facts.settings import Settings
from operations.facts.texts import Texts
from operations.facts.thunderbolt import Rdma, ThunderboltPorts
from operations.facts.updates import MacUpdates
from operations.facts.weights import WeightsOnDisk
from tests.operations.answers import capture

Sections = dict[str, str | tuple[str, int]]

NEVER_WRITTEN = (
    "2026-09-23 10:10:38.619 defaults[1053:11513] \nDomain /Library/Preferences/com.apple.commerce does not exist\n",
    1,
)
SHA = "ab" * 32

MAC: Sections = {
    "macos": capture("sw_vers-26.3.txt"),
    "hardware": capture("sysctl-m3-ultra.txt"),
    "kernel": capture("uname-26.3.txt"),
}
NETWORK: Sections = {"interfaces": capture("ifconfig-two-cables.txt"), "route": capture("route-default.txt")}
SETTINGS: Sections = {
    "user": "0\n",
    "custom": capture("pmset-custom-mini-26.3.txt"),
    "live": capture("pmset-live.txt"),
    "freeze": "Restart After Freeze: On\n",
    "schedule": "Automatic checking for updates is turned off\n",
    "disabled": capture("launchctl-print-disabled.txt"),
    "ssh": capture("launchctl-print-running.txt").replace("dev.example.agent", "com.openssh.sshd"),
    "file_vault": "FileVault is Off.\n",
    "firewall": "Firewall is disabled. (State = 0)\n",
    "updates": capture("defaults-software-update.txt"),
    "store": "{\n    AutoUpdate = 0;\n}\n",
}
UPDATES: Sections = {
    "offers": capture("softwareupdate-list.txt"),
    "install": "free\n",
    "fetch": "free\n",
    "running": ("", 1),
    "source": "Now drawing from 'AC Power'\n",
    "token": capture("sysadminctl-secure-token.txt"),
    "record": "GeneratedUID: 5FDF1E5A-1C2D-4B6A-9F0E-7A1B2C3D4E5F\n",
    "owners": capture("diskutil-list-users.txt"),
}
PACKET_FILTER: Sections = {"info": capture("pfctl-info.txt"), "rules": capture("pfctl-rules.txt")}
RESOURCES: Sections = {
    "clock": "1790153387\n",
    "disk": (capture("df-studio.txt"), 1),
    "wired": "iogpu.wired_limit_mb: 0\n",
    "domains": "AppleThunderboltRDMAProtectionDomain = 3\n",
}

GOOD: Mapping[type[FactBase[Any]], tuple[Mapping[str, Any], Sections]] = {
    AgentState: ({"command": ["/opt/example/status"]}, {"state": 'starting\n{"release": "agent-1a2b"}\n'}),
    Interpreter: (
        {"path": "/usr/local/bin/python3"},
        {"python": '{"version": "3.12.4", "platform": "darwin-arm64", "libc": ["", ""]}\n'},
    ),
    LaidAt: ({"root": "/opt/example"}, {"laid_at": "1790153387 node-1a2b\n1790153390 node-3c4d\n"}),
    LaunchDaemons: (
        {"prefix": "dev.example."},
        {
            "user": "0\n",
            "plists": f"{SHA}  /Library/LaunchDaemons/dev.example.agent.plist\n",
            "listing": "",
            "jobs": f"job dev.example.agent\n{capture('launchctl-print-running.txt')}",
            "disabled": capture("launchctl-print-disabled.txt"),
        },
    ),
    Mac: ({}, MAC),
    MacUpdates: ({"build": "25G229", "directory": "/opt/example/macos", "user": "admin"}, UPDATES),
    Network: ({}, NETWORK),
    PacketFilter: ({"anchor": "com.apple/example"}, PACKET_FILTER),
    Rdma: (
        {},
        {
            "status": "enabled\n",
            "devices": capture("ibv_devices-three.txt"),
            "ports": capture("ibv_devinfo-one-active.txt"),
        },
    ),
    Releases: (
        {"root": "/opt/example"},
        {
            "laid": 'directory /opt/example/node-1a2b/\n{"package": "node-1a2b"}\n'
            "directory /opt/example/node-3c4d.new/\n"
        },
    ),
    Resources: ({}, RESOURCES),
    ServiceAccount: (
        {"account": "_example", "uid": 341},
        {
            "user": capture("dscl-user.txt"),
            "group": capture("dscl-group.txt"),
            "uids": capture("dscl-numbers.txt"),
            "gids": capture("dscl-numbers.txt"),
        },
    ),
    Settings: ({}, SETTINGS),
    Texts: (
        {"paths": ["/opt/example/a", "/opt/example/b"]},
        {"texts": "path /opt/example/a\n one line\n another\n"},
    ),
    ThunderboltPorts: (
        {},
        {
            "ports": capture("thunderbolt-peer-behind-dock.json"),
            "interfaces": capture("networksetup-m3-ultra.txt"),
        },
    ),
    Tree: (
        {"paths": ["/opt/example", "/opt/example/file", "/opt/example/link", "/opt/example/nothing"]},
        {
            "tree": "path /opt/example\ndirectory root wheel 0755\n"
            f"path /opt/example/file\nfile root wheel 0644\n{SHA}  -\n"
            "path /opt/example/link\nlink root wheel 0755\ntarget file\n"
        },
    ),
    WeightsOnDisk: (
        {"directory": "/opt/example/weights/glm"},
        {
            "receipt": '{"files": {"config.json": {"size": 612, "sha256": "ab", "changed": "1790153387.566452000"}}}\n',
            "files": "612 1790153387.566452000 ./config.json\n14 1790153387.566452000 ./sub/model 2.safetensors\n",
        },
    ),
}
