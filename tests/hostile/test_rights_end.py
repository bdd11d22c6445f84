"""Each way in which a right can end, and each state of a client: nothing comes to it, or of it, from then on."""

from __future__ import annotations

import contextlib
import functools
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from hostile.rights import WAYS, Scene, lines_of, messages_of, trace
from waiting import wait_until

STATES = (
    "link", "page", "requests", "lease", "device", "away", "group", "flight", "will", "will of a session",
    "published", "trace",
)  # fmt: skip
THE_END = ("this login isn't good any more", "the logins of this listener have changed", "you may no longer receive")
KEEPS_ITS_LOGIN = "the permission is revoked"
TAKES_ITS_TIME = "the token has expired"


def cells():
    """Each way with each state that there is: no datagram has a token, no page a certificate, no connector a login."""
    for way, (kind, _) in sorted(WAYS.items(), key=lambda one: one[0] == TAKES_ITS_TIME):
        for state in STATES:
            none = {
                "lease": kind in ("token", "certificate"),
                "page": kind == "certificate",
                "device": way != KEEPS_ITS_LOGIN,
            }
            if not none.get(state):
                yield way, state


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What comes of a client after its right has ended in one of the ways, by state; it is played once for each.

    The way that takes its time is played beside the others, in a folder that is made before: pytest's factory of
    temporary folders isn't for several threads.
    """
    folders = {way: tmp_path_factory.mktemp("rights") for way in WAYS}

    def play_in_a_hub(way):
        kind, end = WAYS[way]
        with contextlib.ExitStack() as stack:
            scene = Scene(folders[way], kind, stack)
            return play(scene, end, way == KEEPS_ITS_LOGIN)

    with ThreadPoolExecutor(1) as beside:
        slow = beside.submit(play_in_a_hub, TAKES_ITS_TIME)

        @functools.cache
        def played(way):
            return slow.result() if way == TAKES_ITS_TIME else play_in_a_hub(way)

        yield played


def play(scene, end, keeps_login):
    """Have a client in each state, end their right, and return what comes of them then that shouldn't, by state."""
    cast = Cast(scene)
    reported = trace(scene)
    end(scene)
    scene.reload()
    cast.go_on()
    found = cast.outcome(keeps_login)
    cast.observer.send("PUB ann/end end")
    found["trace"] = []
    while "ann/end" not in str((record := next(reported)).get("in")):
        if "topic" in record and record["listener"] not in ("open", "device"):
            found["trace"].append(str(record))
    return found


class Cast:
    """A client in each state, and those that publish to them, answer them, and see what comes of them."""

    def __init__(self, scene):
        self.scene = scene
        self.device = scene.stack.enter_context(scene.device.accept()[0])
        self.device.settimeout(30)
        self.observer, self.answerer = scene.open(), scene.open()
        self.publisher, self.worker = scene.open_mqtt("publisher"), scene.open_mqtt("worker")
        said = self.answerer.ask('{"op":"subscribe","topic":"ann/ask","meta":true}')
        assert json.loads(said)["op"] == "subscribed"
        self.link, self.asking = scene.lines(), scene.json()
        assert self.link.ask("SUB ann/link") == "OK SUB ann/link"
        self.page = scene.page()
        if self.page is not None:
            assert self.page.ask("SUB ann/page") == "OK SUB ann/page"
        self.asking.send('{"op":"request","topic":"ann/ask","data":1,"timeout":60}')
        self.back = json.loads(self.answerer.line())["reply_to"]
        self.lease = scene.datagrams()
        if self.lease is not None:
            said = self.lease.ask(scene.datagram("SUB ann/lease"))
            if said.startswith("CONFIRM"):
                said = self.lease.ask(scene.datagram("SUB ann/lease", said))
            assert said == "OK SUB ann/lease"
        self.willing = scene.mqtt("willing", "ann/will")
        self.leave_sessions()
        assert self.observer.ask("SUB ann/#") == "OK SUB ann/#"

    def leave_sessions(self):
        """Leave sessions with what waits in them; `worker` isn't one of those whose right ends."""
        scene, worker = self.scene, self.worker
        away, member, flight = scene.mqtt("away"), scene.mqtt("member"), scene.mqtt("flight")
        gone = scene.mqtt("gone", "ann/late", 600)
        away.subscribe("ann/away")
        member.subscribe("$share/workers/ann/jobs")
        flight.subscribe("$share/flyers/ann/flight")
        self.publisher.publish("ann/flight", b"before")
        assert flight.next().payload == b"before"
        worker.subscribe("$share/workers/ann/jobs")
        worker.subscribe("$share/flyers/ann/flight")
        for one in (away, member, flight, gone, worker):
            one.drop()
        wait_until(lambda: scene.away() == 5)
        self.publish("before", "1", "2")

    def publish(self, what, *jobs):
        self.publisher.publish("ann/away", what.encode())
        for job in jobs:
            self.publisher.publish("ann/jobs", job.encode())

    def go_on(self):
        """The right has ended: publish to all of them, answer, and have them publish."""
        self.answerer.send(json.dumps({"op": "publish", "topic": self.back, "data": "2"}))
        for topic in ("link", "page", "lease", "device"):
            self.observer.send(f"PUB ann/{topic} after")
        self.publish("after", "3", "4")
        with contextlib.suppress(OSError):
            self.link.send("PUB ann/published after")
        with contextlib.suppress(OSError):
            self.willing.drop()

    def outcome(self, keeps_login):
        scene = self.scene
        page = [] if self.page is None else messages_of(self.page)
        found = {
            "link": [line for line in lines_of(self.link) if line.startswith(("MSG", "GAP"))],
            "requests": [line for line in lines_of(self.asking, '{"op":"ping"}') if "reply" in line],
            "page": [line for line in page if line.startswith(("MSG", "GAP"))],
            "lease": [] if self.lease is None else leased(scene, self.lease),
        }
        if keeps_login:
            found["device"] = [str(said) for said in iter(lambda: self.device.recv(100), b"")]
            found["away"] = [str(payload) for payload in output(lambda: scene.mqtt("away"))]
        else:
            found["away"] = [f"{scene.away() - 1} sessions"] if scene.away() > 1 else []
        come = output(lambda: scene.open_mqtt("worker"))
        found["group"] = [job for job in ("1", "2", "3", "4") if job.encode() not in come]
        found["flight"] = [] if b"before" in come else ["nothing"]
        reported = list(lines_of(self.observer))
        for state, topic in (("will", "ann/will"), ("will of a session", "ann/late"), ("published", "ann/published")):
            found[state] = [line for line in reported if f" {topic} " in line]
        return found


def leased(scene, lease):
    """What comes to a lease, up to the answer to one more datagram."""
    lease.send(scene.datagram("NONSENSE"))
    found = []
    while (line := lease.line()) == "BYE" or line.startswith(("MSG", "GAP")) or any(one in line for one in THE_END):
        found += [line] * line.startswith(("MSG", "GAP"))
    return found


def output(come_back):
    """What comes to a client that comes back; it may be told first that a subscription has ended, and be closed."""
    with contextlib.suppress(EOFError):
        return come_back().output()
    return come_back().output()


@pytest.mark.parametrize(("way", "state"), list(cells()))
def test_nothing_comes_of_it_any_more(outcome, way, state):
    assert outcome(way)[state] == []
