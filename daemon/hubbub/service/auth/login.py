"""Authenticates clients by the checkers of `--auth`, for all listeners, transports and dialects."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from cryptography.x509 import load_der_x509_certificate
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import LoginFailed, UnhandledCredentials
from twisted.cred.portal import IRealm, Portal
from twisted.cred.strcred import InvalidAuthType, findCheckerFactory
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from hubbub import limits
from hubbub.errors import BadMethod, ConfigError, Refusal
from hubbub.events import Connect
from hubbub.identity import Identity
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.ingress.sources import source_of
from hubbub.kernel.sessions.session import Session
from hubbub.option import shown
from hubbub.service.auth.kinds import (
    INTERFACES,
    AuthExchange,
    IIdentity,
    IPeerCertificate,
    NotApplicable,
    Password,
    PeerCertificate,
    PublicKey,
    Token,
)
from hubbub.service.auth.workers import Workers
from hubbub.service.config.reloadable import Commit
from hubbub.service.config.settings import Settings
from hubbub.transports.http.issued import Passes
from hubbub.transports.signed import Signatures

_LONGEST = limits.PASSWORD_BYTES + 4 * limits.NAME_CHARACTERS
_TOO_MANY = Refusal("rate-limited", "too many logins from your address have failed; wait a minute")
_TOO_MANY.limit = "failed-logins"
_ENDED = "this session or ticket has ended: log in anew"
STALE = Refusal("not-authorized", "this login isn't good any more")

Specs = Sequence[tuple[str, str]]
"""Pairs of where an `--auth` stands, for messages, and what it says."""


class Attempts(Protocol):
    """Bounds failed logins, by the address of the client."""

    def allowed(self, host: str) -> bool: ...
    def failed(self, host: str) -> None: ...


class Logins:
    """Checks logins. Raises ConfigError for a spec that names no checker, or one that can't be made.

    attempts    counts those that fail
    signatures  opens signed datagrams, on all ports
    passes      sessions and tickets of browsers, on all ports
    """

    log = Logger(namespace="hubbub.auth")

    def __init__(self, reactor: Any, specs: Specs, attempts: Attempts) -> None:
        self._attempts = attempts
        self._waiting: Counter[str] = Counter()  # by source
        self._refused = 0
        self._reactor = reactor
        self._workers = Workers(reactor)
        self._specs = tuple(specs)
        self._checkers = [make_checker(source, spec) for source, spec in specs]
        self._portal = self._make_portal()
        self.signatures = Signatures(self.datagram_key, time.time)
        self.passes = Passes(time.time)

    def prepare(self, settings: Settings) -> Commit:
        """Be a part of a reload (see service.reload): files that have changed, and checkers that are named anew."""
        specs = tuple(settings.auth)
        changed = specs != self._specs
        here = {spec: checker for (_, spec), checker in zip(self._specs, self._checkers, strict=True)}
        checkers = [here.get(spec) or make_checker(source, spec) for source, spec in specs]
        for checker in checkers:
            if hasattr(checker, "reload"):
                checker.reload()

        def commit() -> Iterable[str]:
            self._specs, self._checkers = specs, checkers
            self._portal = self._make_portal()
            return ["logins changed"] if changed else []

        return commit

    def _make_portal(self) -> Portal:
        portal = Portal(_Realm())
        for interface in INTERFACES:
            chosen = [one for one in self._checkers if interface in one.credentialInterfaces]
            if chosen:
                portal.registerChecker(_Chain(interface, chosen, self._workers, self._holds), interface)
        return portal

    def _holds(self, checker: Any, identity: Identity) -> bool:
        """Tell whether a login by `checker` would be let in now: it is asked yet, and would say the same."""
        return checker in self._checkers and (identity.holds is None or identity.holds())

    def recognises(self, user: str | None, mark: str) -> bool:
        """Tell whether a login of an earlier process would be let in now (kernel.sessions.registry.Recognises)."""
        if user is None:
            return False
        if not mark:  # its checker can't tell
            return any(not hasattr(checker, "recognises") for checker in self._checkers)
        return any(checker.recognises(user, mark) for checker in self._checkers if hasattr(checker, "recognises"))

    def takes(self, interface: type[Interface]) -> bool:
        """Return whether a checker takes that kind of credentials."""
        return interface in self._portal.checkers

    def login(self, event: Connect, session: Session, done: Callable[[str | Refusal], None]) -> None:
        """Be the `login` of a ListenerContext (kernel.connection.listener_context.Login)."""
        credentials = _credentials(event) if event.auth_method is None else AuthExchange(self._reactor, event)

        def known(identity: Identity) -> None:
            if event.reauthenticate and identity.user != session.user:
                done(Refusal("not-authorized", "a client that logs in again keeps its identity"))
                return
            if isinstance(credentials, AuthExchange):
                event.server_data = credentials.last
            session.admit(identity)
            done(identity.user)

        checked = self.identify(credentials, session.host)
        checked.addCallbacks(known, lambda failure: done(failure.value))
        checked.addErrback(lambda failure: self.log.failure("after a login", failure))

    def authenticate(self, event: Connect | None, transport: Any, host: str) -> Deferred[Identity | None]:
        """Authenticate a client by what came with its connection: a header's credentials, else a certificate.

        The Deferred fails with Refusal; its result is None where the client has shown nothing.
        """
        if event is not None and event.token is not None and self.passes.knows(event.token):
            known = self.passes.use(event.token)
            return succeed(known) if known is not None else fail(Refusal("not-authorized", _ENDED))
        if event is not None:
            return self.identify(_credentials(event), host)  # type: ignore[return-value]
        shown = _peer_certificate(transport) if self.takes(IPeerCertificate) else None
        if shown is None:
            return succeed(None)
        return self.identify(PeerCertificate(shown), host)  # type: ignore[return-value]

    def identify(self, credentials: Any, host: str) -> Deferred[Identity]:
        """Check credentials that came from `host`. The Deferred fails with Refusal."""
        if not self._attempts.allowed(host):
            return fail(_TOO_MANY)
        if isinstance(credentials, AuthExchange) and not any(_knows(one, credentials) for one in self._checkers):
            return fail(BadMethod())
        if isinstance(credentials, Password) and len(credentials.username) + len(credentials.password) > _LONGEST:
            return fail(Refusal("not-authorized", "wrong user or password"))
        source = source_of(host) or host
        if self._waiting[source] >= limits.LOGIN_QUEUE_SOURCE and host != "unix":
            return fail(Refusal("unavailable", "many logins from your address wait to be checked already; try again"))
        self._waiting[source] += 1
        asked = maybeDeferred(self._portal.login, credentials, None, IIdentity)

        def answered(result: Any) -> Any:
            self._waiting[source] -= 1
            if not self._waiting[source]:
                del self._waiting[source]
            # Guesses that were made at once are worth no more than those made one after the other.
            return result if self._attempts.allowed(host) else Failure(_TOO_MANY)

        return asked.addBoth(answered).addCallbacks(_admitted, self._refuse, errbackArgs=(host,))

    def _refuse(self, failure: Failure, host: str) -> Failure:
        """Turn what a checker says into a Refusal, and count it."""
        error = failure.value
        if isinstance(error, Refusal):
            return failure
        if isinstance(error, UnhandledCredentials):
            return Failure(Refusal("not-authorized", "this hub has no such logins"))
        if isinstance(error, LoginFailed):
            self._attempts.failed(host)
            self._refused += 1
            if self._refused <= limits.FAILED_LOGINS_LOGGED or self._refused & (self._refused - 1) == 0:
                says = "login {count} refused, from {host}: {why}"
                self.log.warn(says, count=self._refused, host=host, why=_reason(error))  # noqa: G010
            return Failure(Refusal("not-authorized", _reason(error)))
        self.log.failure("a login can't be checked", failure)
        return Failure(Refusal("unavailable", "logins can't be checked now; the hub's log has the reason"))

    def datagram_key(self, user: str) -> tuple[bytes, Identity] | None:
        """Return the key that signs a user's datagrams, and the user's identity."""
        for checker in self._checkers:
            key = checker.datagram_key(user) if hasattr(checker, "datagram_key") else None
            if key is not None:
                return key, Identity(user, holds=partial(self._has_key, user, key))
        return None

    def _has_key(self, user: str, key: bytes) -> bool:
        found = self.datagram_key(user)
        return found is not None and found[0] == key


class Admission:
    """Whether clients may be where they came in, at listeners and connectors as they are now."""

    def __init__(self, logins: Logins, contexts: Iterable[ListenerContext]) -> None:
        self._by_name = {context.name: context for context in contexts}
        self.recognises = logins.recognises

    def vouches(self, listener: str, certificates: Sequence[bytes]) -> bool:
        """Return whether TLS certificates of a client would be taken there; if that listener has gone, anywhere."""
        context = self._by_name.get(listener)
        those = [context] if context else self._by_name.values()
        return any(one.vouches is not None and one.vouches(certificates) for one in those)

    def admits(self, session: Session) -> bool:
        """Return whether a client without a login may stay: anonymous, or with the user that the listener names.

        Where its listener has gone it may come back by any other that would let it in.
        """
        if session.holds is not None:
            return True
        context = self._by_name.get(session.listener)
        return any(one.admits(session.user) for one in ([context] if context else self._by_name.values()))


@implementer(IRealm)
class _Realm:
    """Knows each user by the Identity that a _Chain has found."""

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> tuple[Any, Identity, Callable[[], None]]:
        return IIdentity, avatarId, lambda: None


@implementer(ICredentialsChecker)
class _Chain:
    """Asks checkers in their order; the first that says yes decides. Its login holds as `holds` says."""

    def __init__(
        self,
        interface: type[Interface],
        checkers: Sequence[Any],
        workers: Workers,
        holds: Callable[[Any, Identity], bool],
    ) -> None:
        self.credentialInterfaces = (interface,)
        self._checkers = checkers
        self._holds = holds
        self._workers = workers

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        for checker in self._checkers:
            stepwise = isinstance(credentials, AuthExchange)
            known = checker.recall(credentials) if hasattr(checker, "recall") and not stepwise else None
            if known is not None:
                return succeed(self._identity(checker, known))
        return Deferred.fromCoroutine(self._ask(credentials))

    async def _ask(self, credentials: Any) -> Any:
        refusal: LoginFailed = NotApplicable("no checker knows this login")
        for checker in self._checkers:
            if isinstance(credentials, AuthExchange) and not _knows(checker, credentials):
                continue
            try:
                if getattr(checker, "blocking", False) and not isinstance(credentials, AuthExchange | PublicKey):
                    found = await self._workers.call(checker.requestAvatarId, credentials)
                else:
                    found = await maybeDeferred(checker.requestAvatarId, credentials)
                return self._identity(checker, found)
            except LoginFailed as error:
                refusal = error
        raise refusal

    def _identity(self, checker: Any, found: Any) -> Identity:
        """Make an Identity of whatever a checker names its users by. Raises NotApplicable."""
        user = found.decode() if isinstance(found, bytes) else found
        identity = user if isinstance(user, Identity) else Identity(user)
        name = identity.user
        if not isinstance(name, str) or not 0 < len(name) <= limits.NAME_CHARACTERS or not name.isprintable():
            raise NotApplicable("this login names no user")
        return replace(identity, holds=partial(self._holds, checker, identity))


def _admitted(found: tuple[Any, Identity, Any]) -> Identity | Failure:
    """Return the Identity, unless a reload has ended the login while it was checked."""
    identity = found[1]
    if identity.holds is None or identity.holds():
        return identity
    return Failure(Refusal(STALE.code, STALE.reason))


def _knows(checker: Any, credentials: AuthExchange) -> bool:
    return credentials.method in getattr(checker, "methods", ())


def _credentials(event: Connect) -> Password | Token | PublicKey:
    if event.public_key is not None:
        return PublicKey(event.public_key)
    return Password(event.user or "", event.password or "") if event.token is None else Token(event.token)


def _reason(error: LoginFailed) -> str:
    """The text that a client may see: that of hubbub's own checkers, as others' may have secrets."""
    return str(error) if isinstance(error, NotApplicable) else "wrong user or password"


def _peer_certificate(transport: Any) -> Any:
    found = transport.getPeerCertificate() if hasattr(transport, "getPeerCertificate") else None
    return None if found is None else load_der_x509_certificate(found)


def make_checker(source: str, spec: str) -> Any:
    """Make the checker that `spec` names, KIND or KIND:ARGUMENT. Raises ConfigError, which doesn't repeat ARGUMENT."""
    kind, _, argument = spec.partition(":")
    try:
        factory = findCheckerFactory(kind)
    except InvalidAuthType:
        raise ConfigError(f"{source} {shown(kind)}: there is no such kind of login; --help-auth lists them") from None
    if not set(factory.credentialInterfaces) & set(INTERFACES):
        raise ConfigError(f"{source} {kind}: no client of hubbub can log in in this way")
    try:
        checker = factory.generateChecker(argument)
    except Exception as error:  # noqa: BLE001  whatever a plugin raises
        says = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        raise ConfigError(f"{source} {kind}: {' '.join(says.split())}") from None
    users = getattr(checker, "users", None)
    if kind == "memory" and isinstance(users, dict):  # it keeps text, and compares it with the bytes of credentials
        checker.users = {_bytes(user): _bytes(password) for user, password in users.items()}
    return checker


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
