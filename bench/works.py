"""The works of the benchmark, a row each, and what hubbub aims at in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

KIB = 1024
FANOUT = 1_000  # subscribers
PAIRS = 100
IN_FLIGHT = 50  # of each publisher, where many publish
IDLE = 8_000  # links
OURS = ("hubbub", "compiled")
TCP = (*OURS, "mosquitto", "nats", "redis")
FLOORED = (*TCP, "floor")
WEB = (*OURS, "nats", "mosquitto")
HISTORIES = ("history-memory", "history-process", "history-fsync")
KEEPING = ("hubbub", "process", "fsync", "mosquitto-kept")
GROWN = (*OURS, "mosquitto", "nats")

WINDOWED = {"window": 10}  # of what is acknowledged: Mosquitto lets 20 fly for each client

Load = dict[str, int | str]  # options of load.c


@dataclass(frozen=True)
class Measure:
    """What a work's figure is."""

    unit: str
    more_is_better: bool = True


DELIVERIES = Measure("messages/s")
DATAGRAMS = Measure("datagrams/s")
LOST = Measure("% lost", more_is_better=False)
REQUESTS = Measure("requests/s")
CONNECTIONS = Measure("connections/s")
P99 = Measure("us (p99)", more_is_better=False)
MEMORY = Measure("KiB/link", more_is_better=False)
SECONDS = Measure("s", more_is_better=False)


@dataclass(frozen=True)
class Aim:
    """Our figure against a peer's, or our own in another work, or a number (`peer` None).

    compiled  the ratio of the compiled build where it is another one; 0: this one has no such aim
    """

    ratio: float
    peer: str | None
    work: str = ""
    compiled: float | None = None

    def of(self, build: str) -> float:
        """The ratio that a build is to reach."""
        return self.ratio if self.compiled is None or build == OURS[0] else self.compiled


@dataclass(frozen=True)
class Work:
    """One row: what the load is asked to do (options of load.c), with whom, and the aims."""

    name: str
    title: str
    measure: Measure
    load: Load
    peers: tuple[str, ...]
    aims: tuple[Aim, ...] = ()
    growth: tuple[str, int] | None = field(default=None)  # the curve that it is a point of, and where

    @property
    def web(self) -> bool:
        """Does the load speak to the port of WebSocket and HTTP?"""
        return bool(self.load.get("websocket")) or self.load.get("protocol") == "http"


def _flow(name: str, title: str, peers: tuple[str, ...], *aims: Aim, **load: int) -> Work:
    return Work(name, title, DELIVERIES, {"work": "flow", **load}, peers, aims)


def _main() -> list[Work]:
    fanout, fanin, pairs = {"subscribers": FANOUT}, {"publishers": PAIRS}, {"groups": PAIRS}
    one = (Aim(0.85, "floor"), Aim(2, "mosquitto"), Aim(2, "nats"))
    many = (Aim(10, "mosquitto"), Aim(4, "nats"))
    busy = (Aim(3, "mosquitto"), Aim(0.6, "nats", compiled=1))
    lone = (Aim(0.8, "mosquitto", compiled=1), Aim(1.3, "nats"))
    into = (Aim(2, "mosquitto"), Aim(0.6, "nats", compiled=1))
    return [
        _flow("fanout-1", "1 -> 1,000, one in flight", FLOORED, *one, **fanout),
        _flow("fanout-1-16B", "the same, 16 bytes", FLOORED, size=16, **fanout),
        _flow("fanout-1-1KiB", "the same, 1 KiB", FLOORED, size=KIB, **fanout),
        _flow("fanout-1-64KiB", "the same, 64 KiB", FLOORED, size=64 * KIB, **fanout),
        _flow("fanout-100", "1 -> 1,000, 100 in flight", FLOORED, *many, window=100, **fanout),
        _flow("fanin", "100 -> 1, 50 in flight each", FLOORED, *into, window=IN_FLIGHT, **fanin),
        _flow("pairs-50", "100 pairs, 50 in flight", TCP, *busy, window=IN_FLIGHT, **pairs),
        _flow("pairs-1", "100 pairs, one in flight", TCP, *lone, **pairs),
    ]


