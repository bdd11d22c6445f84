"""TLS of listeners, `ssl:` and `tls:`: certificates from files, chosen by the name that a client asks for.

TLS 1.2 and 1.3, forward secrecy and authenticated ciphers alone, no compression, no renegotiation, no resumption.
The files are looked at again at most every limits.CERTIFICATE_SECONDS, and at each reload: new connections get the new
certificate, live ones keep what they have. What can't be used leaves what was, and is logged.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from OpenSSL.crypto import (
    FILETYPE_ASN1,
    X509,
    X509Store,
    X509StoreContext,
    X509StoreContextError,
    dump_certificate,
    load_certificate,
)
from OpenSSL.crypto import Error as CryptoError
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.config.watched_file import read_bounded, stamp

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_CIPHER_SERVER_PREFERENCE
_OPTIONS |= SSL.OP_NO_RENEGOTIATION
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """What a listener says of TLS.

    files      with keys and certificates, or one folder of them (*.pem)
    client_ca  the file with the authorities that clients' certificates have to be from; None: clients need none
    """

    files: tuple[Path, ...]
    client_ca: Path | None = None

    @classmethod
    def of(cls, values: Mapping[str, str], client_ca: Path | None) -> Spec:
        """Read the parts of an endpoint, `ssl` or `tls`."""
        if "path" in values:
            return cls((Path(values["path"]),), client_ca)
        key = values.get("privateKey", "server.pem")
        named = (key, values.get("certKey", key), values.get("extraCertChain", key))
        return cls(tuple(Path(name) for name in dict.fromkeys(named)), client_ca)

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


class _GreetingProtocol(TLSMemoryBIOProtocol):
    """TLS behind a greeting in the clear, if there is one."""

    factory: _Greeting

    def makeConnection(self, transport: Any) -> None:
        greeting = self.factory.greeting(str(getattr(transport.getPeer(), "host", "")))
        if greeting:
            transport.write(greeting)
        super().makeConnection(transport)


class _Greeting(TLSMemoryBIOFactory):
    """Makes these."""

    protocol = _GreetingProtocol

    def __init__(self, certificates: Certificates, factory: IProtocolFactory, greeting: Callable[[str], bytes]) -> None:
        super().__init__(certificates, False, factory)
        self.greeting = greeting


class ConnectionVoucher:
    """The certificate that the client of one connection has shown (kernel.sessions.session.Voucher)."""

    __slots__ = ("_chain", "_leaf", "_own")

    def __init__(self, own: Certificates, leaf: X509 | None, chain: Sequence[X509]) -> None:
        self._own = own
        self._leaf = leaf
        self._chain = chain

    def __call__(self) -> bool:
        return self._own.vouch(self._leaf, self._chain)

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """The certificate and those that came with it, DER."""
        there = [one for one in (self._leaf, *self._chain) if one is not None]
        return tuple([dump_certificate(FILETYPE_ASN1, one) for one in there])


@implementer(IOpenSSLServerConnectionCreator)
class Certificates:
    """Makes the daemon's end of each TLS connection of one listener. Raises ConfigError where the files won't do.

    warnings  sentences on certificates that end soon, or have ended
    """

    log = Logger(namespace="hubbub.tls")

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.warnings: list[str] = []
        self._looked = time.monotonic()
        self._state: object = None
        self._default: SSL.Context
        self._contexts: dict[str, SSL.Context]
        self._authorities: list[x509.Certificate] | None
        self._load()

    def wrap(self, factory: IProtocolFactory, greeting: Callable[[str], bytes]) -> IProtocolFactory:
        """Put TLS before the protocols of `factory`; `greeting` is sent before that to a host, in the clear."""
        wrapped: IProtocolFactory = _Greeting(self, factory, greeting)
        return wrapped

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Make one end; the first certificate stands in until the client has said which name it wants."""
        if time.monotonic() - self._looked > limits.CERTIFICATE_SECONDS:
            self.look()
        return SSL.Connection(self._default, None)

    def voucher(self, transport: Any) -> ConnectionVoucher:
        """Return what tells whether the authorities of now vouch for the client of a connection that is set up."""
        handle: SSL.Connection = transport.getHandle()
        leaf = handle.get_peer_certificate(as_cryptography=False)
        return ConnectionVoucher(self, leaf, handle.get_peer_cert_chain(as_cryptography=False) or [])

    def vouches(self, certificates: Sequence[bytes]) -> bool:
        """Return whether the authorities of now vouch for a certificate, the first of these, DER."""
        try:
            leaf, *chain = [load_certificate(FILETYPE_ASN1, one) for one in certificates]
        except (CryptoError, ValueError):
            return False
        return self.vouch(leaf, chain)

    def vouch(self, leaf: X509 | None, chain: Sequence[X509]) -> bool:
        """Return the same of certificates that have been read."""
        if leaf is None or self._authorities is None:
            return False
        store = X509Store()
        for one in self._authorities:
            store.add_cert(X509.from_cryptography(one))
        try:
            X509StoreContext(store, leaf, chain).verify_certificate()
        except X509StoreContextError:
            return False
        return True

    def adopt(self, new: Certificates) -> None:
        """Become what `new` is."""
        self.spec, self.warnings, self._state = new.spec, new.warnings, new._state
        self._default, self._contexts, self._authorities = new._default, new._contexts, new._authorities

    def look(self) -> None:
        """Read the files again if they have changed."""
        self._looked = time.monotonic()
        try:
            if _state_of(self.spec) == self._state:
                return
            self._load()
        except ConfigError as error:
            self.log.error("{error}; new connections get the certificate that was there before", error=error)
            return
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
        contexts: dict[str, SSL.Context] = {}
        default: SSL.Context | None = None
        warnings: list[str] = []
        for path, key, chain in _pairs(found, self.spec):
            context = _context(path, key, chain, authorities, self._choose)
            default = default or context
            warnings += _warnings(path, chain[0])
            for name in _names(chain[0]):
                contexts.setdefault(name, context)
        assert default is not None
        self._default, self._contexts, self.warnings = default, contexts, warnings
        self._authorities = authorities

    def _choose(self, connection: SSL.Connection) -> None:
        """Take the certificate that fits the name (RFC 6066 section 3); without one the first stays."""
        name = (connection.get_servername() or b"").decode("ascii", "replace").lower()
        found = self._contexts.get(name) or self._contexts.get("*." + name.partition(".")[2])
        if found is not None:
            connection.set_context(found)


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
    path: Path, key: PrivateKeyTypes, chain: Iterable[x509.Certificate], authorities: Any, choose: Any
) -> SSL.Context:
    """Make what connections with one certificate share. Raises ConfigError."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    context.set_cipher_list(_CIPHERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"hubbub")
    leaf, *rest = chain
    try:
        context.use_certificate(leaf)
        context.use_privatekey(key)  # type: ignore[arg-type]  # its hints name fewer kinds
        for one in rest:
            context.add_extra_chain_cert(one)
        context.check_privatekey()
    except (SSL.Error, TypeError) as error:
        raise ConfigError(f"{path}: it can't be used for TLS: {' '.join(str(error).split())}") from None
    if authorities is not None:
        store = context.get_cert_store()
        assert store is not None
        for one in authorities:
            store.add_cert(X509.from_cryptography(one))
        context.set_client_ca_list([X509.from_cryptography(one).get_subject() for one in authorities])
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    context.set_tlsext_servername_callback(choose)
    return context
