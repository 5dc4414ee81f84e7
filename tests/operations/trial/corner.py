"""What the trials of a headless server and of its removal share."""

PREFIX = "dev.corner."
ROOT, LOGS = "/opt/corner", "/var/log/corner"
RECORD = f"{ROOT}/before/settings.json"
PATHS, KEPT = [ROOT, LOGS, "/var/run/corner.json"], [f"{ROOT}/weights"]
ACCOUNT = {"account": "_corner", "uid": 398}
WANTED = {
    "sleep": False,
    "restart_after_power_loss": True,
    "restart_after_freeze": True,
    "wake_on_network": True,
    "automatic_updates": False,
    "remote_login": True,
    "file_vault": "told",
    "application_firewall": "off",
    "clock_within_seconds": 30,
}
DIRECTORIES = [
    (ROOT, "root", "wheel", 755),
    (f"{ROOT}/weights", "root", "wheel", 755),
    (f"{ROOT}/state", "_corner", "_corner", 755),
    (LOGS, "_corner", "_corner", 755),
]
SOFTWARE = {
    "corner_does.py": "import time\n\ntime.sleep(10**6)\n",
    "corner_undoes.py": "import pathlib, sys\n\npathlib.Path(sys.argv[1]).write_text('undone\\n')\n",
}
DAEMONS = [
    {
        "Label": f"{PREFIX}{name}",
        "ProgramArguments": ["/usr/local/bin/python3", "-m", "corner_does", f"{ROOT}/weights/{name}"],
        "EnvironmentVariables": {"PYTHONPATH": f"{ROOT}/software", "PYTHONDONTWRITEBYTECODE": "1"},
        "StandardOutPath": f"{LOGS}/{name}.log",
        "StandardErrorPath": f"{LOGS}/{name}.log",
        "RunAtLoad": True,
        "ExitTimeOut": 1,
    }
    for name in ("agent", "links")
]
UNDO = {f"{PREFIX}links": ("corner_does", "corner_undoes")}
"""The daemons do nothing; what undoes that of one leaves a mark among the weights."""
