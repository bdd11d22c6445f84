"""More targets: names, what an operator writes, and credentials."""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from hubbub import limits
from hubbub.errors import ConfigError, Refusal
from hubbub.identity import Identity
from hubbub.kernel.authorization.permissions import Subject
from hubbub.service.auth import passwords as password_files
from hubbub.service.auth import tokens
from hubbub.service.auth.kinds import NotApplicable, Token
from hubbub.service.auth.permissions import load
from hubbub.service.commands.mosquitto.conf import Import
from hubbub.service.config.endpoint import join, split
from hubbub.service.config.options import Options
from hubbub.service.config.settings import parse_connector, parse_handler, parse_listener
from hubbub.template import Template
from hubbub.topics import check_filter, check_topic, matches, quote, quote_value, unquote
from hubbub.transports.signed import Signatures

KEY = b"k" * 32
NOW = 1_700_000_000.0  # Unix seconds


def topics(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(ValueError):
        unquote(data)
    with contextlib.suppress(Refusal):
        check_topic(text)
        assert unquote(quote(text).encode()) == text
        assert matches(text, text)
        assert text.startswith("$") or matches("#", text)
        assert "/" not in quote_value(text)
        Template("a/{host}").fill({"host": text})
    filter, _, topic = text.partition(" ")
    with contextlib.suppress(Refusal):
        matches(check_filter(filter), check_topic(topic))
    with contextlib.suppress(ConfigError):
        made = Template(text)
        check_topic(made.fill(dict.fromkeys(made.fields, "a/b c")))


def endpoint(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(ConfigError):
        assert split(join(split(text))) == split(text)
    for transport in ("tcp", "udp", "websocket"):
        one_line(lambda: parse_listener(transport, text, f"--{transport}"))  # noqa: B023
    one_line(lambda: parse_handler(text, "--handler"))
    one_line(lambda: parse_connector(text, "--connect"))


def one_line(read: Callable[[], object]) -> None:
    """A mistake of an operator is one printable line."""
    said = "fine"
    try:
        read()
    except ConfigError as error:
        said = str(error)
    assert said.isprintable(), said


@contextlib.contextmanager
def written(data: bytes) -> Iterator[Path]:
    """A file in memory, where there is such a folder."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        file = Path(folder) / "hubbub.toml"
        file.write_bytes(data)
        yield file


def toml(data: bytes) -> None:
    said = "hubbub: fine"
    with written(data) as file:
        try:
            Options().parseOptions(["--config", str(file)])
        except SystemExit as error:
            said = str(error)
    assert said.startswith("hubbub: "), said
    assert "\n" not in said


def permissions(data: bytes) -> None:
    """A file is refused in a line, or decides: what it says is the same each time, and never raises anything else."""
    with written(data) as file:
        one_line(lambda: decide(file))


def decide(file: Path) -> None:
    rules = load(file)
    for subject in (Subject(None, "", "tcp-1"), Subject("ann", "c1", "tcp-1", frozenset(["g"]))):
        rights = rules.rights(subject)
        for check in (rights.publish, rights.subscribe):
            for name in ("a/b", "home/ann/x", "$SYS/a"):
                with contextlib.suppress(Refusal):
                    check(name)


def passwords(data: bytes) -> None:
    with written(data) as file:
        one_line(lambda: password_files.read(file, True))
        one_line(lambda: password_files.read(file, False))


def mosquitto_conf(data: bytes) -> None:
    """What is imported can be read, and so can each line that isn't; files that it names are looked for from here."""
    with written(data.replace(b" /", b" ").replace(b"..", b".")) as file:
        one_line(lambda: imported(file))


def imported(file: Path) -> None:
    made = Import(file)
    tomllib.loads(made.config)
    tomllib.loads(made.permissions or "")
    assert all(str(note).isprintable() for note in made.notes), made.notes


def mosquitto_acl(data: bytes) -> None:
    """Whatever stands in the file, its rules are rules."""
    with written(b"") as conf:
        acl = conf.with_name("acl")
        acl.write_bytes(data)
        conf.write_text(f"listener 1883 127.0.0.1\nacl_file {acl}\n")
        one_line(lambda: imported(conf))
        with contextlib.suppress(ConfigError):
            conf.write_text(Import(conf).permissions or "")
            decide(conf)


def signed(data: bytes) -> None:
    """Only who has the key is believed, once."""
    who = Identity("ann")
    signatures = Signatures(lambda user: (KEY, who) if user == "ann" else None, lambda: NOW)
    envelope = signatures.open(data)
    assert envelope is None or (data.endswith(envelope.content) and isinstance(envelope.sender, Refusal))
    head = b"SIGN ann %d" % int(NOW * 1e6 + 1)
    mac = hmac.digest(KEY, head + b"\n" + data, "sha256")[:16].hex().encode()
    envelope = signatures.open(head + b" " + mac + b"\n" + data)
    assert envelope == (who, data)
    assert isinstance(signatures.open(head + b" " + mac + b"\n" + data).sender, Refusal)


def token(data: bytes) -> None:
    """Any text, and any header and claims with a right signature: who that is, or that it is nobody."""
    with written(KEY) as file:
        checker = tokens.make(f"algorithms=HS256:key={file}")
        header, _, claims = data.partition(b"\n")
        texts = [data.decode("latin-1")]
        for one in (header, b'{"alg":"HS256","typ":"JWT"}'):
            body = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (one, claims))
            mac = base64.urlsafe_b64encode(hmac.digest(KEY, body, "sha256")).rstrip(b"=")
            texts.append((body + b"." + mac).decode())
        for text in texts:
            with contextlib.suppress(NotApplicable):
                found = checker.requestAvatarId(Token(text))
                assert found.user.isprintable()
                assert len(found.user) <= limits.NAME_CHARACTERS
