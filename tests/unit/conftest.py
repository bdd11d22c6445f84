"""A fresh world for each test."""

from __future__ import annotations

import pytest

from unit.kernel_help import World


@pytest.fixture
def world() -> World:
    return World()
