"""hubbub/nats_protocol/nkeys.py: seeds, public keys, .creds files, and signatures."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from hubbub.nats_protocol.nkeys import Credentials, credentials, is_signed, read_public, read_seed, write_public
from interop.nats.jwt import creds, made

ACCOUNT, USER = made("A"), made("U")
PUBLIC = USER.public


def test_keys_as_text() -> None:
    raw = USER.private.public_key().public_bytes_raw()
    assert PUBLIC[0] == "U"
    assert USER.seed.startswith("SU")
    assert (read_public(PUBLIC), write_public(raw)) == (raw, PUBLIC)
    assert read_seed(USER.seed) == USER.private.private_bytes_raw()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "checksum"),
        ("U1", "capital letters and digits"),
        (USER.seed[:-1], "capital letters and digits|checksum"),
        (USER.seed[:10] + ("B" if USER.seed[10] == "A" else "A") + USER.seed[11:], "checksum"),
        (PUBLIC, "begins with SU"),
        (ACCOUNT.seed, "begins with SU"),
    ],
    ids=["nothing", "no key", "short", "changed", "public", "of an account"],
)
def test_what_is_no_seed(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_seed(text)


@pytest.mark.parametrize("text", [USER.seed, ACCOUNT.public, PUBLIC[:-2]], ids=["seed", "of an account", "short"])
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"begins with U|checksum|capital"):
        read_public(text)


def test_files(tmp_path: Path) -> None:
    place = tmp_path / "user"
    place.write_text(USER.seed + "\n")
    assert credentials(str(place)) == Credentials("", read_seed(USER.seed))
    place.write_text(creds(ACCOUNT, USER))
    found = credentials(str(place))
    assert found.jwt.count(".") == 2
    assert found.seed == read_seed(USER.seed)
    assert repr(found.seed) not in repr(found)
    for text in ("", "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n", "\xff"):
        place.write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=r"expected a|checksum"):
            credentials(str(place))
    with pytest.raises(ValueError, match="can't be read"):
        credentials(str(tmp_path / "none"))


def test_a_login_signs_the_nonce() -> None:
    said = Credentials("", read_seed(USER.seed)).login("abc")
    assert said["nkey"] == PUBLIC
    key = read_public(PUBLIC)
    assert is_signed(key, "abc", said["sig"])
    for nonce, signature in (("abd", said["sig"]), ("abc", said["sig"][:-4] + "AAAA"), ("abc", "ä"), ("abc", "")):
        assert not is_signed(key, nonce, signature)
    assert len(base64.urlsafe_b64decode(said["sig"] + "==")) == 64
    assert Credentials("a.b.c", read_seed(USER.seed)).login("abc").keys() == {"jwt", "sig"}
