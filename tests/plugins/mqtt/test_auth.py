"""plugins/mqtt: AUTH, the logins of several steps (MQTT 5.0 section 4.12), with the service's checkers behind them."""

from __future__ import annotations

import gc

import pytest
from twisted.cred.error import UnauthorizedLogin

from hubbub import limits
from hubbub.service.auth import login
from hubbub.service.auth.kinds import AuthExchange, IAuthExchange
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import Auth, Connack, Disconnect, Pingreq, Pingresp
from mqtt_client import V5, V311, Client, MqttHub

AUTH, CONTINUE, AGAIN = 15, 0x18, 0x19


class Sum:
    """Asks for sums: who adds well is ann, or who the proof names."""

    credentialInterfaces = (IAuthExchange,)
    methods = ("sum", "endless", "broken")

    def __init__(self):
        self.asked = []

    async def requestAvatarId(self, credentials):
        if credentials.method == "broken":
            raise RuntimeError("a mistake")
        while credentials.method == "endless":
            await credentials.challenge(b"again")
        for a, b in ((1, 2), (3, 4)):
            answer = await credentials.challenge(b"%d+%d" % (a, b))
            self.asked.append(answer)
            if answer != b"%d" % (a + b):
                raise UnauthorizedLogin("a text that says too much")
        credentials.last = b"well done"
        return credentials.data or b"ann"


class Attempts:
    def __init__(self):
        self.failures = 0

    def allowed(self, host):
        return self.failures < 3

    def failed(self, host):
        self.failures += 1


class Town(MqttHub):
    """A place where one has to add to come in."""

    def __init__(self, transport="tcp", **keys):
        self.attempts = Attempts()
        super().__init__(transport, **{"anonymous": False, **keys})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(login, "make_checker", lambda source, spec: Sum())
            self.logins = login.Logins(self.world.clock, [("--auth", "sum")], self.attempts)
        self.door.context.login = self.logins.login

    def begin(self, client="c", method="sum", data=None, **more):
        """Connect with a method; return the client and what it hears."""
        found = Client(self.door)
        properties = {"authentication_method": method, "authentication_data": data, **more}
        return found, found.send(packets.Connect(client=client, properties=properties))

    def enter(self, client="c", **more):
        found, _ = self.begin(client, **more)
        auth(found, b"3")
        (welcome,) = auth(found, b"7")
        assert welcome.code == 0
        return found


def auth(client, data, code=CONTINUE, method="sum"):
    properties = {"authentication_method": method, "authentication_data": data}
    return client.send(Auth(code=code, properties=properties))


def asks(data):
    return [Auth(code=CONTINUE, properties={"authentication_method": "sum", "authentication_data": data})]


@pytest.fixture(params=["tcp", "websocket"])
def town(request):
    return Town(request.param)


@pytest.mark.mqtt("5:4.12.0-2", "5:4.12.0-5", "5:3.15.2-1", "5:3.15.2-2", "5:3.15.2-3")
def test_a_login_in_steps(town):
    client, found = town.begin()
    assert found == asks(b"1+2")
    assert auth(client, b"3") == asks(b"3+4")
    (welcome,) = auth(client, b"7")
    assert isinstance(welcome, Connack)
    assert welcome.properties["authentication_method"] == "sum"
    assert welcome.properties["authentication_data"] == b"well done"
    assert client.ping() == [Pingresp()]
    assert [link.session.user for link in town.door.context.links] == ["ann"]
    assert town.attempts.failures == 0
    town.world.advance(100)
    assert not client.closed


@pytest.mark.mqtt("5:4.12.0-4")
def test_a_wrong_answer_is_a_failed_login(town):
    for left in (2, 1, 0):
        client, _ = town.begin()
        (refusal,) = auth(client, b"4")
        assert (refusal.code, refusal.properties["reason_string"]) == (0x87, "wrong user or password")
        assert client.closed
        assert town.attempts.failures == 3 - left
    client, (refusal,) = town.begin()
    assert refusal.code == 0x9F
    assert client.closed


@pytest.mark.parametrize("method", ["other", "", "SUM"])
@pytest.mark.mqtt("5:4.12.0-1")
def test_a_method_that_nobody_knows(town, method):
    client, (refusal,) = town.begin(method=method)
    assert (type(refusal), refusal.code) == (Connack, 0x8C)
    assert client.closed
    assert town.attempts.failures == 0


@pytest.mark.mqtt("5:4.12.0-1")
def test_a_hub_without_logins_knows_none():
    client = Client(MqttHub().door)
    (refusal,) = client.send(packets.Connect(client="c", properties={"authentication_method": "sum"}))
    assert refusal.code == 0x8C
    assert client.closed


@pytest.mark.mqtt("5:4.12.0-4")
def test_it_takes_a_bounded_number_of_steps(town):
    client, found = town.begin(method="endless")
    steps = 0
    while isinstance(found[0], Auth):
        steps += 1
        found = auth(client, b"", method="endless")
    assert steps == limits.LOGIN_STEPS
    assert found[0].code == 0x87
    assert client.closed
    assert town.attempts.failures == 1


@pytest.mark.mqtt("5:4.12.0-4")
def test_who_doesnt_answer_is_sent_away(town):
    client, _ = town.begin()
    town.world.advance(limits.LOGIN_STEP_SECONDS - 1)
    assert not client.closed
    town.world.advance(2)
    (refusal,) = client.heard()
    assert isinstance(refusal, Connack)
    assert refusal.code >= 0x80
    assert client.closed
    assert not town.logins._waiting


