"""--cluster and [cluster]: where the servers are, and as which node the daemon joins."""

from __future__ import annotations

import pytest

from hubbub.errors import ConfigError
from hubbub.service.config.cluster import parse_cluster
from hubbub.service.config.options import Options


def parsed(*words):
    options = Options()
    options.parseOptions(list(words))
    return options.settings().cluster


def test_without_the_option_there_is_no_cluster():
    assert parsed() is None


@pytest.mark.parametrize(
    "spec",
    [
        "nats://a:4222,nats://b:4333:name=n1:replicas=3",
        "nats://a,b:4333:name=n1:replicas=3",
        r"tcp:a:4222:servers=b\:4333:name=n1:replicas=3",
    ],
)
def test_several_servers(spec):
    found = parsed("--cluster", spec)
    assert [str(found.remote.turn(at)) for at in range(3)] == ["tcp a:4222", "tcp b:4333", "tcp a:4222"]
    assert (found.name, found.cluster, found.replicas, found.user) == ("n1", "hubbub", 3, "")


def test_a_table(tmp_path):
    (tmp_path / "p").write_text("secret\n")
    file = tmp_path / "hubbub.toml"
    keys = f'name = "n1"\nreplicas = 3\nuser = "hub"\npassword-file = "{tmp_path / "p"}"\n'
    file.write_text(f'[cluster]\nservers = "nats://a:4222,nats://b:4222"\n{keys}')
    found = parsed("--config", str(file))
    assert (found.remote.servers, found.name, found.replicas, found.user) == (2, "n1", 3, "hub")
    assert found.password_file == "secret"
    assert "secret" not in repr(found)


def test_the_name_of_the_machine_is_the_default():
    assert parse_cluster("nats://a", "--cluster").name


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("udp:a:1", "the servers of a cluster are nats://HOST:PORT, or tls:HOST:PORT"),
        ("ws://a/", "the servers of a cluster are"),
        ("nats://a,mqtt://b:name=x", "all servers are nats:// or have no scheme"),
        ("nats://u:p@a:name=x", "a URL with a user and a password isn't supported"),
        ("nats://a:name=x.y", "expected up to 32 letters, digits, _ and -"),
        (f"nats://a:name={'x' * 33}", "expected up to 32"),
        ("nats://a:stream-age=1min", "expected 10min at least"),
        ("nats://a:stream-bytes=1MiB", "expected 16MiB at least"),
        ("nats://a:replicas=0", "expected a number from 1 to 5"),
        ("nats://a:replicas=x", "expected a whole number"),
        ("nats://a:pull=x", "unknown key pull=; there are name"),
        ("nats://a:name=x:name=y", "name= is given twice"),
        ("nats://a:password-file=/nowhere", "it can't be read: No such file"),
    ],
)
def test_a_mistake(spec, says):
    with pytest.raises(ConfigError) as error:
        parse_cluster(spec, "--cluster")
    assert says in str(error.value)
    assert str(error.value).startswith("--cluster nats" if spec.startswith("nats") else "--cluster ")
