"""The NATS client protocol as bytes: what the dialect `nats` and the cluster read and write.

wire.py cuts a stream into operations; connect.py has INFO and CONNECT, messages.py and headers.py messages, subjects.py
and topics.py the map of topics, nkeys.py logins by NKey and JWT.
"""
