"""How a connector reaches the other side: one attempt each, by Deferred; names are resolved each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IResolutionReceiver
from twisted.internet.ssl import (
    Certificate,
    KeyPair,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from zope.interface import implementer

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import shown
from hubbub.service.config.remote import Remote
from hubbub.transports.dial import DialledDatagrams
from hubbub.transports.udp_socket import dial_datagram


class Attempt(Protocol):
    """What makes the wire of one attempt, a DialFactory or DialledWebSocketFactory."""

    def buildProtocol(self, addr: Any) -> Any: ...
    def abort(self) -> None: ...


def dial_stream(
    reactor: Any, remote: Remote, make_attempt: Callable[[Any], Attempt], handshake_first: bool
) -> tuple[Attempt, Deferred[Any]]:
    """Dial a stream. The Deferred fails if nothing answers; later the protocol reports its loss. Raises ConfigError.

    make_attempt     gets the options of the TLS that begins after the server's greeting, or None
    handshake_first  whether TLS begins before the server's greeting
    """
    values = remote.values
    tls_later = remote.kind == "tls" and not handshake_first
    factory = make_attempt(tls_options(remote) if tls_later else None)
    if remote.kind == "unix":
        endpoint: Any = UNIXClientEndpoint(reactor, values["address"], limits.CONNECT_SECONDS)
    else:
        own = (values["bindAddress"], 0) if "bindAddress" in values else None
        endpoint = HostnameEndpoint(reactor, remote.host, remote.port, limits.CONNECT_SECONDS, own)
    if remote.secure and not tls_later:
        endpoint = wrapClientTLS(tls_options(remote), endpoint)
    return factory, endpoint.connect(factory)


def open_datagrams(reactor: Any, remote: Remote, address: str, rcvbuf: int, protocol: DialledDatagrams) -> None:
    """Open the UDP link to `address`, which `remote` names. Raises OSError."""
    dial_datagram(reactor, address, remote.port, remote.values.get("bindAddress"), rcvbuf, protocol)


def resolve(reactor: Any, host: str) -> Deferred[list[str]]:
    """Return the addresses of a name, which is nowhere kept. Fails with DNSLookupError."""
    done: Deferred[list[str]] = Deferred()
    found: list[str] = []

    @implementer(IResolutionReceiver)
    class Receiver:
        def resolutionBegan(self, resolution: Any) -> None:
            pass

        def addressResolved(self, address: Any) -> None:
            found.append(address.host)

        def resolutionComplete(self) -> None:
            if found:
                done.callback(found)
            else:
                done.errback(error.DNSLookupError(host))

    reactor.nameResolver.resolveHostName(Receiver(), host, transportSemantics="UDP")
    return done


def check_files(remote: Remote) -> None:
    """Look at the certificates that TLS will need. Raises ConfigError."""
    if remote.secure:
        tls_options(remote)


def tls_options(remote: Remote) -> Any:
    """Read the files of `remote`, which may have been renewed. Raises ConfigError."""
    values = remote.values
    try:
        return optionsForClientTLS(remote.host, _roots(values.get("trustRoots")), _own_certificate(values))
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from None
    except (SSL.Error, ValueError) as error:
        raise ConfigError(f"its certificate or key can't be used: {_words(error)}") from None


def _roots(path: str | None) -> Any:
    """Trust the certificates of a PEM file, or of all in a folder; None: those that the system trusts."""
    if path is None:
        return None
    place = Path(path)
    files = sorted(place.glob("*.pem")) + sorted(place.glob("*.crt")) if place.is_dir() else [place]
    found = [Certificate.loadPEM(block) for file in files for block in _blocks(file.read_bytes())]
    if not found:
        raise ConfigError(f"there is no certificate in {path}")
    return trustRootFromCertificates(found)


def _blocks(pem: bytes) -> Iterator[bytes]:
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    for part in pem.split(begin)[1:]:
        yield begin + part.partition(end)[0] + end + b"\n"


def _own_certificate(values: Any) -> PrivateCertificate | None:
    if "certificate" not in values:
        return None
    certificate = Path(values["certificate"]).read_bytes()
    key = Path(values["privateKey"]).read_bytes() if "privateKey" in values else certificate
    found: PrivateCertificate = PrivateCertificate.fromCertificateAndKeyPair(
        Certificate.loadPEM(certificate), KeyPair.load(key, 1)
    )
    return found


_REASONS: Sequence[tuple[type[Exception], Callable[[Any, Remote], str]]] = (
    (error.DNSLookupError, lambda problem, remote: f"no address is known of {remote.host}"),
    (error.ConnectionRefusedError, lambda problem, remote: "connection refused"),
    (error.TimeoutError, lambda problem, remote: f"no answer within {limits.CONNECT_SECONDS:g} s"),
    (error.ConnectionDone, lambda problem, remote: "it has closed the connection"),
    (error.ConnectionAborted, lambda problem, remote: "the connection was cut here"),
    (error.ConnectionLost, lambda problem, remote: "the connection was lost"),
    (VerificationError, lambda problem, remote: f"TLS: its certificate isn't for {remote.host}"),
    (SSL.Error, lambda problem, remote: f"TLS: {_words(problem)}"),
)


def why(problem: BaseException | str, remote: Remote) -> str:
    """Say in a few words why there is no connection; what the other side had its part in is cut short."""
    for kind, says in _REASONS:
        if isinstance(problem, kind):
            return shown(says(problem, remote))
    if isinstance(problem, error.ConnectError) and problem.args[0]:
        problem = problem.args[0]
    text = str(getattr(problem, "strerror", None) or problem) or type(problem).__name__
    return shown(" ".join(text.split()).rstrip("."))


def _words(problem: BaseException) -> str:
    """OpenSSL's reasons are lists of (library, function, reason)."""
    reasons = problem.args[0] if problem.args and isinstance(problem.args[0], list) else []
    return ", ".join(str(one[-1]) for one in reasons) or str(problem) or type(problem).__name__
