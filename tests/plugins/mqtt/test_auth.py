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


class AuthHub(MqttHub):
    """A place where one has to add to come in."""

    def __init__(self, transport="tcp", **keys):
        self.attempts = Attempts()
        super().__init__(transport, **{"anonymous": False, **keys})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(login, "make_checker", lambda source, spec: Sum())
            self.logins = login.Logins(self.world.clock, [("--auth", "sum")], self.attempts)
        self.listener.context.login = self.logins.login

    def begin(self, client="c", method="sum", data=None, **more):
        """Connect with a method; return the client and what it hears."""
        found = Client(self.listener)
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
def hub(request):
    return AuthHub(request.param)


@pytest.mark.mqtt("5:4.12.0-2", "5:4.12.0-5", "5:3.15.2-1", "5:3.15.2-2", "5:3.15.2-3")
def test_a_login_in_steps(hub):
    client, found = hub.begin()
    assert found == asks(b"1+2")
    assert auth(client, b"3") == asks(b"3+4")
    (welcome,) = auth(client, b"7")
    assert isinstance(welcome, Connack)
    assert welcome.properties["authentication_method"] == "sum"
    assert welcome.properties["authentication_data"] == b"well done"
    assert client.ping() == [Pingresp()]
    assert [link.session.user for link in hub.listener.context.links] == ["ann"]
    assert hub.attempts.failures == 0
    hub.world.advance(100)
    assert not client.closed


@pytest.mark.mqtt("5:4.12.0-4")
def test_a_wrong_answer_is_a_failed_login(hub):
    for left in (2, 1, 0):
        client, _ = hub.begin()
        (refusal,) = auth(client, b"4")
        assert (refusal.code, refusal.properties["reason_string"]) == (0x87, "wrong user or password")
        assert client.closed
        assert hub.attempts.failures == 3 - left
    client, (refusal,) = hub.begin()
    assert refusal.code == 0x9F
    assert client.closed


@pytest.mark.parametrize("method", ["other", "", "SUM"])
@pytest.mark.mqtt("5:4.12.0-1")
def test_an_unknown_method(hub, method):
    client, (refusal,) = hub.begin(method=method)
    assert (type(refusal), refusal.code) == (Connack, 0x8C)
    assert client.closed
    assert hub.attempts.failures == 0


@pytest.mark.mqtt("5:4.12.0-1")
def test_a_hub_without_logins_knows_none():
    client = Client(MqttHub().listener)
    (refusal,) = client.send(packets.Connect(client="c", properties={"authentication_method": "sum"}))
    assert refusal.code == 0x8C
    assert client.closed


@pytest.mark.mqtt("5:4.12.0-4")
def test_it_takes_a_bounded_number_of_steps(hub):
    client, found = hub.begin(method="endless")
    steps = 0
    while isinstance(found[0], Auth):
        steps += 1
        found = auth(client, b"", method="endless")
    assert steps == limits.LOGIN_STEPS
    assert found[0].code == 0x87
    assert client.closed
    assert hub.attempts.failures == 1


@pytest.mark.mqtt("5:4.12.0-4")
def test_a_client_that_doesnt_answer_is_sent_away(hub):
    client, _ = hub.begin()
    hub.world.advance(limits.LOGIN_STEP_SECONDS - 1)
    assert not client.closed
    hub.world.advance(2)
    (refusal,) = client.output()
    assert isinstance(refusal, Connack)
    assert refusal.code >= 0x80
    assert client.closed
    assert not hub.logins._waiting


def test_a_client_that_goes_in_the_middle_leaves_nothing(hub):
    client, _ = hub.begin()
    client.end.vanish()
    hub.world.turn()
    assert not hub.logins._waiting
    assert not hub.listener.context.links
    assert hub.attempts.failures == 0
    client, _ = hub.begin()
    assert client.goodbye() == []
    hub.world.turn()
    assert client.closed
    assert not hub.logins._waiting


