"""`hubbub import mosquitto`: what becomes of each line, and what is said of those that can't be carried over."""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hubbub.service.cli import main
from hubbub.service.commands.mosquitto.conf import KNOWN, Import
from hubbub.service.commands.mosquitto.notes import toml
from hubbub.service.config.options import Options
from hubbub.service.config.settings import parse_connector
from hubbub.service.plugins.discovery import Plugins


@pytest.fixture
def imported():
    """Import a text, with acl files by name, and return what it came to; in a folder whose name a note has room for."""
    with TemporaryDirectory() as folder:
        yield partial(_imported, Path(folder))


def _imported(folder, conf, **files):
    for name, text in files.items():
        (folder / name).write_text(text)
    path = folder / "mosquitto.conf"
    path.write_text(conf.replace("@", f"{folder}/"))
    made = Import(path)
    config = tomllib.loads(made.config)
    rules = tomllib.loads(made.permissions).get("rule", []) if made.permissions is not None else None
    return config, rules, [str(note).replace(f"{folder}/", "") for note in made.notes]


def test_no_listener_is_a_local_one(imported):
    config, rules, notes = imported("# nothing\n\n")
    assert config == {
        "tcp": [{"endpoint": "tcp:1883", "interface": "127.0.0.1", "id": "mosquitto-1883", "anonymous": True}]
    }
    assert (rules, notes) == (None, [])


@pytest.mark.parametrize(
    ("conf", "table", "expected"),
    [
        ("listener 1884 127.0.0.1", "tcp", {"endpoint": "tcp:1884", "interface": "127.0.0.1", "anonymous": False}),
        ("listener 1884 localhost\nallow_anonymous true", "tcp", {"interface": "127.0.0.1", "anonymous": True}),
        ("listener 1884 ::1", "tcp", {"endpoint": "tcp6:1884", "interface": "::1"}),
        ("port 1884\nbind_address 192.0.2.1", "tcp", {"interface": "192.0.2.1", "anonymous": False}),
        ("listener 1884\nsocket_domain ipv6", "tcp", {"endpoint": "tcp6:1884", "interface": "::"}),
        ("listener 9001 127.0.0.1\nprotocol websockets", "websocket", {"endpoint": "tcp:9001", "id": "mosquitto-9001"}),
        ("listener 0 /run/m:q.sock", "tcp", {"endpoint": "unix:/run/m\\:q.sock", "id": "mosquitto-unix"}),
        (
            "listener 8883 127.0.0.1\ncertfile /c.pem\nkeyfile /k.pem\ncafile /ca.pem\nrequire_certificate true", "tcp",
            {"endpoint": "ssl:8883", "certKey": "/c.pem", "privateKey": "/k.pem", "client-ca": "/ca.pem"},
        ),
        ("listener 1884 127.0.0.1\nmount_point a{b}/", "tcp", {"prefix": "a{{b}}"}),
        (
            "message_size_limit 0\nmax_packet_size 5000\nmax_queued_bytes 70000\nlistener 1884 127.0.0.1", "tcp",
            {"max-message": 5000, "queue": 70000},
        ),
    ],
)  # fmt: skip
def test_listeners(imported, conf, table, expected):
    config, _, notes = imported(conf)
    assert notes == []
    (listener,) = config[table]
    assert expected.items() <= listener.items()


def test_ids_are_unique(imported):
    config, _, _ = imported("listener 1884 127.0.0.1\nlistener 1884 127.0.0.2\n")
    assert [one["id"] for one in config["tcp"]] == ["mosquitto-1884", "mosquitto-1884-2"]


def test_logins(imported):
    conf = "per_listener_settings true\n"
    conf += "listener 1 127.0.0.1\npassword_file /a\n"
    conf += "listener 2 127.0.0.1\npassword_file /b\nuse_identity_as_username true\n"
    config, _, notes = imported(conf)
    assert config["auth"] == ["mosquitto:/a", "mosquitto:/b", "certificate"]
    assert notes == [
        "mosquitto.conf:3: password_file /a: its users may log in on every listener here, on this one alone there",
        "mosquitto.conf:5: password_file /b: its users may log in on every listener here, on this one alone there",
    ]


