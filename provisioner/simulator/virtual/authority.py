"""A throw-away certificate authority: the simulated cloud has a certificate that the shipped client verifies.

Rule 1: made anew for each run and kept nowhere but in the file that `ca_file` of the settings names.
Rule 2: it vouches for the names it is asked for and for nothing else.
"""

from __future__ import annotations

import datetime
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_LIFE = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Authority:
    """`certificate` is what clients trust, in PEM; `context` is a server's, with a certificate for its name."""

    certificate: bytes
    context: ssl.SSLContext

    def write(self, folder: Path) -> Path:
        """Write the certificate where a setting `cloud.ca_file` can name it."""
        file = folder / "simulated-cloud-ca.pem"
        file.write_bytes(self.certificate)
        return file


def authority_for(name: str, *, as_of: datetime.datetime | None = None) -> Authority:
    """Make an authority and a server's certificate for one host name, both good for two days around `as_of` (now)."""
    made = as_of or datetime.datetime.now(datetime.UTC)
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated cloud CA")])
    ca = _signed(ca_name, ca_name, ca_key, ca_key, [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (x509.KeyUsage(key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
                       key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                       decipher_only=False), True),
        (x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False),
    ], made=made)  # fmt: skip
    server = _signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ca_name, server_key, ca_key, [
        (x509.SubjectAlternativeName([x509.DNSName(name)]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False),
    ], made=made)  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # the ssl module reads files only
        file.write(server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.write(server.public_bytes(Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return Authority(ca.public_bytes(Encoding.PEM), context)


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    extensions: list[tuple[x509.ExtensionType, bool]],
    *,
    made: datetime.datetime,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(made - _LIFE)
        .not_valid_after(made + _LIFE)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(by, hashes.SHA256())