def _web() -> list[Work]:
    fanout, pairs = {"websocket": 1, "subscribers": FANOUT}, {"websocket": 1, "groups": PAIRS}
    title, with_bare = "WebSocket, {}".format, (*WEB, "autobahn")
    less, more = Aim(1.4, "nats"), Aim(2.5, "nats")
    busy = (Aim(0.4, "nats", compiled=0.8), Aim(8, "autobahn"))
    lone = (Aim(0, "nats", compiled=1), Aim(3.5, "autobahn"))
    return [
        _flow("ws-fanout-1", title("1 -> 1,000, one in flight"), with_bare, less, **fanout),
        _flow("ws-fanout-100", title("1 -> 1,000, 100 in flight"), WEB, more, window=100, **fanout),
        _flow("ws-pairs-50", title("100 pairs, 50 in flight"), with_bare, *busy, window=IN_FLIGHT, **pairs),
        _flow("ws-pairs-1", title("100 pairs, one in flight"), with_bare, *lone, **pairs),
    ]


def _http() -> list[Work]:
    """Publishes, beside a server that only answers, and streams of server-sent events, beside WebSocket."""
    http: Load = {"protocol": "http"}
    posts: Load = {"work": "posts", "links": IN_FLIGHT, **http}
    fanout: Load = {"work": "flow", "subscribers": FANOUT, **http}
    return [
        Work("http-publish", "POST from 50 connections", REQUESTS, posts, (*OURS, "aiohttp"), (Aim(2, "aiohttp"),)),
        Work(
            "http-fanout-1", "server-sent events, 1 -> 1,000, one in flight", DELIVERIES, fanout, OURS,
            (Aim(0.8, "hubbub", "ws-fanout-1"),),
        ),
    ]  # fmt: skip


def _tls() -> list[Work]:
    """MQTT over TLS: what devices in the field speak."""
    peers, plain, web = (*OURS, "mosquitto"), {"protocol": "mqtt", "tls": 1}, {"websocket": 1}
    pairs, fanout = {"groups": PAIRS}, {"subscribers": FANOUT}
    lone, wide = Aim(0.7, "mosquitto", compiled=1), Aim(1.2, "mosquitto")
    flows = [
        ("tls-fanout-200", "TLS, 1 -> 200, one in flight", {"subscribers": 200}, wide),
        ("tls-fanout-1", "TLS, 1 -> 1,000, one in flight", fanout, wide),
        ("tls-pairs-1", "TLS, 100 pairs, one in flight", pairs, lone),
        ("tls-pairs-50", "TLS, 100 pairs, 50 in flight", pairs | {"window": IN_FLIGHT}),
        ("wss-fanout-1", "WebSocket over TLS, 1 -> 1,000, one in flight", web | fanout),
        ("wss-pairs-1", "WebSocket over TLS, 100 pairs, one in flight", web | pairs),
    ]
    found = [
        Work(name, title, DELIVERIES, {"work": "flow", **plain, **load}, peers, tuple(aims))
        for name, title, load, *aims in flows
    ]
    resumed = Aim(3, "hubbub", "tls-connect")
    churn: Load = {"work": "churn", "churn": 20, **plain}
    idle: Load = {"work": "idle", "links": IDLE, **plain}
    return [
        *found,
        Work("tls-connect", "TLS, connect, greet, close", CONNECTIONS, churn, peers, (Aim(0.8, "mosquitto"),)),
        Work("tls-resume", "the same, sessions resumed", CONNECTIONS, churn | {"resume": 1}, peers, (resumed,)),
        Work("wss-connect", "WebSocket over TLS, the same", CONNECTIONS, churn | web, peers),
        Work("tls-memory", "TLS, 8,000 idle links", MEMORY, idle, peers, (Aim(25, None),)),
        Work("wss-memory", "WebSocket over TLS, 8,000 idle links", MEMORY, idle | web, peers),
    ]


