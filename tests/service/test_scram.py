"""WAMP-SCRAM: RFC 7677's example, what the file keeps, and Autobahn's own client."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import pbkdf2_hmac, sha256
from hmac import digest

import pytest
from autobahn.wamp.auth import derive_scram_credential

from hubbub.service.auth.passwords import Entry, Table
from hubbub.service.auth.scram import ARGON2, COSTS, PBKDF2, Scram

KEY, SALT = b64encode(bytes(32)).decode(), b64encode(bytes(16)).decode()

# RFC 7677 section 3: user, pencil
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SAID = (
    f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={NONCE}"
).encode()  # fmt: skip
PROOF = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
VERIFIER = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.fixture
def pencil(monkeypatch):
    """What a file keeps of that password."""
    monkeypatch.setitem(COSTS, PBKDF2, (4096, 0))
    monkeypatch.setattr("secrets.token_bytes", lambda size: b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    return Scram.make(b"pencil", PBKDF2)


def test_the_example_of_rfc_7677(pencil):
    assert pencil.proves(SAID, PROOF)
    assert pencil.server_signature(SAID) == VERIFIER
    assert pencil.challenge(NONCE) == {
        "nonce": NONCE, "kdf": "pbkdf2", "salt": "W22ZaJ0SNY7soEsUEjb6gQ==", "iterations": 4096,
    }  # fmt: skip


@pytest.mark.parametrize("proof", [b"", PROOF[:-1], PROOF + b"\0", bytes(32), bytes([PROOF[0] ^ 1]) + PROOF[1:]])
def test_another_proof(pencil, proof):
    assert not pencil.proves(SAID, proof)
    assert not pencil.proves(SAID.replace(b"user", b"root"), PROOF)


@pytest.mark.parametrize("kdf", COSTS)
def test_what_is_written_is_read(kdf):
    made = Scram.make("pâssword".encode(), kdf)
    assert Scram.read(made.text) == made
    assert Scram.make("pâssword".encode(), kdf) != made  # another salt
    assert "pâssword" not in made.text


def test_the_file_alone_logs_no_client_in():
    """Neither key is the ClientKey, which is its hash's secret (RFC 5802 section 9)."""
    made = Scram.make(b"pencil", PBKDF2)
    client_key = digest(pbkdf2_hmac("sha256", b"pencil", made.salt, made.iterations, 32), b"Client Key", "sha256")
    assert made.stored_key == sha256(client_key).digest()
    assert client_key not in (made.stored_key, made.server_key)


def test_autobahn_derives_the_same(monkeypatch):
    monkeypatch.setitem(COSTS, ARGON2, (4096, 512))
    made = Scram.make(b"secret", ARGON2)
    found = derive_scram_credential("ann@example.org", "secret", made.salt)
    assert (found["stored-key"], found["server-key"]) == (made.stored_key.hex(), made.server_key.hex())
    assert (found["kdf"], found["iterations"], found["memory"]) == (made.kdf, made.iterations, made.memory)


def test_a_user_that_there_is_not_looks_like_one():
    """Also with costs that are not the usual ones, and after a restart."""
    other = Scram.read(f"pbkdf2,4097,0,{b64encode(bytes(20)).decode()},{KEY},{KEY}")
    first, second = (Scram.decoy("nobody", Scram.read(other.text)).challenge("x") for _ in range(2))
    assert first == second != Scram.decoy("nobody else", other).challenge("x")
    assert {**first, "salt": ""} == {**other.challenge("x"), "salt": ""}
    assert len(b64decode(first["salt"])) == 20


def test_a_file_asks_a_user_that_there_is_not_like_one_of_its_own():
    ann, ben = f"pbkdf2,4097,0,{SALT},{KEY},{KEY}", f"argon2id-13,2,99,{SALT},{KEY},{KEY}"
    table = Table({name: Entry("*", None, None, Scram.read(text)) for name, text in (("ann", ann), ("ben", ben))})
    asked = {table.decoy(f"nobody {number}").iterations for number in range(50)}
    assert asked == {4097, 2}
    assert table.decoy("nobody").challenge("") == table.decoy("nobody").challenge("")
    assert Table({"eve": Entry("*", None, None, None)}).decoy("nobody") is None


@pytest.mark.parametrize(
    "text",
    [
        "", "pbkdf2", f"md5,1,0,AAAA,{KEY},{KEY}", f"pbkdf2,0,0,AAAA,{KEY},{KEY}", f"pbkdf2,1,1,AAAA,{KEY},{KEY}",
        f"argon2id-13,1,0,AAAA,{KEY},{KEY}", f"pbkdf2,-1,0,AAAA,{KEY},{KEY}", f"pbkdf2,999999999,0,AAAA,{KEY},{KEY}",
        f"pbkdf2,1,0,,{KEY},{KEY}", f"pbkdf2,1,0,AAAA,{KEY},AAAA", f"pbkdf2,1,0,A,{KEY},{KEY}",
        f"pbkdf2,1,0,{KEY * 2},{KEY},{KEY}", f"pbkdf2,1,0,AAAA,{KEY},{KEY},x",
    ],
)  # fmt: skip
def test_what_is_none(text):
    with pytest.raises(ValueError, match="scram="):
        Scram.read(text)
