"""The steps of the Containerfile: its command line is right, and run as a script they make a hubbub that works."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from hubbub.service.cli import COMMANDS
from hubbub.service.config.options import Options
from scale import FULL

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "Containerfile").read_text().replace("\\\n", " ").splitlines()
STEPS = [line.partition(" ")[::2] for line in LINES if line and not line.startswith("#")]


def step(name: str) -> list[str]:
    return json.loads(next(rest for word, rest in STEPS if word == name))


def test_the_command_line_is_one_of_hubbub_s():
    command, *options = step("CMD")
    assert command == "run"
    parsed = Options()
    parsed.parseOptions(options)
    ports = {f"{one.address.port}/{'udp' if one.transport == 'udp' else 'tcp'}" for one in parsed.settings().listeners}
    assert ports == set(dict(STEPS)["EXPOSE"].split())
    assert str(parsed.settings().state) == dict(STEPS)["VOLUME"]
    assert dict(STEPS)["USER"] == "hubbub"
    check = step_health()
    assert check[0] == step("ENTRYPOINT")[0]
    assert check[1] in COMMANDS


def step_health() -> list[str]:
    return json.loads(dict(STEPS)["HEALTHCHECK"].partition("CMD ")[2])


def made_in(root: Path, text: str) -> str:
    """The same below `root`, without what Debian's packages are for, and without a user of its own."""
    text = re.sub(r"apt-get .*|useradd [^&]*&&|-o hubbub -g hubbub", "", text)
    return re.sub(r"(?<![\w.])/(opt|usr/src|var/lib|run)/hubbub", rf"{root}/\1/hubbub", text)


def build(root: Path) -> None:
    """Run each step as a script."""
    copy = f"mkdir -p {root}/usr/src && git -C '{ROOT}' archive HEAD --prefix=hubbub/ | tar -x -C {root}/usr/src"
    for word, rest in STEPS:
        script = {"COPY": copy, "RUN": made_in(root, rest)}.get(word, "").strip(" &")
        if script:
            subprocess.run(["sh", "-euc", f"mkdir -p {root}/var/lib {root}/run; {script}"], check=True)


if FULL and os.geteuid() == 0:  # it takes everything from the registry, and a namespace of processes

    @pytest.mark.timeout(300)
    def test_it_starts_again_after_sigkill_with_the_same_pid(tmp_path):
        build(tmp_path)
        command = [made_in(tmp_path, word) for word in (*step("ENTRYPOINT"), *step("CMD"))]
        command = [re.sub(r"(tcp|udp):\d+:", r"\1:0:", word) for word in command]
        environment = {**os.environ, "RUNTIME_DIRECTORY": f"{tmp_path}/run/hubbub"}
        for _ in range(2):  # each is process 1 of its own namespace, as in a container
            with subprocess.Popen(
                ["unshare", "--pid", "--fork", "--kill-child", *command, "--tcp", f"unix:{tmp_path}/hub.sock"],
                env=environment, stdout=subprocess.PIPE, text=True,
            ) as daemon:  # fmt: skip
                assert any("ready: " in line for line in daemon.stdout)
                health = [made_in(tmp_path, word) for word in step_health()]
                done = subprocess.run(health, env=environment, capture_output=True, text=True, timeout=20, check=False)
                assert "pid 1," in done.stdout, done
                daemon.send_signal(signal.SIGKILL)
