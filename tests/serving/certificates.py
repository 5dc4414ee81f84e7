"""Certificates, signed by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 11, 21, tzinfo=UTC)
Pair = tuple[bytes, bytes]


def pair(
    *names: str,
    address: str | None = None,
    begins: int = -1,
    ends: int = 90,
    password: str | None = None,
    today: datetime = NOW,
) -> Pair:
    """A certificate for these names, valid for so many days from today, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    listed: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    listed += [x509.IPAddress(ip_address(address))] if address else []
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1)
    builder = builder.not_valid_before(today + timedelta(begins)).not_valid_after(today + timedelta(ends))
    if listed:
        builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=False)
    locked = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return (
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked),
    )
