"""client/address.py: which certificates `--ca FILE` accepts, on every Python."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest

from certificates import Authority
from hubbub.client.address import parse


def shake_hands(trusted: Authority, server: Authority) -> None:
    """Raises ssl.SSLCertVerificationError."""
    context = parse("wss://localhost:1", None, None, str(trusted.file)).tls()
    assert context is not None
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(server.issue("server.pem", "localhost", ("localhost",)))
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [context.wrap_bio(down, up, server_hostname="localhost"), serving.wrap_bio(up, down, server_side=True)]
    for _ in range(3):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    assert ends[0].version() == "TLSv1.3"


@pytest.mark.parametrize("identified", [True, False])
def test_a_private_authority(tmp_path, identified):
    """`openssl x509 -req` writes no key identifiers, and strict checks of Python 3.13 refuse that."""
    authority = Authority(tmp_path, identified=identified)
    shake_hands(authority, authority)


def test_another_authority(tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(Authority(tmp_path), Authority(tmp_path, "Other"))