def test_relative_paths_are_those_of_the_folder_where_it_is_imported(imported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    conf = "listener 1 127.0.0.1\npassword_file passwd\ncertfile c.pem\ncafile ca.pem\nrequire_certificate true\n"
    config, _, notes = imported(conf + "connection up\naddress a:1\ntopic a out\nbridge_cafile ca.pem\n")
    assert config["auth"] == [f"mosquitto:{tmp_path}/passwd"]
    (listener,), (bridge,) = config["tcp"], config["connect"]
    assert {listener["privateKey"], listener["certKey"]} == {f"{tmp_path}/c.pem"}
    assert listener["client-ca"] == f"{tmp_path}/ca.pem"
    assert bridge["endpoint"] == f"tls:a:1:trustRoots={tmp_path}/ca.pem"
    assert notes == []


def test_acl(imported):
    acl = """topic read a
user ann b
topic b/{x}
topic write  with a space
user ben
topic deny c
user ann b
topic readwrite d
pattern read %u/%c/#
"""
    config, rules, notes = imported("listener 1 127.0.0.1\npassword_file /p\nacl_file @acl\n", acl=acl)
    assert config["permissions"] == "permissions.toml"
    assert rules == [
        {"who": {"login": False}, "allow": {"subscribe": "a"}},
        {
            "who": {"user": "ann b"},
            "allow": {"publish": ["b/{{x}}", "with a space", "d"], "subscribe": ["b/{{x}}", "d"]},
        },
        {"who": {"user": "ben"}, "deny": {"publish": "c", "subscribe": "c"}},
        {"who": "everyone", "allow": {"subscribe": "{user}/{client}/#"}},
    ]
    assert notes == []


def test_acl_of_one_listener_alone(imported):
    conf = (
        "per_listener_settings true\nlistener 1 127.0.0.1\nacl_file @acl\nlistener 2 127.0.0.1\nallow_anonymous true\n"
    )
    _, rules, _ = imported(conf, acl="topic a\npattern write b/%c\n")
    assert rules == [
        {"who": {"login": False, "listener": "mosquitto-1"}, "allow": {"publish": "a", "subscribe": "a"}},
        {"who": {"listener": "mosquitto-1"}, "allow": {"publish": "b/{client}"}},
        {"who": {"listener": "mosquitto-2"}, "allow": {"publish": "#", "subscribe": ["#", "$SYS/#"]}},
    ]


@pytest.mark.parametrize(
    ("conf", "acl", "says"),
    [
        (
            "persistence true",
            "",
            "mosquitto.conf:2: persistence true: hubbub run --state DIR stores sessions and messages",
        ),
        (
            "log_type all",
            "",
            "mosquitto.conf:2: log_type all: hubbub logs to standard output and the journal",
        ),
        (
            "plugin_opt_x 1",
            "",
            "mosquitto.conf:2: plugin_opt_x 1: hubbub doesn't load Mosquitto's plugins; `--auth` chooses",
        ),
        ("remote_password hunter2", "", "mosquitto.conf:2: remote_password ...: bridges of hubbub have no such key"),
        (
            "connection up\naddress a\nrestart_timeout 5",
            "",
            "mosquitto.conf:4: restart_timeout 5: bridges of hubbub have no such",
        ),
        (
            "connection up\naddress a b",
            "",
            "mosquitto.conf:3: address a b: they are dialled in turn; the first",
        ),
        (
            "connection up\naddress a\ntopic # in 0 l/ r/",
            "",
            "mosquitto.conf:4: topic # in 0 l/ r/: a bridge renames nothing here, but prefix= stands before all its",
        ),
        (
            "connection up\naddress a\nremote_password hunter2",
            "",
            "mosquitto.conf:4: remote_password ...: write it into a file of its own, and name that: password-file=",
        ),
        ("max_keepalive 60", "", "mosquitto.conf:2: max_keepalive 60: in MQTT 5 hubbub sends idle= as the maximum"),
        ("sys_interval 5", "", "mosquitto.conf:2: sys_interval 5: what has changed below $SYS is published every 10 s"),
        ("frobnicate 1", "", "mosquitto.conf:2: frobnicate 1: it isn't known here"),
        (
            "mount_point x",
            "",
            "mosquitto.conf:2: mount_point x: prefix= is put before / and the topic; this has no / at",
        ),
        (
            "require_certificate true\ncertfile /c",
            "",
            "mosquitto.conf:2: require_certificate true: it needs the authorities",
        ),
        ("protocol http_api", "", "mosquitto.conf:2: protocol http_api: it is neither mqtt nor websockets"),
        (
            "listener 2 hub.example",
            "",
            "mosquitto.conf:2: listener 2 hub.example: interface= takes an address, not a name;",
        ),
        ("listener 2", "", "mosquitto.conf:2: listener 2: it listens on IPv4 here; one with tcp6: and interface"),
        ("acl_file @acl", "topic a/#/b", "acl:1: topic a/#/b: # is only allowed as the last level, as in a/#"),
        ("acl_file @acl", "topic reed a", "acl:1: topic reed a: 'reed' isn't read, write, readwrite or deny"),
        ("acl_file @acl", "pattern a%u", "acl:1: pattern a%u: %u and %c stand alone in their level"),
        ("acl_file @acl", "topic", "acl:1: topic: it is empty"),
        ("acl_file @acl", "user", "acl:1: user: it is no line of an acl_file"),
        (
            "acl_file @acl",
            "topic a\npattern deny b",
            "acl:2: pattern deny b: here a deny wins: what this denies can't be",
        ),
        (
            "acl_file @acl",
            "user a\ntopic b",
            "mosquitto.conf:2: acl_file acl: it names users, but there is no password_file",
        ),
    ],
)
def test_what_cannot_be_carried_over_is_reported(imported, conf, acl, says):
    _, _, notes = imported(f"listener 1 127.0.0.1\n{conf}\n", acl=acl)
    assert notes[0].startswith(says)


def test_what_stands_before_the_first_listener(imported):
    _, _, notes = imported("certfile /c\nlistener 1 127.0.0.1\n")
    assert notes == ["mosquitto.conf:1: certfile /c: it stands before the first listener"]


def test_include_dir(imported):
    (folder,) = imported.args
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "b.conf").write_text("listener 2 127.0.0.1\n")
    (folder / "conf.d" / "a.conf").write_text("listener 1 127.0.0.1\nfrobnicate\n")
    (folder / "conf.d" / "c.txt").write_text("listener 3\n")
    config, _, notes = imported("include_dir @conf.d\n")
    assert [one["endpoint"] for one in config["tcp"]] == ["tcp:1", "tcp:2"]
    assert notes == ["conf.d/a.conf:2: frobnicate: it isn't known here"]


