"""Certificates for tests: an authority, and what it has signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
_SIGNS = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


class Authority:
    """Signs certificates. `file` holds its own.

    identified  whether certificates have key identifiers (RFC 5280 sections 4.2.1.1 and 4.2.1.2)
    issuer      the authority that has signed its own, None: itself
    """

    def __init__(
        self, folder: Path, name: str = "Test authority", identified: bool = True, issuer: Authority | None = None
    ) -> None:
        self.folder = folder
        self.identified = identified
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name
        self.certificate = (issuer or self)._build(name, self.key, (issuer or self).name, 10 * DAY, authority=True)
        self.file = folder / f"{name.replace(' ', '-')}.crt"
        self.file.write_bytes(_pem(self.certificate))

    def issue(self, file: str, common: str, names: tuple[str, ...] = (), days: float = 90) -> Path:
        """Write key and certificate into one file, and return its path."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._build(common, key, self.name, days * DAY, names)
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".fresh")
        fresh.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + _pem(certificate)
        )
        fresh.replace(path)
        return path

    def _build(self, subject, key, issuer, life, names=(), authority=False):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(_name(issuer), _name(subject), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if self.identified:
            mine, its = key.public_key(), self.key.public_key()
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(mine), critical=False)
            builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(its), critical=False)
        if authority:
            builder = builder.add_extension(_SIGNS, critical=True)
        if names:
            alternatives = [_alternative(one) for one in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name):
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)
