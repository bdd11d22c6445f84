"""The files under etc/ work as they are, and the example says the truth about the defaults."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from hubbub.service.config.options import Options
from hubbub.service.config.settings import Settings

ETC = Path(__file__).parents[2] / "etc"
EXAMPLE = (ETC / "hubbub/hubbub.toml").read_text(encoding="utf-8")
COMMENTED = re.compile(r"^# (?=\[\[[a-z]+\]\]$|[a-z-]+ = )", re.MULTILINE)


@pytest.fixture
def settings(tmp_path):
    def read(text: str) -> Settings:
        file = tmp_path / "hubbub.toml"
        file.write_text(text, encoding="utf-8")
        options = Options()
        options.parseOptions(["--config", str(file)])
        return options.settings()

    return read


def test_the_example_opens_loopback_only(settings):
    listeners = settings(EXAMPLE).listeners
    assert [(one.transport, one.address.host, one.address.port) for one in listeners] == [
        ("tcp", "127.0.0.1", 6999),
        ("websocket", "127.0.0.1", 8999),
    ]


@pytest.mark.parametrize("paragraph", [text for text in EXAMPLE.split("\n\n") if COMMENTED.search(text)])
def test_what_is_commented_out_can_be_used(settings, paragraph):
    used = COMMENTED.sub("", paragraph)
    assert settings(used if "[[" in used else used + "\n\n" + EXAMPLE)


def test_what_is_commented_out_is_the_default(settings):
    lines = [line if "# example" in line else re.sub(r"^# (?=[a-z-]+ = )", "", line) for line in EXAMPLE.split("\n")]
    live = [text for text in "\n".join(lines).split("\n\n") if "# [[" not in text]
    assert dataclasses.asdict(settings("\n\n".join(live))) == dataclasses.asdict(settings(EXAMPLE))


def test_the_socket_unit_and_its_comment_agree(settings):
    units = [path.read_text(encoding="utf-8") for path in (ETC / "systemd/system").glob("*.socket")]
    offered = {
        (re.findall(r"^FileDescriptorName=(.+)", unit, re.MULTILINE)[0], kind)
        for unit in units
        for kind in re.findall(r"^Listen(\w+)=", unit, re.MULTILINE)
    }
    text = (ETC / "systemd/system/hubbub.socket").read_text(encoding="utf-8")
    config = "\n".join(line[4:] for line in text.split("\n") if re.match(r"#   (\[\[|endpoint)", line))
    wanted = {
        (one.address.values["name"], "Datagram" if one.transport == "udp" else "Stream")
        for one in settings(config).listeners
    }
    assert offered == wanted
