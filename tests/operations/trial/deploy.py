"""Every operation that needs no package, in a corner of one Mac. `--data ignores_sigterm=true` changes the job."""

import hashlib
import json
from pathlib import Path

from pyinfra import host
from pyinfra.api import HiddenValue

from operations import accounts, files, launchd, releases, secrets, weights

ROOT, LABEL = "/opt/trial", "dev.trial.job"
source = Path(host.data.source)
contents = {path.name: path.read_bytes() for path in source.iterdir()}
manifest = {n: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for n, data in contents.items()}
handler = "SIG_IGN" if host.data.get("ignores_sigterm") else "SIG_DFL"
links, texts = {"tmp": "/private/tmp"}, {"job.json": json.dumps({"handler": handler}) + "\n"}
release = f"job-{hashlib.sha256(texts['job.json'].encode()).hexdigest()[:8]}"
job = f"import signal, time; signal.signal(signal.SIGTERM, signal.{handler}); time.sleep(10**6)"

accounts.service_account("_trial", name="Create an account", uid=399, home="/var/empty", real_name="A trial")
files.directories(
    [
        (ROOT, "root", "wheel", 755),
        (f"{ROOT}/releases", "root", "wheel", 755),
        (f"{ROOT}/secrets", "_trial", "_trial", 700),
    ],
    name="Make directories",
)
secrets.secrets({f"{ROOT}/secrets/token": HiddenValue("x")}, name="Write a token", owner="_trial", group="_trial")
weights.snapshot(f"{ROOT}/weights", name="Send weights", source=source, manifest=manifest)
releases.release(f"{ROOT}/releases/{release}", name="Lay a release", links=links, files=texts)
launchd.daemon(
    LABEL,
    name="Load a job",
    plist={
        "Label": LABEL,
        "ProgramArguments": ["/usr/local/bin/python3", "-c", job],
        "UserName": "_trial",
        "RunAtLoad": True,
        "ExitTimeOut": 1,
    },
)
launchd.daemon(
    "dev.trial.idle",
    name="Keep a job unloaded",
    plist={"Label": "dev.trial.idle", "ProgramArguments": ["/bin/sleep", "1000"]},
    loaded=False,
)
releases.collected(f"{ROOT}/releases", name="Remove old releases", keep={release})
