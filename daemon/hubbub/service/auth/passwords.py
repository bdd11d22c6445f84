"""Password files, one user a line: hubbub's own, which `hubbub passwd` writes, and those of mosquitto_passwd.

    ann:$argon2id$v=19$m=65536,t=3,p=4$<salt>$<hash>
    sensor7:*:key=<64 hexadecimal digits>     no password, but a key that signs its datagrams, or WAMP-CRA's challenges
    robot:*:ed25519=<64 hexadecimal digits>   the public key of a client of WAMP (cryptosign) or NATS (NKey)
    robot:*:nkey=UA...                        the same as NATS writes it
    ann:$argon2id$...:scram=<see scram.py>    what WAMP-SCRAM needs of the password
    # a comment

The fields behind a hash come in this order. A mosquitto file has none; its hashes begin with $6$ or $7$. Either file
may have hashes of any kind.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from zope.interface import implementer

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.identity import Identity
from hubbub.nats_protocol.nkeys import read_public
from hubbub.service.auth import exchanges, hashes
from hubbub.service.auth.kinds import AuthExchange, IAuthExchange, IPublicKey, NotApplicable, Password, PublicKey
from hubbub.service.auth.scram import Scram
from hubbub.service.config.watched_file import Watched, read_bounded

NO_PASSWORD = "*"  # noqa: S105  as in shadow(5)
_KEYS = re.compile(r"(?:key=([0-9a-f]{64}))?:?(?:ed25519=([0-9a-f]{64})|nkey=([A-Z2-7]+))?:?(?:scram=([^:]*))?")


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """One user of a file.

    hash  of the password, or NO_PASSWORD
    key   32 bytes that sign datagrams, or None
    public  the public key of the user, 32 bytes of Ed25519, or None
    scram  what WAMP-SCRAM needs of the password, or None
    """

    hash: str = NO_PASSWORD
    key: bytes | None = None
    public: bytes | None = None
    scram: Scram | None = None

    @property
    def text(self) -> str:
        """What stands behind the user's name in the file."""
        fields = [self.hash]
        fields += [] if self.key is None else [f"key={self.key.hex()}"]
        fields += [] if self.public is None else [f"ed25519={self.public.hex()}"]
        return ":".join([*fields, *([] if self.scram is None else [f"scram={self.scram.text}"])])

    def mark(self, user: str) -> str:
        """Return what this user's logins are recognised by after a restart (identity.Identity)."""
        return f"password {blake2b(f'{user}:{self.text}'.encode(), digest_size=16).hexdigest()}"


class Table:
    """What one password file says, and which passwords were right a moment ago; a changed file forgets those."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self.entries = entries
        keys = Counter(entry.public for entry in entries.values())
        self._owners = {
            entry.public: user for user, entry in entries.items() if entry.public and keys[entry.public] == 1
        }
        hashed = dict.fromkeys(entry.hash for entry in entries.values() if entry.hash != NO_PASSWORD)
        self._hashes = list(hashed) or [hashes.UNKNOWN_USER]
        self._scrams = [entry.scram for entry in entries.values() if entry.scram is not None]
        self._secret = secrets.token_bytes(32)
        self._known: dict[bytes, float] = {}  # keyed hashes, and until when they count
        self._lock = Lock()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and other.entries == self.entries

    __hash__ = None  # type: ignore[assignment]

    def check(self, user: str, password: bytes) -> bool:
        """Tell whether that is the user's password; it takes the same time whether there is such a user or not."""
        entry = self.entries.get(user)
        if entry is None or entry.hash == NO_PASSWORD:
            hashes.verify(self._nobody(user), secrets.token_bytes(16) + password)
            return False
        return hashes.verify(entry.hash, password)

    def owner(self, public: bytes) -> str | None:
        """Return the one user who has that public key."""
        return self._owners.get(public)

    def _nobody(self, user: str) -> str:
        """Return the entry that an unknown user is compared with: for one name always the same."""
        return self._hashes[int.from_bytes(self._digest(user, b"")[:8]) % len(self._hashes)]

    def decoy(self, user: str) -> Scram | None:
        """Return what a user is asked who has no keys of WAMP-SCRAM; None: there are none at all."""
        if not self._scrams:
            return None
        digest = hmac.digest(self._scrams[0].server_key, user.encode(errors="surrogatepass"), "sha256")
        return Scram.decoy(user, self._scrams[int.from_bytes(digest[:8]) % len(self._scrams)])

    def remember(self, user: str, password: bytes, now: float) -> None:
        """Note that this was right, as a keyed hash, for limits.LOGIN_CACHE_SECONDS."""
        digest = self._digest(user, password)
        with self._lock:
            while len(self._known) >= limits.LOGIN_CACHE:
                del self._known[next(iter(self._known))]
            self._known[digest] = now + limits.LOGIN_CACHE_SECONDS

    def recalls(self, user: str, password: bytes, now: float) -> bool:
        """Tell whether this was right a moment ago."""
        digest = self._digest(user, password)
        return user in self.entries and now < self._known.get(digest, now)

    def _digest(self, user: str, password: bytes) -> bytes:
        name = user.encode(errors="surrogatepass")
        return hmac.digest(self._secret, len(name).to_bytes(4) + name + password, "sha256")