def _mqtt() -> list[Work]:
    """The same spoken in MQTT, and what only it has: messages that are acknowledged on both sides."""
    peers, plain, web = (*OURS, "mosquitto"), {"protocol": "mqtt"}, {"protocol": "mqtt", "websocket": 1}
    fanout, fanin, pairs = {"subscribers": FANOUT}, {"publishers": PAIRS}, {"groups": PAIRS}
    works = [
        ("mqtt-fanout-1", "1 -> 1,000, one in flight", plain | fanout),
        ("mqtt-fanout-100", "1 -> 1,000, 100 in flight", plain | fanout | {"window": 100}),
        ("mqtt-fanin", "100 -> 1, 50 in flight each", plain | fanin | {"window": IN_FLIGHT}),
        ("mqtt-pairs-50", "100 pairs, 50 in flight", plain | pairs | {"window": IN_FLIGHT}),
        ("mqtt-pairs-1", "100 pairs, one in flight", plain | pairs),
        ("mqtt-ws-fanout-1", "WebSocket, 1 -> 1,000, one in flight", web | fanout),
        ("mqtt-ws-pairs-50", "WebSocket, 100 pairs, 50 in flight", web | pairs | {"window": IN_FLIGHT}),
    ]
    aims = {"mqtt-pairs-50": (Aim(0.9, "hubbub", "pairs-50"),)}
    found = [
        Work(name, f"MQTT, {title}", DELIVERIES, {"work": "flow", **load}, peers, aims.get(name, ()))
        for name, title, load in works
    ]
    for qos in (1, 2):
        titled, load = f"MQTT QoS {qos}, {{}}".format, {"work": "flow", "protocol": f"mqtt-{qos}"}
        acknowledged = (Aim(1.2, "mosquitto", compiled=2),) if qos == 1 else ()
        found += [
            Work(
                f"qos{qos}-pairs-10",
                titled("100 pairs, 10 in flight"),
                DELIVERIES,
                load | pairs | WINDOWED,
                peers,
                acknowledged,
            ),
            Work(
                f"qos{qos}-fanout-10", titled("1 -> 1,000, 10 in flight"), DELIVERIES, load | fanout | WINDOWED, peers
            ),
        ]
    return found


def _kept() -> list[Work]:
    """What is acknowledged is kept for sessions whose clients are away."""
    one: Load = {"work": "away", "publishers": PAIRS, "window": 10, "away": 1}
    many: Load = {"work": "away", "publishers": 1, "window": 10, "away": FANOUT}
    paced: Load = {"work": "away", "away": 1, "rate": 500}
    return [
        Work("kept-1", "QoS 1, 100 publishers, 10 in flight -> 1 away", DELIVERIES, one, KEEPING),
        Work("kept-1000", "QoS 1, 1 publisher, 10 in flight -> 1,000 away", DELIVERIES, many, KEEPING),
        Work("kept-latency", "QoS 1, 500/s -> 1 away, until PUBACK", P99, paced, (*KEEPING, "disk")),
    ]


def _history() -> list[Work]:
    """What is acknowledged is in a history, or a stream of JetStream, for clients that come later."""
    publish: Load = {"work": "away", "publishers": PAIRS, "window": 10, "away": 0}
    _, process, fsync = HISTORIES
    streams = ("hubbub", *HISTORIES, "jetstream", "jetstream-always")
    return [
        Work("history-publish", "QoS 1, 100 publishers, 10 in flight -> a history", DELIVERIES, publish, streams),
        Work(
            "history-replay", "1,000,000 messages to one client", DELIVERIES,
            {"work": "replay", "messages": 1_000_000}, (process, fsync),
        ),
    ]  # fmt: skip


def _spoken(protocol: str, title: str, peers: tuple[str, ...], aims: Callable[[str], tuple[Aim, ...]]) -> list[Work]:
    """The flows of the first rows in another protocol; `aims`: those of each, by its name."""
    works: list[tuple[str, str, Load]] = [
        ("fanout-1", "1 -> 1,000, one in flight", {"subscribers": FANOUT}),
        ("fanout-100", "1 -> 1,000, 100 in flight", {"subscribers": FANOUT, "window": 100}),
        ("fanin", "100 -> 1, 50 in flight each", {"publishers": PAIRS, "window": IN_FLIGHT}),
        ("pairs-50", "100 pairs, 50 in flight", {"groups": PAIRS, "window": IN_FLIGHT}),
        ("pairs-1", "100 pairs, one in flight", {"groups": PAIRS}),
    ]
    flow: Load = {"work": "flow", "protocol": protocol}
    return [
        Work(f"{protocol}-{name}", f"{title}, {what}", DELIVERIES, {**flow, **load}, peers, aims(name))
        for name, what, load in works
    ]


