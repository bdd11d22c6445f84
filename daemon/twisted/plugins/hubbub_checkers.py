"""Tell Twisted which checkers `--auth` may name. Everybody's `twistd --help` may import this, so it imports little."""

from twisted.cred.credentials import IUsernamePassword

from hubbub.service.auth.kinds import IPeerCertificate, IToken, Kind

hubbub = Kind(
    "hubbub",
    "hubbub.service.auth.passwords",
    "FILE, written by `hubbub passwd add FILE USER`",
    IUsernamePassword,
    """
    A file of users with argon2 hashes of their passwords, and keys that sign datagrams. It is read again when it
    changes. `hubbub passwd --help` shows how to write it.
    """,
)
mosquitto = Kind(
    "mosquitto",
    "hubbub.service.auth.mosquitto",
    "FILE, written by mosquitto_passwd",
    IUsernamePassword,
    "A password file of Mosquitto, with hashes that begin with $6$ or $7$. It is read again when it changes.",
)
jwt = Kind(
    "jwt",
    "hubbub.service.auth.tokens",
    "algorithms=NAME,...:key=FILE and options",
    IToken,
    r"""
    JSON Web Tokens. They need a subject and an expiry, and a signature by a key of FILE.

    algorithms=HS256  or RS256, EdDSA; several with commas. What a token says of its algorithm counts for nothing.
    key=FILE          a secret for HS256, a public key as PEM, or a JWKS; it is read again when it changes
    audience=NAME     what the claim aud has to name; a token with aud is refused without it
    issuer=NAME       what the claim iss has to be, such as https\://login.example.org
    leeway=30s        by how much clocks may differ
    user=sub          the claim that names the user
    groups=groups     the claim that lists the user's groups

    The claims publish and subscribe, lists of filters, bound what the bearer may do.
    """,
)
certificate = Kind(
    "certificate",
    "hubbub.service.auth.certificates",
    "nothing, or cn, or san",
    IPeerCertificate,
    """
    TLS client certificates, on listeners with client-ca=FILE: the user is the common name of the subject (cn, the
    default), or the first alternative name (san).
    """,
)