@implementer(ICredentialsChecker)
class PasswordFile:
    """Checks passwords against a file, which is read again when it changes. Raises ConfigError where it can't be read.

    blocking  it takes its time, and is asked in a thread
    """

    credentialInterfaces = (IUsernamePassword, IPublicKey, IAuthExchange)
    blocking: ClassVar[bool] = True
    methods = tuple(exchanges.METHODS)

    def __init__(self, path: Path, keyed: bool) -> None:
        self._file = Watched(path, lambda path: read(path, keyed))

    def requestAvatarId(self, credentials: Password | PublicKey | AuthExchange) -> Any:
        """Return the Identity. Raises NotApplicable."""
        if isinstance(credentials, AuthExchange):
            return self._exchange(credentials)
        if isinstance(credentials, PublicKey):
            return self._owner(credentials.key)
        user, password, now = _name(credentials.username), credentials.password, time.monotonic()
        table = self._file.get()
        if len(password) > limits.PASSWORD_BYTES or not table.check(user, password):
            raise NotApplicable("wrong user or password")
        table.remember(user, password, now)
        return self._identity(user, table.entries.get(user))

    def _owner(self, key: bytes) -> Identity:
        table = self._file.get()
        user = table.owner(key)
        if user is None:
            raise NotApplicable("wrong key, or a key of no user")
        return self._identity(user, table.entries[user])

    async def _exchange(self, credentials: AuthExchange) -> Identity:
        """Ask a client for a proof that it has its key."""
        table, user = self._file.get(), credentials.user
        entry, method = table.entries.get(user), exchanges.METHODS[credentials.method]
        key = None if entry is None else getattr(entry, method.key)
        asked = table.decoy(user) if key is None and credentials.method == exchanges.SCRAM else key
        if not await method.check(credentials, asked) or key is None:
            raise NotApplicable("wrong user or key")
        return self._identity(user, entry)

    def recall(self, credentials: Password | PublicKey) -> Identity | None:
        """Return the Identity, if this login was verified recently."""
        if isinstance(credentials, PublicKey):
            return None
        user = _name(credentials.username)
        table = self._file.get()
        found = table.recalls(user, credentials.password, time.monotonic())
        return self._identity(user, table.entries.get(user)) if found else None

    def _identity(self, user: str, entry: Entry | None) -> Identity:
        """Make the identity of a login: it holds as long as the file has the same entry."""
        mark = "" if entry is None else entry.mark(user)
        return Identity(user, holds=lambda: self._file.get().entries.get(user) == entry, mark=mark)

    def recognises(self, user: str, mark: str) -> bool:
        """Tell whether a login of an earlier process was that of the user whom the file has now."""
        entry = self._file.get().entries.get(user)
        return entry is not None and entry.mark(user) == mark

    def datagram_key(self, user: str) -> bytes | None:
        """Return the key that signs the user's datagrams."""
        entry = self._file.get().entries.get(user)
        return None if entry is None else entry.key

    def reload(self) -> None:
        """Look whether the file has changed. Raises ConfigError."""
        self._file.look()


def _name(user: bytes) -> str:
    return user.decode(errors="surrogateescape")


def read(path: Path, keyed: bool) -> Table:
    """Read a password file. Raises ConfigError naming file and line."""
    text = read_bounded(path, limits.PASSWORD_FILE_BYTES)
    entries: dict[str, Entry] = {}
    for number, line in enumerate(text.split(b"\n"), 1):
        try:
            found = line.decode().removesuffix("\r")
            if found and not found.startswith("#"):
                user, entry = _parse(found, keyed)
                if user in entries:
                    raise ValueError(f"{user} already exists")
                entries[user] = entry
        except UnicodeDecodeError:
            raise ConfigError(f"{path}, line {number}: it isn't UTF-8") from None
        except ValueError as error:
            raise ConfigError(f"{path}, line {number}: {error}") from None
    return Table(entries)


def _parse(line: str, keyed: bool) -> tuple[str, Entry]:
    """Read one line. Raises ValueError with a sentence, which never repeats what is in it but the user."""
    user, _, rest = line.partition(":")
    check_name(user)
    hash, colon, field = rest.partition(":")
    key = public = scram = None
    if colon:
        found = _KEYS.fullmatch(field) if keyed and field else None
        if found is None:
            expected = "key= and 64 hexadecimal digits" if keyed else "a user and a hash"
            raise ValueError(f"{user}: expected {expected}")
        key, public = (None if one is None else bytes.fromhex(one) for one in found.groups()[:2])
        public = public if found[3] is None else _public(user, found[3])
        scram = found[4]
    if hash != NO_PASSWORD:
        try:
            hashes.check(hash)
        except ValueError as error:
            raise ValueError(f"{user}: {error}") from None
    return user, Entry(hash, key, public, _scram(user, scram))


def _public(user: str, text: str) -> bytes:
    try:
        return read_public(text)
    except ValueError as error:
        raise ValueError(f"{user}: {error}") from None


def _scram(user: str, text: str | None) -> Scram | None:
    try:
        return None if text is None else Scram.read(text)
    except ValueError as error:
        raise ValueError(f"{user}: {error}") from None


def check_name(user: str) -> None:
    """Raise ValueError with a sentence where that can't be a user's name."""
    bad = not user.isprintable() or set(user) & set(" :") or user[:1] == "#"
    if bad or not 0 < len(user) <= limits.NAME_CHARACTERS:
        raise ValueError(f"a user's name has 1 to {limits.NAME_CHARACTERS} characters, none of them a space or a colon")
    if user == "TOKEN":
        raise ValueError("TOKEN can't be a user: AUTH TOKEN means a token")


def make(argument: str) -> PasswordFile:
    """Make the checker `hubbub:FILE`. Raises ConfigError."""
    if not argument:
        raise ConfigError("expected a password file, such as hubbub:/etc/hubbub/passwords")
    return PasswordFile(Path(argument).absolute(), keyed=True)
