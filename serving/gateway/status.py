"""Whether the gateway answers a client with the right key, asked from its own machine.

    python -m serving.gateway.status CONFIG.json [--wait SECONDS]

Prints one JSON line. Ends 0 when it answers, 1 when it doesn't, at once or, with --wait, when the time is over.
Standard library only: its start-up is part of every deploy.
"""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import sys
import time
from pathlib import Path

POLL_SECONDS = 0.5
# LiteLLM accepts connections long before it can answer on them.
ANSWER_SECONDS = 15


def main(arguments: list[str]) -> int:
    """Look once, or until it answers or the time is over."""
    parser = argparse.ArgumentParser(prog="serving.gateway.status")
    parser.add_argument("configuration", type=Path)
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS")
    options = parser.parse_args(arguments)
    configuration = json.loads(options.configuration.read_text())
    key = Path(configuration["key_file"]).read_text().strip()
    address, port = configuration["address"], configuration["port"]
    certificate = configuration.get("certificate_file")

    deadline = time.monotonic() + options.wait
    while (problem := _problem(address, port, key, certificate)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)  # another process's readiness, with nothing to wait on
    state = "broken" if problem else "ready"
    print(json.dumps({"state": state, "reason": problem, "release": options.configuration.parent.name}))
    return 1 if problem else 0


def _problem(address: str, port: int, key: str, certificate: str | None) -> str:
    """Why it does not answer; empty when it does."""
    try:
        connection = _connection(address, port, certificate)
    except (OSError, ValueError) as error:
        return f"the gateway at {address}:{port} does not answer: {error}"
    try:
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"the gateway at {address}:{port} does not answer: {error}"
    finally:
        connection.close()
    return "" if answer.status == 200 else f"the gateway at {address}:{port} answers {answer.status}: {body}"


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