def _ids(protocol: str, title: str) -> Work:
    """The first of these flows, with an id of its own for each subscriber."""
    load: Load = {"work": "flow", "protocol": protocol, "subscribers": FANOUT, "ids": 1}
    aims = (Aim(1 / 1.3, "hubbub", f"{protocol}-fanout-1"),)
    return Work(f"{protocol}-ids", f"{title}, 1 -> 1,000, an id for each", DELIVERIES, load, OURS, aims)


def _nats() -> list[Work]:
    """Beside nats-server, and beside lines."""

    def aims(name: str) -> tuple[Aim, ...]:
        return (Aim(2 if name.startswith("fanout") else 0.8, "nats"), Aim(0.9, "hubbub", name))

    return [*_spoken("nats", "NATS", (*OURS, "nats"), aims), _ids("nats", "NATS")]


def _cluster() -> list[Work]:
    """Publishers at one node, subscribers at another, and a nats-server between, beside nats-server alone."""
    ours = ("cluster-hubbub", "cluster-compiled")
    peers, half = (*ours, "nats"), Aim(0.5, "nats")
    publish: Load = {"work": "away", "publishers": PAIRS, "window": 10, "away": 0}
    stored, joined = (Aim(0.7, "jetstream"),), (Aim(10, None),)
    return [
        _flow("cluster-fanout", "two nodes, 1 -> 1,000, 100 in flight", peers, half, subscribers=FANOUT, window=100),
        _flow("cluster-fanin", "two nodes, 100 -> 1, 50 each in flight", peers, half, window=50, publishers=PAIRS),
        _flow("cluster-pairs", "two nodes, 100 pairs, 50 in flight", peers, half, groups=PAIRS, window=IN_FLIGHT),
        Work(
            "cluster-publish", "QoS 1, 100 publishers, 10 in flight -> the stream", DELIVERIES, publish,
            (*ours, "jetstream"), stored,
        ),
        Work(
            "cluster-join", "100,000 distinct filters, until the last has a message", SECONDS,
            {"work": "filters", "filters": 100_000}, ours, joined,
        ),
    ]  # fmt: skip


def _stomp() -> list[Work]:
    """Beside RabbitMQ, and beside lines."""

    def aims(name: str) -> tuple[Aim, ...]:
        return (Aim(5, "rabbitmq"), Aim(0.9, "hubbub", name))

    return [*_spoken("stomp", "STOMP", (*OURS, "rabbitmq"), aims), _ids("stomp", "STOMP")]


def _wamp() -> list[Work]:
    """Over RawSocket; calls and events beside Crossbar."""
    peers, aims = (*OURS, "crossbar"), (Aim(8, "crossbar"),)
    calls: Load = {"protocol": "wamp-call", "varying": 1, "groups": PAIRS}
    events: Load = {"protocol": "wamp"}
    flows: list[tuple[str, str, Load]] = [
        ("calls-1", "100 callers, one call in flight", calls),
        ("calls-20", "100 callers, 20 calls in flight", calls | {"window": 20}),
        ("events-20", "100 pairs, 20 in flight", events | {"groups": PAIRS, "window": 20}),
        ("events-fanout", "1 -> 200, one in flight", events | {"subscribers": 200}),
    ]
    return [
        *_spoken("wamp", "WAMP", OURS, lambda name: ()),
        *(
            Work(f"wamp-{name}", f"WAMP, {title}", DELIVERIES, {"work": "flow", **load}, peers, aims)
            for name, title, load in flows
        ),
    ]


