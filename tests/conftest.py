"""What every test may rely on: programs that are there, no silent skips, and an end to what hangs."""

from __future__ import annotations

import functools
import gc
import inspect
import os
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from scale import EXAMPLES

TESTS = Path(__file__).parent

COLLECT = (5_000, 20, 50)  # gc.set_threshold: the usual (700, 10, 10) takes twice the processor time
SECONDS = 50  # until a coroutine is cancelled; pytest-timeout, at 60 s, stops the reactor for later tests too
PACKAGES = {
    "nc": "netcat-openbsd", "socat": "socat", "chromium": "chromium", "logger": "bsdutils",
    "systemd-socket-activate": "systemd", "systemd-analyze": "systemd", "mosquitto_passwd": "mosquitto",
    "mosquitto_sub": "mosquitto-clients", "ser2net": "ser2net", "gpsd": "gpsd", "mosquitto": "mosquitto",
    "cc": "gcc libc6-dev python3-dev", "mosquitto_pub": "mosquitto-clients", "mosquitto_rr": "mosquitto-clients",
    "node": "nodejs npm", "stdbuf": "coreutils", "collectd": "collectd-core",
    "nginx": "nginx-light", "haproxy": "haproxy",
}  # fmt: skip

os.environ["PATH"] += f"{os.pathsep}/usr/sbin"  # where Debian has servers, and not every user's PATH

# These take long, and begin first: at the end of a run each would keep one worker busy, and leave the others idle.
LONG = (
    "system/test_crash.py", "system/test_compiled.py", "system/test_messages.py", "system/test_packaging.py",
    "hostile/test_turns.py", "system/test_activation.py", "system/test_mqtt_bridge.py", "testing/test_contracts.py",
    "plugins/stomp/test_contract.py", "service/test_new.py", "plugins/nats/test_contract.py",
    "hostile/test_rights_restart.py", "system/test_logs.py", "plugins/mqtt/test_contract.py",
    "plugins/mqtt/test_state_machine.py", "system/test_control.py", "system/test_connect.py",
    "system/test_fleet.py", "system/test_life.py", "system/test_under_load.py", "interop/test_nats_bridge.py",
    "cluster/test_faults.py", "hostile/test_rights_races.py", "testing/test_broken_dialects.py",
    "interop/test_event_source.py", "test_docs.py", "system/test_start.py", "system/test_workers.py", "test_house.py",
)  # fmt: skip

# The tests of these folders wait for nothing. They take turns with the others, so that neither all workers wait at once
# nor all of them need a processor.
BUSY = {"matrix", "plugins", "storage", "testing", "unit"}

# A shell has it ignored by what it runs in the background, and a program that a test interrupts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Crowds of clients are sockets of this process, and a shell's limit is low for the sake of select(2).
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

# Shared machines stall: the time of one example tells nothing.
hypothesis.settings.register_profile("hubbub", deadline=None, print_blob=True, max_examples=EXAMPLES)
hypothesis.settings.register_profile("few", hypothesis.settings.get_profile("hubbub"), max_examples=EXAMPLES // 3)
hypothesis.settings.load_profile("hubbub")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Keep what is collected out of all garbage collections: 12,000 tests are a million objects that stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*COLLECT)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    modules = [path for path in dict.fromkeys(item.path for item in items) if path.is_relative_to(TESTS)]
    places: dict[Path, float] = {}
    for busy in (True, False):
        some = [path for path in modules if (path.relative_to(TESTS).parts[0] in BUSY) is busy]
        places |= {path: place / len(some) for place, path in enumerate(some)}
    places |= {TESTS / name: place - len(LONG) for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, 0.0))


def on_ci() -> bool:
    return os.environ.get("CI") == "true"


@pytest.fixture(scope="session", autouse=True)
def own_default_control_socket() -> Generator[None]:
    """Daemons that other processes start would find each other at the default place, and ask whether one is there."""
    with TemporaryDirectory(prefix="hubbub-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """`need("socat")` returns its path; without it the test is skipped, which under CI=true is a failure."""

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is None:
            pytest.skip(f"{program} isn't installed: apt install {PACKAGES.get(program, program)}")
        return path

    return find


@pytest.fixture(scope="session")
def ipv6() -> None:
    """Skip the test on a machine with IPv6 off, which under CI=true is a failure."""
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        pytest.skip("IPv6 is off on this machine")


def not_skipped(report: Any) -> None:
    """Under CI=true make a skip a failure, without exceptions. An expected failure isn't a skip."""
    if on_ci() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipped, and CI=true allows no skips. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    not_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    report = yield
    not_skipped(report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> None:
    """Give each coroutine its time limit; pytest-twisted, which is asked next, runs it."""
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = limited(pyfuncitem.obj)


def limited(test: Callable[..., Any]) -> Callable[..., Deferred[Any]]:
    @functools.wraps(test)
    def run(**fixtures: Any) -> Deferred[Any]:
        from twisted.internet import reactor

        return Deferred.fromCoroutine(test(**fixtures)).addTimeout(SECONDS, reactor, too_long)

    return run


def too_long(result: Any, seconds: float) -> Any:
    """Fail with the place where the coroutine waited."""
    cause = result.value if isinstance(result, Failure) else None
    raise TimeoutError(f"the test took longer than {seconds:g} s") from cause
