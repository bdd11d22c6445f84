"""What `--auth` may name: kinds of checkers, each a Twisted plugin whose module is imported when it is used."""

from __future__ import annotations

from hmac import compare_digest
from importlib import import_module
from textwrap import dedent
from typing import Any

from twisted.cred.credentials import ICredentials, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.strcred import ICheckerFactory
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface, implementer


class IToken(ICredentials):
    """A token, such as a JWT, that says by itself who its bearer is."""

    token = Attribute("str, as the client sent it")


class IPeerCertificate(ICredentials):
    """A client certificate that the listener's `client-ca=` vouches for."""

    certificate = Attribute("a cryptography.x509.Certificate")


class IIdentity(Interface):
    """What a login is for, a hubbub.identity.Identity."""


INTERFACES = (IUsernamePassword, IToken, IPeerCertificate)
"""The credentials that clients of hubbub can have."""


class NotThis(UnauthorizedLogin):
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


@implementer(IPeerCertificate)
class PeerCertificate:
    """What a TLS client has shown."""

    def __init__(self, certificate: Any) -> None:
        self.certificate = certificate


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