def _links() -> list[Work]:
    paced: Load = {"work": "paced", "rate": 500, "subscribers": 100}
    storm: Load = paced | {"churn": 2}
    burst: Load = paced | {"burst": 500}
    vanish: Load = paced | {"rate": 100, "stalled": 1_000}
    churn: Load = {"work": "churn", "churn": 20}
    idle: Load = {"work": "idle", "links": IDLE}
    web: Load = {"websocket": 1}
    udp: Load = {"work": "udp"}
    with_bare = (*WEB, "autobahn")
    accepted, heavy = Aim(0.4, "datagrams"), Aim(16, None)
    return [
        Work("udp", "UDP ingest to one TCP subscriber", DATAGRAMS, udp, (*OURS, "datagrams"), (accepted,)),
        Work("udp-paced", "the same, 100,000 datagrams/s sent", LOST, udp | {"rate": 100_000}, OURS),
        Work("latency", "500 messages/s to 100", P99, paced, FLOORED, (Aim(1, "mosquitto"),)),
        Work("storm", "the same, 1,000 connects/s meanwhile", P99, storm, FLOORED),
        Work("burst", "the same, and 10 times a second 500 at once to 100 others", P99, burst, TCP),
        Work(
            "vanish",
            "100 messages/s to 100, as 1,000 others reset their links",
            P99,
            vanish,
            TCP,
            (Aim(100_000, None),),
        ),
        Work("connect", "TCP, connect, greet, close", CONNECTIONS, churn, FLOORED),
        Work("ws-connect", "WebSocket, the same", CONNECTIONS, churn | web, with_bare, (Aim(0, None, compiled=6_080),)),
        Work("memory", "TCP, 8,000 idle links", MEMORY, idle, TCP, (Aim(4, None),)),
        Work("ws-memory", "WebSocket, 8,000 idle links", MEMORY, idle | web, with_bare, (heavy,)),
    ]


def _stalled() -> list[Work]:
    """1,000 subscribers that have stopped reading cost a publisher no more than half of what one that reads does."""
    found: list[Work] = []
    mqtt: Load = {"protocol": "mqtt"}
    for name, title, peers, load in (("stalled", "", TCP, {}), ("mqtt-stalled", "MQTT, ", (*OURS, "mosquitto"), mqtt)):
        load = {"work": "flow", "window": 100, **load}
        found += [
            Work(f"{name}-0", f"{title}1 -> 1, 100 in flight", DELIVERIES, load, peers),
            Work(
                f"{name}-1000",
                "the same, and 1,000 subscribers that don't read",
                DELIVERIES,
                load | {"stalled": 1_000},
                peers,
                (Aim(1 / 1.5, "hubbub", f"{name}-0"),),
            ),
        ]
    return found


def _curve(name: str, title: str, steps: tuple[int, ...], load: dict[str, int], *aims: Aim) -> list[Work]:
    """One work for each step of option `name`. The aims hold above the work that they refer to."""
    works = []
    for n in steps:
        held = [aim for aim in aims if n > int(aim.work.rpartition("-")[2])]
        options: Load = {"work": "flow", **load, name: n}
        peers = GROWN if load else (*GROWN, "floor")  # which knows no topics
        works.append(Work(f"{name}-{n}", f"{title} {n:,}", DELIVERIES, options, peers, tuple(held), (name, n)))
    return works


def _growth() -> list[Work]:
    flat, matching = Aim(1 / 1.2, "hubbub", "subscribers-100"), Aim(1 / 2, "hubbub", "filters-1")
    narrow, wide = {"window": IN_FLIGHT}, {"window": IN_FLIGHT, "topics": 100_000}
    return [
        *_curve("subscribers", "one in flight, subscribers:", (10, 100, 1_000, 8_000), {}, flat),
        *_curve("topics", "1 -> 1, filter a/#, topics in turn:", (1, 100, 10_000, 100_000), narrow),
        *_curve("filters", "1 -> 1, 100,000 topics, filters a/+/b:", (1, 100, 10_000, 100_000), wide, matching),
    ]


SECTIONS: dict[str, list[Work]] = {  # of docs/performance.md
    "lines": _main(),
    "websocket": _web(),
    "http": _http(),
    "tls": _tls(),
    "mqtt": _mqtt(),
    "nats": _nats(),
    "cluster": _cluster(),
    "stomp": _stomp(),
    "wamp": _wamp(),
    "kept": _kept(),
    "history": _history(),
    "links": _links(),
    "stalled": _stalled(),
    "growth": _growth(),
}
WORKS: dict[str, Work] = {work.name: work for works in SECTIONS.values() for work in works}
