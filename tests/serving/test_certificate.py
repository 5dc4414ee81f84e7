"""Certificates made here, good and bad, and what is said of them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import pytest

from serving import certificate, report
from serving.gateway import status
from serving.hidden import references
from tests.serving.certificates import NOW, Pair, pair
from tests.serving.declarations import declared
from tests.serving.listening import listening

GOOD = pair("llm.example.org", address="10.0.0.1")


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (GOOD, "llm.example.org"),
        (GOOD, "10.0.0.1"),
        (pair("*.example.org"), "llm.example.org"),
        (pair("LLM.example.org"), "llm.example.org"),
        ((GOOD[0] + pair("above")[0], GOOD[1]), "llm.example.org"),
    ],
)
def test_a_pair_that_clients_accept_is_accepted(made: Pair, name: str):
    assert certificate.faults(*made, name, NOW) == []


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (pair("llm.example.org", ends=0, begins=-9), "it expired on 2026-11-21"),
        (pair("llm.example.org", ends=1), "it expires on 2026-11-22"),
        (pair("llm.example.org", begins=1), "valid from 2026-11-22"),
        (pair("other.example.org"), "it is for other.example.org, and clients call 'llm.example.org'"),
        (pair("*.org"), "it is for *.org"),
        (pair("*.llm.example.org"), "it is for *.llm.example.org"),
        (pair(), "names no host"),
        ((GOOD[0], pair("llm.example.org")[1]), "not that of the first certificate"),
        ((pair("above")[0] + GOOD[0], GOOD[1]), "it is for above"),
        (pair("llm.example.org", password="x"), "needs a password"),
        ((b"nothing", GOOD[1]), "cannot read the certificate"),
        ((GOOD[0], b"nothing"), "cannot read the key"),
        ((GOOD[1], GOOD[0]), "cannot read the certificate"),
    ],
)
def test_a_pair_that_clients_would_refuse_is_refused_with_the_reason(made: Pair, words: str):
    assert words in "\n".join(certificate.faults(*made, "llm.example.org", NOW))


def test_all_that_is_wrong_is_told_at_once():
    assert len(certificate.faults(pair("x", ends=0)[0], GOOD[1], "llm.example.org", NOW)) == 3


def with_tls(directory: Path, made: Pair, **more: str) -> Any:
    paths = {"certificate": directory / "lab.pem", "key": directory / "lab.key"}
    for path, content in zip(paths.values(), made, strict=True):
        path.write_bytes(content)
    return declared(gateway__tls={name: str(path) for name, path in paths.items()} | more)


def test_a_declared_pair_is_refused_for_its_machine(tmp_path: Path):
    ((machine, text),) = certificate.refusals(with_tls(tmp_path, pair("x", today=datetime.now(UTC))))

    assert machine == "m1"
    assert text.startswith("gateway/tls: cannot use the certificate: it is for x, and clients call '10.0.0.1'")


def test_of_a_pair_that_is_not_there_nothing_is_said_beside_what_the_reader_of_secrets_says(tmp_path: Path):
    cluster = with_tls(tmp_path, GOOD)
    (tmp_path / "lab.key").unlink()

    assert certificate.refusals(cluster) == []
    assert references(cluster)["tls key"]["file"] == str(tmp_path / "lab.key")


def test_where_none_is_declared_nothing_is_asked_for():
    assert certificate.refusals(declared()) == []
    assert references(declared()) == {}


@pytest.mark.parametrize(
    ("more", "url"), [({}, "https://10.0.0.1:4000"), ({"host": "llm.example.org"}, "https://llm.example.org:4000")]
)
def test_clients_are_told_the_address_that_the_certificate_is_for(tmp_path: Path, more: dict[str, str], url: str):
    assert report.variables(with_tls(tmp_path, GOOD, **more), "k")["ANTHROPIC_BASE_URL"] == url


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Authorization"] == "Bearer sk-1" else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def speaking_tls(directory: Path, made: Pair) -> Iterator[int]:
    for name, content in zip(("shown.pem", "shown.key"), made, strict=True):
        (directory / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "shown.pem", directory / "shown.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with listening(server) as port:
        yield port


@contextmanager
def in_private(release: str) -> Iterator[str]:
    """The directory of a socket at which a gateway of this release answers; a socket's path may not be long."""
    with (
        TemporaryDirectory(prefix="d") as directory,
        ThreadingUnixStreamServer(f"{directory}/{release}.sock", _Answering) as server,
    ):
        Thread(target=server.serve_forever, daemon=True).start()
        yield directory
        server.shutdown()


def asked(directory: Path, port: int, given: Pair, capsys: pytest.CaptureFixture[str]) -> Any:
    (directory / "key").write_text("sk-1\n")
    (directory / "given.pem").write_bytes(given[0])
    told = {"key_file": str(directory / "key"), "address": "127.0.0.1", "port": port}
    told |= {"certificate_file": str(directory / "given.pem")}
    with in_private(directory.name) as private:
        (directory / "gateway.json").write_text(json.dumps(told | {"door_directory": private}))
        code = status.main([str(directory / "gateway.json")])
    return code, json.loads(capsys.readouterr().out)


def test_the_gateway_is_asked_over_tls_whoever_the_certificate_is_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with speaking_tls(tmp_path, GOOD) as port:
        code, told = asked(tmp_path, port, GOOD, capsys)

    assert (code, told["state"]) == (0, "ready")


def test_one_that_shows_another_certificate_is_not_shown_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with speaking_tls(tmp_path, pair("llm.example.org")) as port:
        code, told = asked(tmp_path, port, GOOD, capsys)

    assert (code, told["state"]) == (1, "broken")
    assert "another certificate" in told["reason"]