def test_who_goes_in_the_middle_leaves_nothing(town):
    client, _ = town.begin()
    client.end.vanish()
    town.world.turn()
    assert not town.logins._waiting
    assert not town.door.context.links
    assert town.attempts.failures == 0
    client, _ = town.begin()
    assert client.goodbye() == []
    town.world.turn()
    assert client.closed
    assert not town.logins._waiting


def test_who_goes_in_the_middle_is_held_by_nobody(town):
    def held():
        gc.collect()
        return sum(isinstance(one, AuthExchange) and one.data == b"leaver" for one in gc.get_objects())

    client, _ = town.begin(data=b"leaver")
    assert held() == 1
    client.end.vanish()
    town.world.turn()
    assert held() == 0


def test_a_checker_that_fails(town):
    client, (refusal,) = town.begin(method="broken")
    assert refusal.code == 0x88
    assert client.closed


PUBLISH = packets.Publish(topic="a")
SUBSCRIBE = packets.Subscribe(id=1, subscriptions=[packets.Subscription(filter="a")])


@pytest.mark.parametrize("packet", [PUBLISH, SUBSCRIBE, Pingreq()])
@pytest.mark.mqtt("5:3.2.0-1", "5:3.1.4-6")
def test_nothing_else_comes_before_the_welcome(packet):
    town = Town(anonymous=True)
    ear = town.client("ear")
    ear.subscribe("#")
    client, _ = town.begin()
    (refusal,) = client.send(packet)
    assert (type(refusal), refusal.code) == (Connack, 0x82)
    assert client.closed
    client = Client(town.door)
    first = packets.Connect(client="d", properties={"authentication_method": "sum"}).encode(V5)
    refusal = client.raw(first + packet.encode(V5))[-1]
    assert (type(refusal), refusal.code) == (Connack, 0x82)
    assert client.closed
    assert ear.heard() == []


@pytest.mark.parametrize(("code", "method"), [(CONTINUE, "other"), (AGAIN, "sum"), (0, "sum"), (CONTINUE, None)])
@pytest.mark.mqtt("5:3.15.2-1", "5:4.12.0-5")
def test_an_auth_that_is_wrong(code, method):
    client, _ = Town().begin()
    (refusal,) = auth(client, b"3", code, method)
    assert (type(refusal), refusal.code) == (Connack, 0x82)
    assert client.closed


@pytest.mark.mqtt("5:4.12.0-7")
def test_an_auth_without_a_method_in_connect():
    client = MqttHub().client("c")
    (refusal,) = auth(client, b"3", AGAIN)
    assert (type(refusal), refusal.code) == (Disconnect, 0x82)
    assert client.closed


@pytest.mark.parametrize("version", [V311])
def test_there_is_no_auth_before_version_5(version):
    client = MqttHub().client("c", version)
    client.raw(b"\xf0\x00")
    assert client.closed


# Again


@pytest.mark.mqtt("5:4.12.0-5", "5:4.12.1-1")
def test_logging_in_again(town):
    client = town.enter()
    assert auth(client, b"", AGAIN) == asks(b"1+2")
    assert client.ping() == [Pingresp()]
    assert auth(client, b"3") == asks(b"3+4")
    (done,) = auth(client, b"7")
    properties = {"authentication_method": "sum", "authentication_data": b"well done"}
    assert done == Auth(code=0, properties=properties)
    assert client.ping() == [Pingresp()]
    assert auth(client, b"", AGAIN) == asks(b"1+2")


@pytest.mark.mqtt("5:4.12.1-2")
def test_failing_to_log_in_again(town):
    client = town.enter()
    auth(client, b"", AGAIN)
    (gone,) = auth(client, b"4")
    assert (type(gone), gone.code) == (Disconnect, 0x87)
    assert client.closed
    assert town.attempts.failures == 1


@pytest.mark.mqtt("5:4.12.1-2")
def test_somebody_else_cant_log_in_again(town):
    client = town.enter()
    auth(client, b"bob", AGAIN)
    auth(client, b"3")
    (gone,) = auth(client, b"7")
    assert (type(gone), gone.code) == (Disconnect, 0x87)
    assert client.closed


@pytest.mark.parametrize("code", [AGAIN, 0])
def test_an_auth_that_is_wrong_then(town, code):
    client = town.enter()
    auth(client, b"", AGAIN)
    (gone,) = auth(client, b"3", code)
    assert (type(gone), gone.code) == (Disconnect, 0x82)
    assert client.closed
    assert not town.logins._waiting


@pytest.mark.mqtt("5:4.12.1-1")
def test_logging_in_again_by_another_method(town):
    client = town.enter()
    (gone,) = auth(client, b"", AGAIN, "endless")
    assert (type(gone), gone.code) == (Disconnect, 0x82)
    assert client.closed


def test_an_answer_that_nobody_waits_for(town):
    client = town.enter()
    (gone,) = auth(client, b"3")
    assert gone.code == 0x82
    assert client.closed


def test_who_doesnt_answer_then(town):
    client = town.enter()
    auth(client, b"", AGAIN)
    town.world.advance(limits.LOGIN_STEP_SECONDS + 1)
    (gone,) = client.heard()
    assert isinstance(gone, Disconnect)
    assert gone.code >= 0x80
    assert client.closed
