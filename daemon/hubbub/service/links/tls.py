"""TLS of listeners, `ssl:` and `tls:`: certificates from files, chosen by the name that a client asks for.

TLS 1.2 and 1.3, forward secrecy and authenticated ciphers alone, no compression, no renegotiation. Sessions are resumed
by tickets (RFC 5077, RFC 8446 section 4.6.1), but for listeners that want certificates of their clients.
The files are looked at again at most every limits.CERTIFICATE_SECONDS, and at each reload: new connections get the new
certificate, live ones keep what they have. What can't be used leaves what was, and is logged.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509, X509Store, X509StoreContext, X509StoreContextError
from twisted.logger import Logger

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.config.watched_file import read_bounded, stamp

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """What a listener says of TLS.

    files      with keys and certificates, or one folder of them (*.pem)
    client_ca  the file with the authorities that clients' certificates have to be from; None: clients need none
    protocols  those that it knows by ALPN, the best first
    strict_sni whether a client is refused that asks for a name which no certificate has
    """

    files: tuple[Path, ...]
    client_ca: Path | None = None
    protocols: tuple[str, ...] = ()
    strict_sni: bool = False

    @classmethod
    def of(cls, values: Mapping[str, str], client_ca: Path | None, protocols: Iterable[str] = ()) -> Spec:
        """Read the parts of an endpoint, `ssl` or `tls`."""
        if "path" in values:
            return cls((Path(values["path"]),), client_ca, tuple(protocols))
        key = values.get("privateKey", "server.pem")
        named = (key, values.get("certKey", key), values.get("extraCertChain", key))
        return cls(tuple(Path(name) for name in dict.fromkeys(named)), client_ca, tuple(protocols))

    def paths(self) -> list[Path]:
        """All files, those of a folder in the order of their names. Raises ConfigError."""
        if not self.files[0].is_dir():
            return list(self.files)
        found = sorted(path for path in self.files[0].rglob("*.pem") if path.is_file())
        if len(found) > limits.CERTIFICATE_FILES:
            raise ConfigError(f"{self.files[0]} has more than {limits.CERTIFICATE_FILES} files")
        return found


@dataclass
class _Found:
    """What is in the files: keys and certificates, each with where it is from."""

    keys: list[tuple[Path, PrivateKeyTypes]] = field(default_factory=list)
    certificates: list[tuple[Path, x509.Certificate]] = field(default_factory=list)


class ConnectionVoucher:
    """The certificate that the client of one connection has shown, and those that came with it, DER.

    It is a kernel.sessions.session.Voucher.
    """

    __slots__ = ("_own", "certificates")

    def __init__(self, own: Certificates, certificates: Sequence[bytes]) -> None:
        self._own = own
        self.certificates = tuple(certificates)

    def __call__(self) -> bool:
        return self._own.vouch(self.certificates)


class Certificates:
    """Makes the daemon's end of each TLS connection of one listener. Raises ConfigError where the files won't do.

    warnings  sentences on certificates that end soon, or have ended
    """

    log = Logger(namespace="hubbub.tls")

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.warnings: list[str] = []
        self._looked = self._made = time.monotonic()
        self._state: object = None
        self._default: ssl.SSLContext
        self._contexts: dict[str, ssl.SSLContext]
        self._authorities: list[x509.Certificate] | None
        self._load()

    @property
    def protocols(self) -> Sequence[str]:
        """Return the protocols that the listener knows by ALPN."""
        return self.spec.protocols

    def begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Make one end; the first certificate stands in until the client has said which name it wants."""
        if time.monotonic() - self._looked > limits.CERTIFICATE_SECONDS:
            self.look()
        return self._default.wrap_bio(incoming, outgoing, server_side=True)

    def vouch(self, chain: Sequence[bytes]) -> bool:
        """Tell whether the authorities of now vouch for the first of these certificates, DER; others may be between."""
        if self._authorities is None or not chain:
            return False
        try:
            leaf, *between = [X509.from_cryptography(x509.load_der_x509_certificate(one)) for one in chain]
        except ValueError:
            return False
        store = X509Store()
        for one in self._authorities:
            store.add_cert(X509.from_cryptography(one))
        try:
            X509StoreContext(store, leaf, between).verify_certificate()
        except X509StoreContextError:
            return False
        return True

    def adopt(self, new: Certificates) -> None:
        """Become what `new` is."""
        self.spec, self.warnings, self._state = new.spec, new.warnings, new._state
        self._default, self._contexts, self._authorities = new._default, new._contexts, new._authorities
        self._made = new._made

    def look(self) -> None:
        """Read the files again if they have changed, or if it is time for new keys of session tickets."""
        self._looked = now = time.monotonic()
        try:
            same = _state_of(self.spec) == self._state
            if same and now - self._made < limits.TICKET_KEY_SECONDS:
                return
            self._made = now
            self._load()
        except ConfigError as error:
            self.log.error("{error}; new connections get the certificate that was there before", error=error)
            return
        if not same:
            self.log.info("certificates of {where} have been read again", where=str(self.spec.files[0]))
            self.tell()

    def tell(self) -> None:
        """Log the warnings."""
        for warning in self.warnings:
            self.log.warn("{warning}", warning=warning)  # noqa: G010  Twisted's logger

    def _load(self) -> None:
        """Read all files. Raises ConfigError, and leaves what was but for the state, so that it is logged once."""
        self._state = _state_of(self.spec)
        found = _read(self.spec)
        authorities = _authorities(self.spec.client_ca)
        contexts: dict[str, ssl.SSLContext] = {}
        default: ssl.SSLContext | None = None
        warnings: list[str] = []
        for path, key, chain in _pairs(found, self.spec):
            context = _context(path, key, chain, authorities)
            context.set_alpn_protocols(self.spec.protocols)
            default = default or context
            warnings += _warnings(path, chain[0])
            for name in _names(chain[0]):
                contexts.setdefault(name, context)
        assert default is not None
        if len(contexts) > 1 or self.spec.strict_sni:
            default.sni_callback = self._choose
        self._default, self._contexts, self.warnings = default, contexts, warnings
        self._authorities = authorities

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        """Take the certificate that fits the name; else the first stays, or an alert ends the handshake.

        RFC 6066 section 3. Clients that dial an address send no name.
        """
        name = (name or "").lower()
        found = self._contexts.get(name) or self._contexts.get("*." + name.partition(".")[2])
        if found is not None:
            connection.context = found
        elif name and self.spec.strict_sni:
            return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        return None


