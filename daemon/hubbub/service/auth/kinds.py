"""What `--auth` may name: kinds of checkers, each a Twisted plugin whose module is imported when it is used."""

from __future__ import annotations

from hmac import compare_digest
from importlib import import_module
from textwrap import dedent
from typing import Any

from twisted.cred.credentials import ICredentials, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.strcred import ICheckerFactory
from twisted.internet.defer import Deferred, fail
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface, implementer

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Connect


class IToken(ICredentials):
    """A token, such as a JWT, that names its bearer."""

    token = Attribute("str, as the client sent it")


class IPeerCertificate(ICredentials):
    """A client certificate that the listener's `client-ca=` vouches for."""

    certificate = Attribute("a cryptography.x509.Certificate")


class IPublicKey(ICredentials):
    """A key whose owner has signed what the hub asked for, as a dialect has seen."""

    key = Attribute("bytes of the public key of Ed25519; empty: the signature was wrong")


class IAuthExchange(ICredentials):
    """A login of several steps, as MQTT's enhanced authentication and SASL have it: the checker asks the client.

    Its checker says in `methods` which it knows, and in `requestAvatarId` may ask as often as it has to.
    """

    method = Attribute("str: the method that the client has named")
    user = Attribute("str: the user that the client has named beside it, or empty")
    data = Attribute("bytes: what the client said at once")
    last = Attribute("bytes for the client, with the answer to its Connect; set them before the user is returned")

    def challenge(data: bytes) -> Deferred[bytes]:  # noqa: N805  an interface has no self
        """Ask the client. Return a Deferred of its answer, bytes; it fails where there is none in time."""


class IIdentity(Interface):
    """What a login is for, a hubbub.identity.Identity."""


INTERFACES = (IUsernamePassword, IToken, IPublicKey, IPeerCertificate, IAuthExchange)
"""The credentials that clients of hubbub can have."""


class NotApplicable(UnauthorizedLogin):
    """Credentials that a checker looked at and didn't accept; the text is a sentence for their owner."""


@implementer(IUsernamePassword)
class Password:
    """A user's name and password, as bytes, which is what Twisted's own checkers expect."""

    def __init__(self, user: str, password: str) -> None:
        self.username = user.encode(errors="surrogatepass")
        self.password = password.encode(errors="surrogatepass")

    def checkPassword(self, password: bytes | str) -> bool:
        """Compare with a password that a checker has in clear, in a time that tells nothing."""
        return compare_digest(self.password, password.encode() if isinstance(password, str) else password)


@implementer(IToken)
class Token:
    """A bearer's token."""

    def __init__(self, token: str) -> None:
        self.token = token


@implementer(IPublicKey)
class PublicKey:
    """A key that a client has proved to have."""

    def __init__(self, key: bytes) -> None:
        self.key = key


@implementer(IPeerCertificate)
class PeerCertificate:
    """What a TLS client has shown."""

    def __init__(self, certificate: Any) -> None:
        self.certificate = certificate


@implementer(IAuthExchange)
class AuthExchange:
    """What a client says of itself step by step."""

    def __init__(self, reactor: Any, event: Connect) -> None:
        self.method = event.auth_method or ""
        self.user = event.user or ""
        self.data = event.auth_data
        self.last = b""
        self._ask = event.challenge
        self._left = limits.LOGIN_STEPS
        self._reactor = reactor

    def challenge(self, data: bytes) -> Deferred[bytes]:
        """Ask the client, as often and with as much patience as limits say."""
        self._left -= 1
        if self._left < 0:
            return fail(NotApplicable(f"a login asks at most {limits.LOGIN_STEPS} times"))
        answered: Deferred[bytes] = Deferred()

        def then(answer: bytes | Refusal) -> None:
            if answered.called:  # it has come too late
                return
            if isinstance(answer, Refusal):
                answered.errback(answer)
            else:
                answered.callback(answer)

        answered.addTimeout(limits.LOGIN_STEP_SECONDS, self._reactor, _too_late)
        self._ask(data, then)
        return answered


def _too_late(failure: object, seconds: float) -> Deferred[bytes]:
    return fail(Refusal("timeout", "the client hasn't answered in time"))


@implementer(ICheckerFactory, IPlugin)
class Kind:
    """One kind of checker.

    module  of hubbub.service.auth, where `make(argument)` returns the checker
    """

    def __init__(self, name: str, module: str, argument: str, interface: type[Interface], help: str) -> None:
        self.authType = name
        self.argStringFormat = argument
        self.credentialInterfaces = (interface,)
        self.authHelp = dedent(help).strip()
        self._module = module

    def generateChecker(self, argstring: str) -> Any:
        """Make the checker. Raises ConfigError."""
        return import_module(self._module).make(argstring)