def test_a_client_that_leaves_during_a_login_is_released(hub):
    def held():
        gc.collect()
        return sum(isinstance(one, AuthExchange) and one.data == b"leaver" for one in gc.get_objects())

    client, _ = hub.begin(data=b"leaver")
    assert held() == 1
    client.end.vanish()
    hub.world.turn()
    assert held() == 0


def test_a_checker_that_fails(hub):
    client, (refusal,) = hub.begin(method="broken")
    assert refusal.code == 0x88
    assert client.closed


PUBLISH = packets.Publish(topic="a")
SUBSCRIBE = packets.Subscribe(id=1, subscriptions=[packets.Subscription(filter="a")])


@pytest.mark.parametrize("packet", [PUBLISH, SUBSCRIBE, Pingreq()])
@pytest.mark.mqtt("5:3.2.0-1", "5:3.1.4-6")
def test_nothing_else_comes_before_the_welcome(packet):
    hub = AuthHub(anonymous=True)
    ear = hub.client("ear")
    ear.subscribe("#")
    client, _ = hub.begin()
    (refusal,) = client.send(packet)
    assert (type(refusal), refusal.code) == (Connack, 0x82)
    assert client.closed
    client = Client(hub.listener)
    first = packets.Connect(client="d", properties={"authentication_method": "sum"}).encode(V5)
    refusal = client.raw(first + packet.encode(V5))[-1]
    assert (type(refusal), refusal.code) == (Connack, 0x82)
    assert client.closed
    assert ear.output() == []


@pytest.mark.parametrize(("code", "method"), [(CONTINUE, "other"), (AGAIN, "sum"), (0, "sum"), (CONTINUE, None)])
@pytest.mark.mqtt("5:3.15.2-1", "5:4.12.0-5")
def test_an_auth_that_is_wrong(code, method):
    client, _ = AuthHub().begin()
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
def test_logging_in_again(hub):
    client = hub.enter()
    assert auth(client, b"", AGAIN) == asks(b"1+2")
    assert client.ping() == [Pingresp()]
    assert auth(client, b"3") == asks(b"3+4")
    (done,) = auth(client, b"7")
    properties = {"authentication_method": "sum", "authentication_data": b"well done"}
    assert done == Auth(code=0, properties=properties)
    assert client.ping() == [Pingresp()]
    assert auth(client, b"", AGAIN) == asks(b"1+2")


@pytest.mark.mqtt("5:4.12.1-2")
def test_failing_to_log_in_again(hub):
    client = hub.enter()
    auth(client, b"", AGAIN)
    (gone,) = auth(client, b"4")
    assert (type(gone), gone.code) == (Disconnect, 0x87)
    assert client.closed
    assert hub.attempts.failures == 1


@pytest.mark.mqtt("5:4.12.1-2")
def test_another_user_cannot_log_in_again(hub):
    client = hub.enter()
    auth(client, b"bob", AGAIN)
    auth(client, b"3")
    (gone,) = auth(client, b"7")
    assert (type(gone), gone.code) == (Disconnect, 0x87)
    assert client.closed


@pytest.mark.parametrize("code", [AGAIN, 0])
def test_an_auth_that_is_wrong_then(hub, code):
    client = hub.enter()
    auth(client, b"", AGAIN)
    (gone,) = auth(client, b"3", code)
    assert (type(gone), gone.code) == (Disconnect, 0x82)
    assert client.closed
    assert not hub.logins._waiting


@pytest.mark.mqtt("5:4.12.1-1")
def test_logging_in_again_by_another_method(hub):
    client = hub.enter()
    (gone,) = auth(client, b"", AGAIN, "endless")
    assert (type(gone), gone.code) == (Disconnect, 0x82)
    assert client.closed


def test_an_answer_without_a_pending_request(hub):
    client = hub.enter()
    (gone,) = auth(client, b"3")
    assert gone.code == 0x82
    assert client.closed


def test_a_client_that_doesnt_answer_then(hub):
    client = hub.enter()
    auth(client, b"", AGAIN)
    hub.world.advance(limits.LOGIN_STEP_SECONDS + 1)
    (gone,) = client.output()
    assert isinstance(gone, Disconnect)
    assert gone.code >= 0x80
    assert client.closed
