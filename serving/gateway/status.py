"""Whether the gateway answers a client with the right key, asked from its own machine.

    python -m serving.gateway.status CONFIG.json [--wait SECONDS] [--private]

It must be a gateway of this very release, and one that clients reach. `--private` only wants to know whether it works;
it waits a moment for it to take clients beside the one before it, and goes without where that one doesn't share.
Prints one JSON line. Ends 0 when it answers, 1 when it doesn't, at once or, with --wait, when the time is over.
Standard library only: its start-up is part of every deploy.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path

POLL_SECONDS = 0.5
# LiteLLM accepts connections long before it can answer on them.
ANSWER_SECONDS = 15
OPEN = "/open"
"""As `serving.gateway.house` has it, which takes too long to import."""
OPEN_SECONDS = 20


def main(arguments: list[str]) -> int:
    """Look once, or until it answers or the time is over."""
    parser = argparse.ArgumentParser(prog="serving.gateway.status")
    parser.add_argument("configuration", type=Path)
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--private", action="store_true", help="whether it works, clients or not")
    options = parser.parse_args(arguments)
    configuration = json.loads(options.configuration.read_text())
    key = Path(configuration["key_file"]).read_text().strip()
    address, port = configuration["address"], configuration["port"]
    certificate = configuration.get("certificate_file")
    release = options.configuration.resolve().parent.name
    private = Path(configuration["door_directory"]) / f"{release}.sock"
    public = None if options.private else (address, port, certificate)

    deadline = time.monotonic() + options.wait
    while (problem := _problem(private, public, key)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)  # another process's readiness, with nothing to wait on
    if options.private and not problem:
        problem = _until_open(private)
        print(problem or "it takes clients", file=sys.stderr)
        problem = ""
    state = "broken" if problem else "ready"
    print(json.dumps({"state": state, "reason": problem, "release": options.configuration.parent.name}))
    return 1 if problem else 0


def _problem(private: Path, public: tuple[str, int, str | None] | None, key: str) -> str:
    """Why it does not answer; empty when it does."""
    problem = _asked("this gateway, asked in private,", lambda: Private(private), key)
    if problem or public is None:
        return problem
    address, port, certificate = public
    return _asked(f"the gateway at {address}:{port}", lambda: _connection(address, port, certificate), key)


def _until_open(private: Path) -> str:
    """Wait until it takes clients; why it does not, when the time is over."""
    deadline = time.monotonic() + OPEN_SECONDS
    while (problem := _asked("the door for clients", lambda: Private(private), "", OPEN)) and (
        time.monotonic() < deadline
    ):
        time.sleep(POLL_SECONDS / 5)
    return problem


def _asked(whom: str, connect: Callable[[], http.client.HTTPConnection], key: str, path: str = "/v1/models") -> str:
    try:
        connection = connect()
    except (OSError, ValueError) as error:
        return f"{whom} does not answer: {error}"
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{whom} does not answer: {error}"
    finally:
        connection.close()
    return "" if answer.status in (200, 204) else f"{whom} answers {answer.status}: {body}"


class Private(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("gateway", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect, as http.client does it when it has to."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ANSWER_SECONDS)
        self.sock.connect(str(self._path))


def _connection(address: str, port: int, certificate: str | None) -> http.client.HTTPConnection:
    """A connection to who has this certificate: it may be for a name that nobody knows here, so it is compared."""
    if certificate is None:
        return http.client.HTTPConnection(address, port, timeout=ANSWER_SECONDS)
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    first = Path(certificate).read_text().partition(begin)[2].partition(end)[0]
    expected = ssl.PEM_cert_to_DER_cert(f"{begin}{first}{end}")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, port, timeout=ANSWER_SECONDS, context=context)
    connection.connect()
    # The key is shown only after this.
    if connection.sock.getpeercert(binary_form=True) != expected:
        connection.close()
        raise OSError("it shows another certificate than the one it was given")
    return connection


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
