"""Whether a certificate and its key will do for the gateway, told before anything is changed.

Read where the deploy is typed. What a client checks is checked here: that it is for the name clients use, that it is
valid today and for a while, and that the key is its own. Who signed it is between it and the clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from serving.cluster import Cluster

SOON: Final = timedelta(days=1)
"""What expires sooner is not worth a deploy."""
_SPKI: Final = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def host(cluster: Cluster) -> str:
    """The name or address that clients call the gateway by."""
    tls = cluster.gateway.tls
    return (tls.host if tls else None) or cluster.machine(cluster.gateway.machine).address


def refusals(cluster: Cluster) -> list[tuple[str, str]]:
    """Why the declared pair will not do, each with the gateway's machine; empty when it will, or none is declared.

    One that cannot be read is told by whoever reads secrets, and here nothing is said of it.
    """
    tls = cluster.gateway.tls
    if tls is None:
        return []
    try:
        pair = Path(tls.certificate).read_bytes(), Path(tls.key).read_bytes()
    except OSError:
        return []
    told = faults(*pair, host(cluster), datetime.now(UTC))
    return [(cluster.gateway.machine, f"gateway/tls: {text}") for text in told]


def faults(certificate: bytes, key: bytes, name: str, now: datetime) -> list[str]:
    """What is wrong with a pair in PEM, for clients that call by `name`."""
    try:
        first = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError as error:
        return [f"cannot read the certificate: {error}. Needed PEM, the gateway's own certificate first."]
    told = [*_out_of_date(first, now), *_other_name(first, name)]
    try:
        private = load_pem_private_key(key, None)
    except TypeError:
        return [*told, "cannot use the key: it needs a password, and a daemon has nobody to ask. Store it without one."]
    except ValueError as error:
        return [*told, f"cannot read the key: {str(error)[:200]}. Needed PEM."]
    if private.public_key().public_bytes(*_SPKI) != first.public_key().public_bytes(*_SPKI):
        told.append("cannot use the key: it is not that of the first certificate. Put the gateway's own first.")
    return told


def _out_of_date(certificate: x509.Certificate, now: datetime) -> list[str]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begins > now:
        return [f"cannot use the certificate: it is valid from {begins:%Y-%m-%d %H:%M} UTC only."]
    if ends <= now + SOON:
        tense = "expired" if ends <= now else "expires"
        return [f"cannot use the certificate: it {tense} on {ends:%Y-%m-%d %H:%M} UTC. Renew it."]
    return []


def _other_name(certificate: x509.Certificate, name: str) -> list[str]:
    try:
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ["cannot use the certificate: it names no host (subjectAltName), so that no client accepts it."]
    names, addresses = listed.get_values_for_type(x509.DNSName), listed.get_values_for_type(x509.IPAddress)
    if _covers(names, name) or name in map(str, addresses):
        return []
    shown = ", ".join([*names, *map(str, addresses)]) or "nothing"
    return [f"cannot use the certificate: it is for {shown}, and clients call '{name}'. Change gateway/tls/host."]


def _covers(names: Sequence[str], name: str) -> bool:
    """Whether one of them is the name, or has a star for its first part."""
    try:
        ip_address(name)
    except ValueError:
        parent = name.partition(".")[2]
        lower = [each.lower() for each in names]
        return name in lower or (bool(parent) and f"*.{parent}" in lower)
    return False
