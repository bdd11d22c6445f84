"""`hubbub new`: what it writes, what it refuses, and that what it writes works once pip has installed it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from hubbub.service.cli import main
from running import Daemon
from scale import FULL, scale_examples

SITE = Path(sysconfig.get_path("purelib"))
TWISTD = ("-c", "from twisted.scripts.twistd import run; run()", "-n", "hubbub")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "name", "class_name"), [("dialect", "weigh_bridge2", "WeighBridge2"), ("handler", "alarm", "Alarm")]
)
def test_a_package(here, capsys, kind, name, class_name):
    assert main(["new", kind, name]) == 0
    folder = Path(f"hubbub-{name.replace('_', '-')}")
    module = f"hubbub_{name}"
    files = [folder / file for file in ("pyproject.toml", "README.md", f"{module}.py", f"test_{name}.py")]
    assert capsys.readouterr().out.splitlines() == [str(file) for file in files]
    assert sorted(folder.iterdir()) == sorted(files)
    project = tomllib.loads(files[0].read_text())
    assert project["project"]["name"] == folder.name
    assert project["project"]["entry-points"] == {"hubbub.plugins": {name: f"{module}:{class_name}"}}
    assert project["tool"]["setuptools"] == {"py-modules": [module]}
    assert len(files[1].read_text().splitlines()) <= 12
    for file in files:
        text = file.read_text()
        assert "$" not in text
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert max(map(len, text.splitlines())) <= 120
    classes = [node for node in ast.walk(ast.parse(files[2].read_text())) if isinstance(node, ast.ClassDef)]
    assert [node.name for node in classes] == [class_name]


PATTERNS = [("dialect", "acknowledged"), ("dialect", "binary"), ("handler", "polled"), ("handler", "enriching")]


@pytest.mark.parametrize("pattern", ["acknowledged", "binary"])
def test_a_device_may_be_dialled(here, capsys, pattern):
    main(["new", "dialect", "meter", "--like", pattern, "--into", "."])
    capsys.readouterr()
    options = (
        "--plugin-dir",
        ".",
        "--connect",
        "tcp:127.0.0.1:1:dialect=meter:subscribe=ask:answer=1s",
        "--tcp",
        "tcp:0",
    )
    assert main(["check", *options, "--control", "none"]) == 0, capsys.readouterr()


def test_the_tests_of_each_pattern_pass(here):
    """In one interpreter, as most of the time of each would be its start."""
    for kind, pattern in PATTERNS:
        assert main(["new", kind, f"my_{pattern}", "--like", pattern, "--into", pattern]) == 0
        for file in (here / pattern).iterdir():
            assert "$" not in file.read_text()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    if not FULL:  # the rest of the contract holds for the events that the samples become
        command += ["-k", "not Contract or samples or cut or flood"]
    paths = os.pathsep.join(str(here / pattern) for _, pattern in PATTERNS)
    done = subprocess.run(
        command, cwd=here, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stdout


def test_into_a_folder_beside_other_files(here, capsys):
    (here / "mine").mkdir()
    (here / "mine" / "LICENSE").write_text("mine")
    assert main(["new", "handler", "alarm", "--into", "mine"]) == 0
    assert main(["new", "--into=a/b", "handler", "alarm"]) == 0
    assert sorted(path.name for path in (here / "mine").iterdir()) == [
        "LICENSE",
        "README.md",
        "hubbub_alarm.py",
        "pyproject.toml",
        "test_alarm.py",
    ]
    assert (here / "a" / "b" / "hubbub_alarm.py").exists()


@pytest.mark.parametrize("file", ["README.md", "test_alarm.py"])
def test_nothing_is_overwritten_and_nothing_half_written(here, capsys, file):
    (here / "hubbub-alarm").mkdir()
    (here / "hubbub-alarm" / file).symlink_to("nowhere")
    assert main(["new", "handler", "alarm"]) == 1
    expected = f"hubbub: hubbub-alarm/{file} exists, and isn't overwritten; --into FOLDER takes another folder\n"
    assert capsys.readouterr() == ("", expected)
    assert [path.name for path in (here / "hubbub-alarm").iterdir()] == [file]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["dialect", "Scale"], "'Scale' is no name for a dialect: expected up to 40 lower case letters, digits "),
        (["dialect", "_a"], "'_a' is no name for a dialect: expected "),
        (["dialect", "a__b"], "'a__b' is no name for a dialect: expected "),
        (["dialect", "2a"], "'2a' is no name for a dialect: expected "),
        (["dialect", "weigh-bridge"], "'weigh-bridge' is no name for a dialect: expected "),
        (["handler", "grün"], "'grün' is no name for a handler: expected "),
        (["handler", "../a"], "'../a' is no name for a handler: expected "),
        (["handler", "a\n"], r"'a\n' is no name for a handler: expected "),
        (["handler", ""], "'' is no name for a handler: expected "),
        (["handler", "a" * 41], f"'{'a' * 41}' is no name for a handler: expected "),
        (["dialect", "none"], "'none' is no name for a dialect: its class would be None, which is taken"),
        (["dialect", "fault"], "'fault' is no name for a dialect: its class would be Fault, which is taken"),
        (["dialect", "any"], "'any' is no name for a dialect: its class would be Any, which is taken"),
        (["handler", "world"], "'world' is no name for a handler: its class would be World, which is taken"),
        (["dialect", "json"], "there is a plugin json already (built in)"),
        (["handler", "upper"], "there is a plugin upper already (package hubbub)"),
        (["gizmo", "a"], "new: argument KIND: unknown 'gizmo'; there are dialect, handler; "),
        (["dialect"], "new: the following arguments are required: NAME; `hubbub new --help` shows how"),
        (["dialect", "a", "b"], "new: unrecognized arguments: b; `hubbub new --help` shows how"),
        (["dialect", "a", "--in", "b"], "new: unrecognized arguments: --in b, did you mean --into?"),
        (["dialect", "a", "--into", "file"], "file: File exists"),
        (["dialect", "a", "--like", "polled"], "new: --like polled: no such dialect; there are lines, acknowledged, "),
        (["handler", "a", "--like", "poled"], "new: --like poled: no such handler, did you mean polled?"),
        (["dialect", "a", "--into", "file/b"], "file/b: Not a directory"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(here, capsys, arguments, says):
    (here / "file").touch()
    assert main(["new", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"hubbub: {says}")
    assert captured.err.count("\n") == 1
    assert [path.name for path in here.iterdir()] == ["file"]


def test_help(capsys):
    for arguments in (["new"], ["new", "-h"], ["new", "dialect", "--help"]):
        assert main(arguments) == 0
        output = capsys.readouterr().out
        assert "hubbub new dialect NAME" in output
        assert all(len(line) <= 80 for line in output.splitlines())


def run(*command: object, cwd: Path) -> str:
    """Return what `command` prints; its environment has nothing that could show it other packages."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    words = [str(part) for part in command]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(words, cwd=cwd, env=environment, timeout=50, check=False, **output)
    assert done.returncode == 0, f"{words}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The Python of a fresh venv, which sees the packages that the tests run with, hubbub among them."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    (site,) = folder.glob("lib/python*/site-packages")
    # A plain path wouldn't do: the .pth files in there, an editable hubbub's too, are read by addsitedir alone.
    (site / "tests.pth").write_text(f"import site; site.addsitedir({str(SITE)!r})\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def plugins(python) -> Path:
    """A folder with a new dialect, scale, and a new handler, alarm, both installed by pip."""
    folder = python.parents[2]
    for kind, name in (("dialect", "scale"), ("handler", "alarm")):
        run(python, "-m", "hubbub", "new", kind, name, cwd=folder)
    install = ("install", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run(python, "-m", "pip", *install, "./hubbub-scale", "./hubbub-alarm", cwd=folder)
    return folder


@pytest.mark.parametrize("name", ["scale", "alarm"])
def test_its_own_test_passes(python, plugins, name):
    folder = plugins / f"hubbub-{name}"
    scale_examples(folder)
    said = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert " passed" in said
    assert "warning" not in said


def test_twistd_serves_them(python, plugins):
    listed = {
        line.split(maxsplit=2)[1]: line for line in run(python, *TWISTD, "--list-plugins", cwd=plugins).splitlines()
    }
    assert "".join(listed["scale"].split()) == "dialectscalepackagehubbub-scaleLinesoftopic=value."
    assert "".join(listed["alarm"].split()).startswith("handleralarmpackagehubbub-alarmRepeatanumber")
    options = ("--tcp", "tcp:0:dialect=scale:numbers=yes:subscribe=alarm/+/high", "--handler", "alarm:above=20")
    with Daemon(*options, folder=plugins, command=(str(python), *TWISTD)) as daemon:
        said = run(python, "-c", CLIENT, *daemon.tcp[0], cwd=plugins)
    assert said.splitlines() == ["! bad-payload: a line is topic=number, in UTF-8", "alarm/boiler/high=20.5"]


CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as link, link.makefile("r") as lines:
    link.sendall(b"alarm/boiler=hot\\nalarm/boiler=20\\nalarm/boiler=20.5\\n")
    print(lines.readline(), lines.readline(), sep="", end="")
"""


def test_hubbub_try_knows_it(python, plugins):
    capture = plugins / "capture.bin"
    capture.write_bytes(b"plant/7=21.5\r\nplant/7\nplant/8=x")
    assert run(python, "-m", "hubbub", "try", "scale", capture, "--split", "1", cwd=plugins).splitlines() == [
        "Publish plant/7 '21.5'",
        "Fault bad-payload: a line is topic=value, in UTF-8",
        "Publish plant/8 'x'",
    ]
