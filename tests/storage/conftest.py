"""The disk of a store that a test lets fail."""

from __future__ import annotations

import pytest

from hubbub import limits
from storage.faulty import FaultyDisk


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(limits, "STORE_RETRY_SECONDS", 0.01)
    disk = FaultyDisk()
    yield disk
    disk.go.set()
    disk.unregister()
