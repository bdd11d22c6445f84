"""The checker `certificate`: clients with a certificate that the listener's `client-ca=` has signed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from twisted.cred.checkers import ICredentialsChecker
from zope.interface import implementer

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.identity import Identity
from hubbub.service.auth.kinds import IPeerCertificate, NotApplicable, PeerCertificate

_FIELDS = ("cn", "san")
_MARK = "certificate"


@implementer(ICredentialsChecker)
class CertificateChecker:
    """Names the user of a certificate.

    field  `cn`: the common name of its subject; `san`: its first alternative name (DNS, mail, URI)
    """

    credentialInterfaces = (IPeerCertificate,)

    def __init__(self, field: str) -> None:
        self._field = field

    def requestAvatarId(self, credentials: PeerCertificate) -> Any:
        """Return the Identity. Raises NotApplicable."""
        try:
            names = _common_names if self._field == "cn" else _alternative_names
            name = next(names(credentials.certificate), "")
        except ValueError:  # an extension that can't be read
            name = ""
        if not 0 < len(name) <= limits.NAME_CHARACTERS or not name.isprintable():
            raise NotApplicable(f"the certificate has no {self._field} that names a user")
        return Identity(name, expires=credentials.certificate.not_valid_after_utc.timestamp(), mark=_MARK)

    def recognises(self, user: str, mark: str) -> bool:
        """Tell whether a login of an earlier process was by a certificate; its authority isn't known any more."""
        return mark == _MARK


def _common_names(certificate: x509.Certificate) -> Iterator[str]:
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield str(attribute.value)


def _alternative_names(certificate: x509.Certificate) -> Iterator[str]:
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            for kind in (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier):
                yield from extension.value.get_values_for_type(kind)


def make(argument: str) -> CertificateChecker:
    """Make the checker of `certificate` or `certificate:san`. Raises ConfigError."""
    if argument not in ("", *_FIELDS):
        raise ConfigError("expected certificate, certificate:cn or certificate:san")
    return CertificateChecker(argument or "cn")