def _state_of(spec: Spec) -> object:
    """What changes when the files do. Raises ConfigError."""
    return [(path, stamp(path)) for path in [*spec.paths(), *([spec.client_ca] if spec.client_ca else [])]]


def _read(spec: Spec) -> _Found:
    found = _Found()
    for path in spec.paths():
        for label, block in ((one[1], one[0]) for one in _BLOCK.finditer(read_bounded(path, limits.KEY_FILE_BYTES))):
            try:
                if label == b"CERTIFICATE":
                    found.certificates.append((path, x509.load_pem_x509_certificate(block)))
                elif label.endswith(b"PRIVATE KEY"):
                    found.keys.append((path, serialization.load_pem_private_key(block, None)))
            except TypeError:
                raise ConfigError(f"{path}: the key needs a passphrase, which hubbub can't ask for") from None
            except ValueError:
                raise ConfigError(f"{path}: a {label.decode().lower()} in it can't be read") from None
    return found


def _pairs(found: _Found, spec: Spec) -> Iterator[tuple[Path, PrivateKeyTypes, list[x509.Certificate]]]:
    """Yield each certificate that has its key, with the key, and those that vouch for it. Raises ConfigError."""
    where = " ".join(str(path) for path in spec.files)
    if not found.certificates:
        raise ConfigError(f"there is no certificate in {where}")
    if not found.keys:
        raise ConfigError(f"there is no private key in {where}")
    keys = {_public(key.public_key()): key for _, key in found.keys}
    by_subject = {one.subject: one for _, one in found.certificates}
    some = False
    for path, certificate in found.certificates:
        key = keys.get(_public(certificate.public_key()))
        if key is not None:
            some = True
            yield path, key, _chain(certificate, by_subject)
    if not some:
        raise ConfigError(f"the private key and the certificate in {where} don't belong together")


def _chain(leaf: x509.Certificate, by_subject: Mapping[x509.Name, x509.Certificate]) -> list[x509.Certificate]:
    chain = [leaf]
    while (issuer := by_subject.get(chain[-1].issuer)) is not None and issuer not in chain:
        chain.append(issuer)
    return chain


def _public(key: Any) -> bytes:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    found: bytes = key.public_bytes(serialization.Encoding.DER, spki)
    return found


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    except (x509.ExtensionNotFound, ValueError):
        return [str(one.value).lower() for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _warnings(path: Path, certificate: x509.Certificate) -> Iterator[str]:
    now, end = datetime.now(UTC), certificate.not_valid_after_utc
    if now >= end:
        yield f"the certificate in {path} has expired on {end:%Y-%m-%d}: clients will refuse it"
    elif now >= end - timedelta(days=limits.CERTIFICATE_DAYS):
        yield f"the certificate in {path} expires on {end:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        yield f"the certificate in {path} isn't valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"


def _authorities(path: Path | None) -> list[x509.Certificate] | None:
    if path is None:
        return None
    try:
        found = x509.load_pem_x509_certificates(read_bounded(path, limits.KEY_FILE_BYTES))
    except ValueError:
        found = []
    if not found:
        raise ConfigError(f"client-ca={path}: there is no certificate in it")
    return found


def _context(
    path: Path, key: PrivateKeyTypes, chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate] | None
) -> ssl.SSLContext:
    """Make what connections with one certificate share; session tickets have a key of its own. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.num_tickets = 1
    try:
        _load_chain(context, key, chain)
    except ssl.SSLError as error:
        raise ConfigError(f"{path}: it can't be used for TLS: {' '.join(str(error).split())}") from None
    if authorities is not None:  # no ticket says who a client is; a session of TLS 1.2 is vouched for again
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.load_verify_locations(cadata="".join(_pem(one).decode() for one in authorities))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load_chain(context: ssl.SSLContext, key: PrivateKeyTypes, chain: Sequence[x509.Certificate]) -> None:
    """Give the context its certificate, by a file in memory: `ssl` reads from files alone. Raises SSLError."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.memfd_create("certificate")
    file = Path(f"/proc/self/fd/{descriptor}")
    try:
        file.write_bytes(private + b"".join(map(_pem, chain)))
        context.load_cert_chain(file)
    finally:
        os.close(descriptor)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
