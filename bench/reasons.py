"""Why an aim is missed, by the name of its work: what docs/performance.md says beside it, if it is."""

from __future__ import annotations

KERNEL = "A `recv` and a `send` for each message take most of the time, in the kernel."
TLS = "`send` and OpenSSL take most of the time: each link has a key, and a record, of its own."
REASONS = {
    "fanout-1": "`send` takes four fifths of the time, and each goes to another socket.",
    "fanin": "A line becomes a topic, a payload and an event, which are objects of Python.",
    "pairs-50": "A line becomes a topic, a payload and an event, which are objects of Python.",
    "pairs-1": KERNEL,
    "ws-pairs-50": "Unmasking and the objects of each message; pure Python unmasks as a number.",
    "ws-pairs-1": KERNEL,
    "tls-fanout-200": TLS,
    "tls-fanout-1": TLS,
    "tls-pairs-1": f"{KERNEL} A record of TLS for each costs two calls into OpenSSL beside.",
    "tls-connect": "One handshake is a signature of P-256 and ECDH, and the objects of a connection beside.",
    "tls-resume": "TLS 1.3 does ECDH anew in a resumed session; the rest is the connection and its MQTT session.",
    "qos1-pairs-10": "A message has four packets, and a place in two tables of packets in flight.",
    "mqtt-pairs-50": "A packet has two lengths and a topic of its own to check where a line is split once.",
    "wamp-calls-1": "A call is four messages, and each is read, routed and written by itself.",
    "wamp-calls-20": "A call has a reply topic, a timeout and a result of its own, which are objects of Python.",
    "wamp-events-fanout": "`send` takes most of the time: a server in C that does nothing else is hardly faster.",
    "nats-fanout-1": "`send` takes four fifths of the time: a server in C that does nothing else isn't twice as fast.",
    "nats-fanin": "A message becomes a topic, a payload and an event; what is around the parser isn't compiled.",
    "nats-pairs-50": "A message becomes a topic, a payload and an event; what is around the parser isn't compiled.",
    "stomp-fanin": "A frame has a head beside its topic, and each MESSAGE a number of its own.",
    "udp": "A datagram has an address, whose link is looked up.",
    "ws-connect": "Autobahn's handshake and objects are a quarter, the link a fifth, the kernel most of the rest.",
    "subscribers-8000": "`send` takes longer the more sockets there are to visit: the floor loses a sixth too.",
    "subscribers-1000": "`send` takes longer the more sockets there are to visit.",
}
