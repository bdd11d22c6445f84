"""The tap options: what they mean beside a file, and how a mistake ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hubbub.kernel.history.rule import HistoryRule
from hubbub.service.config.options import Options


def parsed(*words):
    options = Options()
    options.parseOptions(list(words))
    return options


def endpoints(*words):
    return [(one.transport, one.endpoint) for one in parsed(*words).settings().listeners]


@pytest.fixture
def file(tmp_path):
    (tmp_path / "hubbub.toml").write_text(
        'tcp = ["tcp:1", "tcp:2"]\nudp = ["udp:3"]\nwebsocket = ["tcp:4"]\n'
        'handler = ["upper"]\nplugin-dir = ["mine", "/abs"]\norigin = ["A.example"]\n'
    )
    return str(tmp_path / "hubbub.toml")


def test_without_options_three_listeners_on_loopback():
    assert endpoints() == [
        ("tcp", "tcp:6999:interface=127.0.0.1"),
        ("udp", "udp:6999:interface=127.0.0.1"),
        ("websocket", "tcp:8999:interface=127.0.0.1"),
    ]


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("sensors/#:age=24h:messages=10:bytes=1GiB", HistoryRule("sensors/#", 86_400.0, 10, 2**30)),
        ("#", HistoryRule("#")),
        (r"a\:b/+:messages=1", HistoryRule("a:b/+", messages=1)),
    ],
)
def test_a_history(spec, rule):
    assert parsed("--history", spec, "--history", "else").settings().history == (rule, HistoryRule("else"))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("", "it is empty"),
        ("$SYS/#", "it begins with a filter"),
        ("a/#/b", "# is only allowed as the last level"),
        ("a:age=0", "expected more than 0"),
        ("a:messages=x", "expected a whole number"),
        ("a:bytes=-1", "expected bytes"),
        ("a:size=1", "the keys after a filter are age=, messages=, bytes="),
        ("a:age=1:age=2", "given twice"),
    ],
)
def test_what_is_no_history(spec, why):
    with pytest.raises(SystemExit, match=why):
        parsed("--history", spec)
    with pytest.raises(SystemExit, match="given twice"):
        parsed("--history", "a", "--history", "a:age=1")


def test_naming_one_listener_opens_that_alone():
    assert endpoints("--udp", "udp:1") == [("udp", "udp:1:interface=127.0.0.1")]


def test_other_options_leave_the_defaults():
    settings = parsed("--handler", "upper", "--handler=alarm:above=3", "--origin", "h", "--plugin-dir", "/p").settings()
    assert len(settings.listeners) == 3
    assert [handler.id for handler in settings.handlers] == ["upper", "alarm"]
    assert settings.origins == ("h",)
    assert [str(folder) for folder in settings.plugin_dirs] == ["/p"]


@pytest.mark.parametrize(
    "origin",
    [
        "hub.example.org", "https://app.example.org", "http://localhost:5173", "http://[::1]:5173", "file://", "null",
        "capacitor://localhost", "ionic://localhost", "chrome-extension://abcdef", "app://my-app", "tauri://localhost",
    ],
)  # fmt: skip
def test_an_origin_of_any_scheme(origin):
    assert parsed("--origin", origin.upper()).settings().origins == (origin,)


def test_options_repeat_in_order():
    assert [one.id for one in parsed("--tcp", "tcp:2", "--tcp", "tcp:1").settings().listeners] == [
        "tcp-2",
        "tcp-1",
    ]


def test_the_file_is_read(file):
    settings = parsed("--config", file).settings()
    assert [one.id for one in settings.listeners] == ["tcp-1", "tcp-2", "udp-3", "websocket-4"]
    assert [handler.name for handler in settings.handlers] == ["upper"]
    assert settings.origins == ("a.example",)


def test_a_folder_in_a_file_is_meant_from_there(file, tmp_path):
    assert [str(one) for one in parsed("--config", file).settings().plugin_dirs] == [
        str(tmp_path / "mine"),
        "/abs",
    ]


def test_a_folder_on_the_command_line_is_meant_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = parsed("--plugin-dir", "mine")
    monkeypatch.chdir("/")
    assert [str(one) for one in options.settings().plugin_dirs] == [str(tmp_path / "mine")]


def test_an_option_replaces_the_list_of_its_name(file):
    settings = parsed("--config", file, "--tcp", "tcp:9").settings()
    assert [one.id for one in settings.listeners] == ["tcp-9", "udp-3", "websocket-4"]


def test_an_origin_needs_a_listener_for_pages():
    app = "https://app.example.org"
    with pytest.raises(SystemExit, match=f"--origin {app}: there is no WebSocket listener .* add --websocket tcp:8999"):
        parsed("--tcp", "tcp:1", "--origin", app)
    for pages in ((), ("--websocket", "tcp:2"), ("--tcp", "tcp:1", "--metrics", "tcp:2")):
        assert parsed(*pages, "--origin", app).settings().origins == (app,)


def test_a_file_without_listeners_leaves_the_defaults(tmp_path):
    (tmp_path / "hubbub.toml").write_text('handler = ["upper"]')
    assert len(endpoints("--config", str(tmp_path / "hubbub.toml"))) == 3


def test_list_plugins_is_a_flag():
    assert parsed("--list-plugins")["list-plugins"]
    assert not parsed()["list-plugins"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tpc", "x"], "hubbub: there is no option --tpc, did you mean --tcp?"),
        (["--port", "7000"], "hubbub: there is no option --port, did you mean --tcp tcp:PORT?"),
        (["-v"], "hubbub: there is no option -v, did you mean --version?"),
        (["--zebra", "x"], "hubbub: there is no option --zebra; `hubbub run --help` lists them"),
        (["--tcp"], "hubbub: option --tcp requires argument"),
        (["upper"], "hubbub: upper is no option; `hubbub run --help` lists them"),
        (["--tcp", "tcp:x"], "hubbub: --tcp tcp:x: port=x: expected a port from 0 to 65535"),
        (
            ["--tcp", "tcp:1", "--tcp", "tcp:1"],
            "hubbub: --tcp tcp:1: the id tcp-1 is taken by --tcp tcp:1; add id=NAME",
        ),
        (["--handler", "upper", "--handler", "upper"], "hubbub: --handler upper: the id upper is taken"),
        (["--origin", "ftp://"], "hubbub: --origin ftp://: expected a host name"),
        (["--origin", "https://x/"], "hubbub: --origin https://x/: expected a host name"),
        (["--trust-proxy", "10.0.0.1/8"], "hubbub: --trust-proxy 10.0.0.1/8: 10.0.0.1/8 has host bits set; a network"),
        (["--trust-proxy", "hub"], "hubbub: --trust-proxy hub: 'hub' does not appear to be an IPv4 or IPv6 network"),
        (
            ["--tcp", "haproxy:tcp:1"],
            "hubbub: --tcp haproxy:tcp:1: haproxy: takes the addresses of clients from a proxy",
        ),
        (["--plugin-dir", ""], "hubbub: --plugin-dir : expected a folder"),
        (["--config", "/nowhere.toml"], "hubbub: /nowhere.toml: No such file or directory"),
        (["--config", "a", "--config", "b"], "hubbub: --config is given twice"),
    ],
)
def test_a_mistake_is_one_line(words, message):
    with pytest.raises(SystemExit) as end:
        parsed(*words)
    assert str(end.value).startswith(message)
    assert "\n" not in str(end.value)


def test_a_mistake_in_a_file_names_it(tmp_path):
    path = tmp_path / "hubbub.toml"
    path.write_text('[[tcp]]\nendpoint = "tcp:7000"\nretain = 1\n')
    with pytest.raises(SystemExit) as end:
        parsed("--config", str(path))
    assert str(end.value) == f"hubbub: {path}:1: tcp tcp:7000: retain=1: expected yes or no"


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_begins_with_examples_and_fits(option, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(option)
    assert not end.value.code
    text = capsys.readouterr().out
    assert text.startswith("Usage: hubbub run [OPTIONS]\n   or: twistd -n hubbub [OPTIONS]\n")
    assert text.index("  hubbub run --tcp") < text.index("Options:")
    assert max(map(len, text.splitlines())) <= 80
    for name in ("tcp", "udp", "websocket", "handler", "plugin-dir", "origin", "config", "list-plugins"):
        assert f"--{name}" in text


def test_version_is_ours(capsys):
    with pytest.raises(SystemExit):
        parsed("--version")
    assert capsys.readouterr().out.startswith("hubbub ")


def test_a_mistake_ends_with_status_1_on_stderr():
    code = "from hubbub.service.config.options import Options; Options().parseOptions(['--tcp', 'x'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("hubbub: --tcp x: ")


def test_keys_are_remembered_for_some_time(tmp_path):
    assert parsed().settings().once == 120
    assert parsed("--once", "1h").settings().once == 3600
    (tmp_path / "hubbub.toml").write_text('once = "30s"\n')
    assert parsed("--config", str(tmp_path / "hubbub.toml")).settings().once == 30
    with pytest.raises(SystemExit, match="hubbub: --once 0s: expected more than 0, such as 2min"):
        parsed("--once", "0s")
