"""INFO and CONNECT: what a server and a client say of themselves, as JSON."""

from __future__ import annotations

import msgspec

from hubbub import Connect, DialectContext, Sender, limits
from hubbub.nats_protocol.nkeys import signer
from hubbub.nats_protocol.wire import PING, Malformed

VERSION = "2.12.0"  # of nats-server, whose core protocol this is: clients look up there what they may use


class Options(msgspec.Struct, gc=False):
    """What a client says in CONNECT; what it leaves out is as at nats-server."""

    verbose: bool = True
    pedantic: bool = True
    echo: bool = True
    headers: bool = False
    no_responders: bool = False
    protocol: int = 0
    name: str | None = None
    user: str | None = None
    password: str | None = msgspec.field(default=None, name="pass")
    auth_token: str | None = None
    nkey: str | None = None
    sig: str | None = None
    jwt: str | None = None


class Info(msgspec.Struct, gc=False):
    """What a server says in INFO, as far as a client needs it."""

    headers: bool = False
    max_payload: int = limits.MESSAGE_BYTES
    server_id: str = ""
    server_name: str = ""
    version: str = ""
    ldm: bool = False
    tls_required: bool = False
    nonce: str = ""


_read_options = msgspec.json.Decoder(Options).decode
_read_info = msgspec.json.Decoder(Info).decode


def read_connect(data: bytes) -> Options:
    """Read the JSON of CONNECT. Raises Malformed."""
    try:
        return _read_options(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("Parser Error", "CONNECT is followed by a JSON object with fields of the known types") from None


def read_info(data: bytes) -> Info:
    """Read the JSON of INFO. Raises Malformed."""
    try:
        return _read_info(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("Parser Error", "INFO is followed by a JSON object with fields of the known types") from None


def connect_event(options: Options, nonce: str) -> Connect:
    """Return the login of a client; `nonce` is what INFO has told it to sign."""
    name = (options.name or "")[: limits.NAME_CHARACTERS]
    if options.sig is not None:
        return Connect(name, public_key=b"" if options.jwt else signer(options.nkey or "", nonce, options.sig))
    if options.auth_token is not None:
        return Connect(name, token=options.auth_token)
    user = options.user
    return Connect(name, user=user, password=None if user is None else options.password or "")


def encode_info(context: DialectContext, peer: Sender, ldm: bool = False, nonce: str = "") -> bytes:
    """Encode the INFO of a server; `ldm`: it is about to close; `nonce`: what owners of an NKey are to sign."""
    fields = {
        "server_id": context.node,
        "server_name": "hubbub",
        "version": VERSION,
        "proto": 1,
        "headers": True,
        "max_payload": context.max_message,
        "client_ip": peer.host,
    }
    if context.login:
        fields["auth_required"] = True
    if context.login and nonce:
        fields["nonce"] = nonce
    if context.secure and context.stream:  # clients in JavaScript refuse to go on without it
        fields["tls_required"] = True
    if ldm:
        fields["ldm"] = True
    return b"INFO " + msgspec.json.encode(fields) + b" \r\n"


def encode_connect(name: str, secure: bool, login: dict[str, str], no_responders: bool = False) -> bytes:
    """Encode the CONNECT of a client, and the PING whose PONG says that the server accepts it.

    no_responders  whether a request without a subscriber is answered by the server, with status 503
    """
    fields = {
        "verbose": False,
        "pedantic": False,
        "echo": False,
        "headers": True,
        "no_responders": no_responders,
        "protocol": 1,
        "tls_required": secure,
        "name": name,
        "lang": "hubbub",
        "version": VERSION,
        **login,
    }
    return b"CONNECT " + msgspec.json.encode(fields) + b"\r\n" + PING
