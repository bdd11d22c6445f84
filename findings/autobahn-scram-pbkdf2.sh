#!/usr/bin/env bash
# 1. PyPI autobahn 26.10.2, with argon2-cffi 25.1.0 and passlib 1.7.4 (its extra `scram`).
# 2. WAMP-SCRAM knows two ways to derive a key: `argon2id-13` and `pbkdf2`. A client that lists both serves either.
# 3. AuthScram raises ValueError for any challenge with `pbkdf2`: it hands the salt, which is text in base64, to a
#    function that takes bytes alone. With argon2id-13 it decodes the salt, and takes the hash as text, without padding.
# 4. A router that keeps StoredKey and ServerKey of PBKDF2, as SASL servers do, can't serve this client; the stored form
#    of a password decides which clients can log in, and can't be changed later without the password.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install autobahn==26.10.2 argon2-cffi==25.1.0 passlib==1.7.4

cd "$work"
"$python" -W ignore - <<'EOF'
from types import SimpleNamespace

from autobahn.wamp.auth import AuthScram


def answer(**kdf):
    client = AuthScram(authid="ann", password="secret")
    extra = {"nonce": client.authextra["nonce"] + "more", "salt": "W22ZaJ0SNY7soEsUEjb6gQ==", **kdf}
    try:
        return client.on_challenge(None, SimpleNamespace(method="scram", extra=extra))
    except ValueError as error:
        return error


by_pbkdf2 = answer(kdf="pbkdf2", iterations=4096)
by_argon2 = answer(kdf="argon2id-13", iterations=1, memory=64)
print("pbkdf2:", repr(by_pbkdf2), "argon2id-13:", len(by_argon2), "characters")
assert str(by_pbkdf2) == "Invalid argument types"
assert len(by_argon2) == 44
EOF
