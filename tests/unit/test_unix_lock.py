"""A lock that this process's predecessor of the same id has left doesn't keep a daemon from its Unix socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hubbub.transports.unix_lock import remove_own_lock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "hub.sock")


def lock(path, pid):
    Path(f"{path}.lock").symlink_to(str(pid))


def stale(path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)


@pytest.mark.parametrize("before", [stale, lambda path: None], ids=["a stale socket", "no socket"])
def test_an_own_lock_that_nothing_listens_for_is_removed(path, before):
    before(path)
    lock(path, os.getpid())
    remove_own_lock(path)
    assert not os.path.lexists(f"{path}.lock")
    assert not os.path.lexists(path)


def test_others_stay(path):
    remove_own_lock(path)
    stale(path)
    lock(path, 1)
    remove_own_lock(path)
    assert os.path.lexists(f"{path}.lock")
    assert os.path.lexists(path)


def test_one_that_listens_keeps_its_lock(path):
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(path)
        there.listen()
        lock(path, os.getpid())
        remove_own_lock(path)
    assert os.path.lexists(f"{path}.lock")