def test_files_are_written_once_and_hubbub_takes_them(tmp_path, capsys):
    (tmp_path / "acl").write_text("topic a/#\nuser bell\x07\ntopic x\ntopic bogus line\n")
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"listener 1883 127.0.0.1\nfrobnicate\nallow_anonymous true\nacl_file {tmp_path}/acl\n")
    command = ["import", "mosquitto", str(conf), "--into", str(tmp_path / "out")]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"{tmp_path}/out/hubbub.toml", f"{tmp_path}/out/permissions.toml"]
    reported = [line.removeprefix("hubbub: ") for line in said.err.splitlines()]
    assert len(reported) >= 3
    assert [line[2:] for line in (tmp_path / "out/hubbub.toml").read_text().splitlines()[-len(reported) :]] == reported
    assert any("no dialect mqtt is installed" in line for line in reported) != Plugins(()).has("dialect", "mqtt")
    options = Options()
    options.parseOptions(["--config", str(tmp_path / "out/hubbub.toml")])
    assert options.settings().permissions == tmp_path / "out/permissions.toml"
    assert main(["check-acl", "-", "publish", "a/b", "--permissions", str(tmp_path / "out/permissions.toml")]) == 0
    capsys.readouterr()
    assert main(command) == 1
    assert capsys.readouterr().err == (
        f"hubbub: {tmp_path}/out/hubbub.toml exists; --into FOLDER puts the files somewhere else\n"
    )


