"""Every bound of hubbub, each with its unit and its reason. What an operator may change is an option too."""

from __future__ import annotations

KiB = 1024
MiB = 1024 * KiB

# Topics and messages
TOPIC_BYTES = 65_535  # bytes of UTF-8: the most that MQTT's two byte length can say (MQTT 5.0 section 1.5.4)
TOPIC_LEVELS = 128  # levels: real trees are under 20 deep; a match visits each level
MESSAGE_BYTES = 1 * MiB  # bytes of payload, `max-message=`: a large picture, and 1,000 of them still fit in memory
HOPS = 8  # publishes that one publish may cause in a row through handlers: more is a loop
JSON_DEPTH = 64  # levels of nesting in JSON: people write under 10, and parsers recurse
NAME_CHARACTERS = 256  # characters of an `id` or a content type, kept while a message or a request waits
PROPERTIES = 64  # user properties of one message, and the most that a dialect takes over

# Reading
LINE_SLACK = 64 * KiB  # bytes that a command may be longer than its encoded payload: a topic, options
FRAGMENTS = 65_536  # frames of one WebSocket message: an empty one costs memory too
DETECT_BYTES = 64  # bytes after which the dialect is told from what is there
BACKLOG = 1_024  # connections that wait to be accepted: beyond them a client asks again after 1 s
HANDSHAKE_SECONDS = 10.0  # seconds until a client must have shown what it speaks
TOPIC_TABLE = 256  # topics whose parsed form a link remembers: clients publish on few
TOPIC_TABLE_BYTES = 256  # bytes of a topic that is worth remembering: with the row above 64 KiB a link
PENDING_EVENTS = 10_000  # events held back behind one that waits for its result; reading pauses, so one read's worth
REQUESTS_PER_LINK = 64  # requests of one link that wait for a reply
REQUESTS = 65_536  # requests of all links that wait for a reply
REQUEST_SECONDS = 2.0  # seconds until a request without a reply fails
REQUEST_SECONDS_MAX = 60.0  # seconds: the longest that a client may ask for

# The hub
MATCH_CACHE = 65_536  # topics whose receivers are remembered: with the row below at most about 26 MiB
MATCH_CACHE_RECEIVERS = 1_000_000  # receivers of all topics that are remembered: 8 MiB
MATCH_CACHE_TOPIC = 256  # characters of a topic that is worth remembering
BATCH_MESSAGES = 1_000  # messages encoded and handed over as one: past this joining saves nothing more
BATCH_BYTES = 128 * KiB  # bytes of payload in one batch: encoded, still less than one flush hands over
SUBSCRIPTIONS = 10_000  # subscriptions of one session
SUBSCRIPTIONS_ALL = 1_000_000  # subscriptions of all sessions: about 500 MiB
SUBSCRIPTION_LEVELS = 100_000  # levels of one session's filters with wildcards: a match visits each, in 50 ms
SUBSCRIPTION_LEVELS_ALL = 2_000_000  # levels of all filters with wildcards, shared ones once: about 500 MiB
RETAINED_MESSAGES = 100_000  # retained messages
RETAINED_BYTES = 64 * MiB  # bytes of retained topics, payloads and what goes with them
RETAINED_LEVELS = 500_000  # levels of retained topics, shared ones once: about 120 MiB
RETAINED_VISITS = 64  # nodes looked at for one step of a search; a step counts as a message, so that searches are paced
RETAINED_AT_ONCE = 1_000  # retained messages put into an outbox at once; the rest follows as it drains
INBOX_MESSAGES = 10_000  # messages that wait for one handler
INBOX_BYTES = 32 * MiB  # bytes of payload that wait for one handler
INBOX_TURN = 200  # messages that one handler works off in one turn, so that links get theirs between

# The outbox
QUEUE_BYTES = 8 * MiB  # bytes that wait for one link, `queue=`: eight of the longest messages
QUEUE_MESSAGES = 10_000  # messages that wait for one link: small ones cost more than their bytes
FLUSH_BYTES = 256 * KiB  # bytes handed to a transport at once: about a socket's buffer
ANSWER_BYTES = 64 * KiB  # bytes of answers that wait before the link's reading is paused
STALL_SECONDS = 30.0  # seconds that a link may take nothing at all, `stall=`
IDLE_SECONDS = 300.0  # seconds without a sign of life where the hub can ask for one, `idle=`
HALF_CLOSED_SECONDS = 2.0  # seconds between looks whether a client that only listens is still there
CLOSE_SECONDS = 5.0  # seconds that a closing link has to take its last bytes
DRAIN_SECONDS = 30.0  # seconds that a stopping daemon gives its links, `drain`: less than systemd's 90 before SIGKILL

# UDP
DATAGRAM_BYTES = 65_507  # bytes: the largest payload of a datagram over IPv4 (RFC 768, RFC 791)
DATAGRAMS_PER_TURN = 512  # datagrams read for one wake-up, empty ones too, so that streams are not starved
DATAGRAM_BYTES_PER_TURN = 1 * MiB  # bytes of them, for the same reason
DATAGRAM_BUFFER = 4 * MiB  # bytes of kernel buffer, `rcvbuf=`: 20 ms of a fast sender
UDP_PEERS = 10_000  # addresses with a subscription or a request, a listener
UDP_STRANGERS = 1_024  # vouched addresses without one that are remembered, a listener
LEASE_SECONDS = 60.0  # seconds that a UDP subscription lives without a renewal
TOKEN_SECONDS = 60.0  # seconds of a token's epoch; the one before is good too
TOKEN_FAILURES = 10  # wrong tokens that one address may show in one epoch
TOKEN_FAILURE_TABLE = 4_096  # rows of the table that counts them
COMPLAINTS = 10  # bad datagrams that are answered for one unproven host in one epoch: two hubs could answer for ever
COMPLAINTS_VOUCHED = 1_000  # the same for one vouched address
AMPLIFICATION = 3  # answer bytes for each byte of an unproven address (RFC 9000 section 8.1)

# The process
GARBAGE = (20_000, 50, 100)  # objects, then generations, between looks for garbage (gc.set_threshold)
FAILURES_TOLD = 100  # failures of dialects that are logged with a traceback, between two reloads: a log is for reading

# Files of the operator
CONFIG_BYTES = 1 * MiB  # bytes of one configuration file
CONFIG_FILES = 256  # files in one conf.d
SHOWN_CHARACTERS = 80  # characters of an operator's value that an error repeats: a message stays one line

# Commands
CAPTURE_BYTES = 16 * MiB  # bytes that `hubbub try` reads, at once: a day of a device at one message a second
CAPTURE_SHOWN = 400  # characters of one value that it prints, so that an event stays a line that people read
