"""One daemon for each module, whose OPTIONS come behind those that a Probe needs; it is looked at after each test."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from hostile.oracle import LISTENERS, Probe, unharmed
from running import Daemon

Checked = tuple[Daemon, Probe]


@pytest.fixture(scope="module")
def options(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.module.OPTIONS


@pytest.fixture(scope="module")
def checked(options: tuple[str, ...]) -> Iterator[Checked]:
    with Daemon(*LISTENERS, *options) as one, contextlib.closing(Probe(one)) as probe:
        probe.check()
        yield one, probe


@pytest.fixture
def daemon(checked: Checked) -> Iterator[Daemon]:
    """The same for all tests of a module, and unharmed by each of them."""
    with unharmed(*checked):
        yield checked[0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "hub.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", path, "-out", path.with_suffix(".crt"), *names], check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path