@pytest.mark.parametrize(
    ("conf", "says"),
    [
        (None, ": No such file or directory"),
        (b"\xff", ":1: it isn't UTF-8"),
        (b"listener x", ":1: listener x: expected a port, as in listener 1883"),
        (b"port 100000", ":1: port 100000: expected a port, as in port 1883"),
        (b"include_dir /nowhere", ":1: include_dir /nowhere: No such file or directory"),
    ],
)
def test_what_cannot_be_read(tmp_path, capsys, conf, says):
    path = tmp_path / "mosquitto.conf"
    if conf is not None:
        path.write_bytes(conf)
    assert main(["import", "mosquitto", str(path), "--into", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == f"hubbub: {path}{says}\n"
    assert not (tmp_path / "out").exists()


def test_a_bridge(imported):
    config, _, notes = imported(
        """listener 1883 127.0.0.1
        connection up
        address broker:8883
        topic sensors/# in 1
        topic cmd/# out 2 "" ""
        topic both both
        remote_username hub
        remote_clientid hub-1
        cleansession false
        keepalive_interval 30
        bridge_protocol_version mqttv311
        bridge_cafile @ca.pem
        connection other
        address [::1]:1884
        topic out
        """
    )
    first, second = config["connect"]
    trusted = first.pop("endpoint")
    assert trusted.startswith("tls:broker:8883:trustRoots=")
    assert first == {
        "id": "bridge-1", "dialect": "mqtt", "pull": ["sensors/#", "both"], "push": ["cmd/#", "both"], "qos": 2,
        "client": "hub-1", "user": "hub", "clean": False, "keep-alive": "30s", "version": "3.1.1",
    }  # fmt: skip
    endpoint = "tcp:\\:\\:1:1884"
    assert second == {"endpoint": endpoint, "id": "bridge-2", "dialect": "mqtt", "push": "out", "qos": 0}
    assert notes == []


def test_an_imported_bridge_is_taken(imported, tmp_path):
    config, *_ = imported("connection up\naddress localhost:1\ntopic a/# both 1\nclean_session true\n")
    lines = "\n".join(f"{key} = {toml(value)}" for key, value in config["connect"][0].items())
    (tmp_path / "hubbub.toml").write_text(f"[[connect]]\n{lines}\n")
    options = Options()
    options.parseOptions(["--config", str(tmp_path / "hubbub.toml")])
    [connector] = options.settings().connectors
    assert (connector.pull, connector.push) == (("a/#",), ("a/#",))


def test_the_addresses_of_a_bridge(imported):
    """With round_robin they are dialled as here, and there is nothing to note."""
    config, _, notes = imported("connection up\naddresses a [::1]:8883 b:1884\nround_robin true\ntopic a/#\n")
    connector = parse_connector(config["connect"][0], "--config")
    dialled = [str(connector.remote.turn(at)) for at in range(4)]
    assert dialled == ["tcp a:1883", "tcp [::1]:8883", "tcp b:1884", "tcp a:1883"]
    assert notes == []


@pytest.mark.parametrize("value", ["", 'a"b\\', "\x7f\x00\n", "é🛰\u2028", True, 5, ["a", "b"]])
def test_toml(value):
    assert tomllib.loads(f"x = {toml(value)}")["x"] == value
    assert toml(["a"]) == '"a"'


def test_every_option_of_mosquitto_is_known():
    """Those of mosquitto.conf(5) of 2.0; what begins with bridge_, auth_opt_ or plugin_opt_ is known by that."""
    manual = """acl_file allow_anonymous allow_zero_length_clientid auth_plugin auth_plugin_deny_special_chars
    auto_id_prefix autosave_interval autosave_on_changes bind_address bind_interface cafile capath
    certfile check_retain_source ciphers ciphers_tls1.3 clientid_prefixes connection_messages crlfile
    dhparamfile http_dir include_dir keyfile listener log_dest log_facility log_timestamp
    log_timestamp_format log_type max_connections max_inflight_bytes max_inflight_messages max_keepalive
    max_packet_size max_qos max_queued_bytes max_queued_messages max_topic_alias memory_limit
    message_size_limit mount_point password_file persistence persistence_file persistence_location
    persistent_client_expiration pid_file plugin port protocol psk_file psk_hint queue_qos0_messages
    require_certificate retain_available set_tcp_nodelay socket_domain sys_interval tls_engine
    tls_engine_kpass_sha1 tls_keyform tls_version upgrade_outgoing_qos use_identity_as_username
    use_subject_as_username use_username_as_clientid user websockets_headers_size websockets_log_level
    address addresses connection idle_timeout keepalive_interval local_cleansession local_clientid
    local_password local_username notification_topic notifications notifications_local_only
    remote_clientid remote_password remote_username restart_timeout round_robin start_type threshold
    topic try_private cleansession"""
    assert set(manual.split()) - KNOWN == set()
