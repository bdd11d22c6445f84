"""Every bound of hubbub, each with its unit and its reason. What an operator may change is an option too."""

from __future__ import annotations

KiB = 1024
MiB = 1024 * KiB

# Topics and messages
TOPIC_BYTES = 65_535  # bytes of UTF-8: the most that MQTT's two byte length can say (MQTT 5.0 section 1.5.4)
TOPIC_LEVELS = 128  # levels, `--limit topic-levels`: real trees are under 20 deep; a match visits each level
MAX_TOPIC_LEVELS = 1_024  # levels that an operator can allow: a topic is split and walked in under 0.1 ms
MESSAGE_BYTES = 1 * MiB  # bytes of payload, `max-message=`: a large picture, and 1,000 of them still fit in memory
HOPS = 8  # publishes that one publish may cause in a row through handlers: more is a loop
JSON_DEPTH = 64  # levels of nesting in JSON: people write under 10, and parsers recurse
NAME_CHARACTERS = 256  # characters of an `id` or a content type, kept while a message or a request waits
CORRELATION_BYTES = 65_535  # bytes of a message's correlation: the most that MQTT can say (MQTT 5.0 section 1.5.6)
PROPERTY_BYTES = 200  # bytes that a user property takes beside its characters: three objects and their places
PROPERTIES = 64  # user properties of one message, and the most that a dialect takes over

# Clients; options of `--limit`, see bounds.py
CONNECTIONS = 50_000  # connections and UDP leases, all together: with 20 KiB each about 1 GiB
SOURCE_CONNECTIONS = 1_000  # of one source: an office or a plant behind one address fits, a flood doesn't
FAILED_LOGINS = 10  # failed logins of one source in a minute: people mistype, guessing a password takes millions
SOURCE_TABLE = 4_096  # rows of the table that counts them
MESSAGE_RATE = 20_000.0  # messages of one client in a second: ten times what a busy gateway sends
BYTE_RATE = 32.0 * MiB  # bytes of one client in a second: more than 100 Mbit/s carry
OUTBOX_BYTES = 512 * MiB  # bytes that wait in all outboxes of clients that don't take them
METRICS_CONNECTIONS = 64  # connections of scrapers: one or two ask at a time

# Reading
LINE_SLACK = 64 * KiB  # bytes that a command may be longer than its encoded payload: a topic, options
DEFLATE_LEVEL = 3  # of zlib's 1 to 9: above it a megabyte holds up everybody for over 20 ms
FRAGMENTS = 100_000  # pieces of one WebSocket message, 10 MB: 4 MiB in frames of 64 bytes fit, as a test suite sends
DETECT_BYTES = 64  # bytes after which the dialect is told from what is there
BACKLOG = 1_024  # connections that wait to be accepted: beyond them a client asks again after 1 s
GREET_SECONDS = 0.3  # seconds of silence, `greet=`, after which a server that has to speak first does: a person waits
HANDSHAKE_SECONDS = 10.0  # seconds until a client must have shown what it speaks
PROXY_BYTES = 4 * KiB  # bytes of a PROXY header of version 2: addresses, and what else a proxy knows of TLS
PROXIES = 32  # entries of X-Forwarded-For that are looked at, from its end: chains of proxies are under 5 long
TOPIC_TABLE = 256  # topics whose parsed form a link remembers: clients publish on few
TOPIC_TABLE_BYTES = 256  # bytes of a topic that is worth remembering: with the row above 64 KiB a link
PENDING_EVENTS = 10_000  # events held back behind one that waits for its result; reading pauses, so one read's worth
REQUESTS_PER_LINK = 64  # requests of one link that wait for a reply
REQUESTS = 65_536  # requests of all links that wait for a reply
REQUEST_SECONDS = 2.0  # seconds until a request without a reply fails
REQUEST_SECONDS_MAX = 60.0  # seconds: the longest that a client may ask for

# Links with `answer=`, `rate=`, `changed=` or `presence=`
COMMANDS_WAITING = 100  # commands that wait for one half-duplex device: at 100 ms each, ten seconds' worth
LATEST_TOPICS = 1_000  # topics whose newest message waits for a link's `rate=`, with `over=latest`
LATEST_BYTES = 128 * KiB  # bytes of these, unless it is one alone: with the table of UDP below 512 MiB
CHANGED_TOPICS = 256  # topics of a link whose last payload is remembered, as 16 bytes: 50 KiB a link
UDP_SIEVES = 4_096  # UDP clients, each an address and a user, whose `rate=` and `changed=` are remembered, a listener
PRESENCES = 10_000  # `presence=` topics that are kept, of all listeners: whoever is gone the longest gives way

# The hub
TURN_SECONDS = 0.005  # seconds of a turn for what its sockets have, and again for paced jobs: nobody feels it
JOB_SECONDS = 0.0005  # seconds of one link's events, or of one job, before others have their share
EVENTS_AT_ONCE = 64  # publishes of one link between two looks whether its share is over: about 0.2 ms
COMMANDS_AT_ONCE = 16  # other events, which cost more
PROMPT_BYTES = 512  # bytes that a socket may have to read at once and stay before those that have more
LATE_BYTES = 32 * KiB  # bytes read at once from one that has: 6,500 of the shortest commands: then others are read
MATCH_CACHE = 65_536  # topics whose receivers are remembered: with the row below at most about 26 MiB
MATCH_CACHE_RECEIVERS = 1_000_000  # receivers of all topics that are remembered: 8 MiB
MATCH_CACHE_TOPIC = 256  # characters of a topic that is worth remembering
BATCH_MESSAGES = 1_000  # messages encoded and handed over as one: past this joining saves nothing more
BATCH_BYTES = 128 * KiB  # bytes of payload in one batch: encoded, still less than one flush hands over
SUBSCRIPTIONS = 10_000  # subscriptions of one session
SUBSCRIPTIONS_ALL = 1_000_000  # subscriptions of all sessions: about 500 MiB
SUBSCRIPTION_LEVELS = 100_000  # levels of one session's filters with wildcards: a match visits each, in 50 ms
SUBSCRIPTION_LEVELS_ALL = 2_000_000  # levels of all filters with wildcards, shared ones once: about 500 MiB
RIGHTS = 256  # kinds of clients whose rights are remembered for the next one: users, mostly
RIGHTS_TOPICS = 1_024  # topics of one kind of client whose verdict is remembered: at most about 350 KiB
RETAINED_MESSAGES = 100_000  # retained messages
RETAINED_BYTES = 64 * MiB  # bytes of retained topics, payloads and what goes with them
RETAINED_LEVELS = 500_000  # levels of retained topics, shared ones once: about 120 MiB
RETAINED_VISITS = 64  # nodes looked at for one step of a search; a step counts as a message, so that searches are paced
SEARCHES = 10_000  # searches for retained messages that wait for one link: as many as it may have subscriptions; 10 MB
RETAINED_AT_ONCE = 1_000  # retained messages put into an outbox at once; the rest follows as it drains
INBOX_MESSAGES = 10_000  # messages that wait for one handler
INBOX_BYTES = 32 * MiB  # bytes of messages that wait for one handler, with their topics and properties
INBOX_TURN = 200  # messages that one handler works off in one turn, so that links get theirs between

# Sessions that outlive their link, and what is owed to their clients (quality 1 and 2)
PACKET_IDS = 65_535  # identifiers of messages on their way to one client (MQTT 5.0 section 2.2.1)
FLIGHT = 100  # messages on their way to one client, and from it, at once: at 50 ms there and back, 2,000 a second
OWED_BYTES = 200  # bytes that a waiting message takes beside its payload
UNRELEASED_UNTOLD = 1_000  # messages of quality 2 that a client may leave unreleased where nobody can tell it FLIGHT
FLIGHT_UNTOLD = 20  # messages on their way to a server that can't say how many it takes: Mosquitto drops the 21st
CONNECTOR_IDS = 128  # the highest packet identifier of a connector: few, so that all can be released after a restart
QUEUE_GAPS = 10_000  # messages dropped from the midst of one queue, by number; more, and the rest is written anew
SESSIONS = 10_000  # sessions without a link: whoever is gone the longest gives way
SESSION_SECONDS = 7 * 86_400.0  # seconds that a session lives without its link, at most: a week
SESSIONS_SOURCE = 1_000  # sessions of one source among them; where it has more, it is one of its own that gives way
OWED_BYTES_ALL = 512 * MiB  # bytes that all clients together are owed: those who are owed most lose messages
WILL_BYTES_ALL = 64 * MiB  # bytes of the wills of all clients: 1 KiB for each of as many as may connect, and more
WILL_BYTES_SOURCE = 16 * MiB  # bytes of the wills of one source among them: 16 KiB for each of its connections
SYSTEM_SECONDS = 10.0  # seconds between looks at what is told on `$SYS/`, while somebody wants to know: as Mosquitto
ALIAS_TOPIC_CHARACTERS = 8  # characters of a topic that is worth a number, which takes five bytes itself
ALIAS_UNIT_BYTES = 4 * KiB  # bytes of a message that gives a topic its number, and so isn't dropped: 128 KiB a link
TOPIC_ALIASES = 32  # topics that one client may give a number: with the longest names 2 MiB a link

# The durable store
STORE_BATCHES = 2  # batches with the writer: one is written, one waits; the next stays open until there is room
STORE_WAITING_BYTES = 64 * MiB  # bytes that wait for their commit: beyond them publishers are refused
STORE_PATIENCE_SECONDS = 5.0  # seconds that a store may fail until publishers are refused rather than kept waiting
STORE_RETRY_SECONDS = 0.5  # seconds until a store that failed tries again
STORE_SWEEP = 20_000  # members of audiences that one sweep looks at: about 5 ms of the writer
STORE_SWEEP_SECONDS = 0.25  # seconds between sweeps: what is acknowledged within is deleted together
STORE_WAL_PAGES = 2_000  # pages of 4 KiB in the log before a checkpoint moves them into the database
STORE_WAL_BYTES = 64 * MiB  # bytes that the log's file keeps after a checkpoint
STORE_CACHE_KIB = 8_192  # KiB of pages that SQLite keeps in memory
STORE_BUSY_MILLISECONDS = 10_000  # milliseconds that the store waits for another program that reads the file

# The outbox
QUEUE_BYTES = 8 * MiB  # bytes that wait for one link, `queue=`: eight of the longest messages
QUEUE_MESSAGES = 10_000  # messages that wait for one link: small ones cost more than their bytes
FLUSH_BYTES = 256 * KiB  # bytes handed to a transport at once: about a socket's buffer
UNSENT_BYTES = 128 * KiB  # bytes that the kernel takes of a TCP link and hasn't sent (TCP_NOTSENT_LOWAT in tcp(7))
ANSWER_BYTES = 64 * KiB  # bytes of answers that wait before the link's reading is paused
STALL_SECONDS = 30.0  # seconds that a link may take nothing at all, `stall=`
IDLE_SECONDS = 300.0  # seconds without a sign of life where the hub can ask for one, `idle=`
HALF_CLOSED_SECONDS = 2.0  # seconds between looks whether a client that only listens is still there
CLOSE_SECONDS = 5.0  # seconds that a closing link has to take its last bytes
HANDLER_STOP_SECONDS = 5.0  # seconds that the `stop` of a handler may take
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

# Logins
LOGIN_THREADS = 2  # threads that compare passwords: each takes 64 MiB, and a core for a tenth of a second
LOGIN_QUEUE = 1_000  # logins that wait for them: more than a minute's work
LOGIN_QUEUE_SOURCE = 64  # logins of one address among them, so that nobody fills the queue alone
LOGIN_CACHE = 10_000  # passwords of one file that were right a moment ago, as keyed hashes of 32 bytes
LOGIN_CACHE_SECONDS = 300.0  # seconds that they are remembered: clients that lost their link come back within
FAILED_LOGINS_TOLD = 100  # failed logins that are logged one by one, then each time that their number has doubled
LOGIN_STEPS = 8  # times that one login may ask its client: SCRAM takes two, and each may cost as much as a password
LOGIN_STEP_SECONDS = 10.0  # seconds that a client has for each answer
PASSWORD_BYTES = 1_024  # bytes of a password: it waits in the queue
TOKEN_CHARACTERS = 16 * KiB  # characters of a token: what web servers take as a header
TOKEN_LIST = 1_000  # names in one claim of a token
ARGON2_KIB = 1024 * KiB  # KiB of memory of one argon2 hash, 1 GiB: a file may come from elsewhere
ARGON2_PASSES = 100  # passes of one argon2 hash
PBKDF2_ITERATIONS = 10_000_000  # iterations of one PBKDF2 hash: about 5 s
PASSWORD_FILE_BYTES = 64 * MiB  # bytes of a password file: half a million users
KEY_FILE_BYTES = 1 * MiB  # bytes of a file with keys, certificates, or a JWKS
SIGNED_SECONDS = 60.0  # seconds that the time of a signed datagram may be off: clocks of devices drift
SIGNED_WINDOW = 32  # datagrams of one user that may overtake each other: about 2 KiB, and networks reorder a few
CERTIFICATE_SECONDS = 10.0  # seconds between looks whether a certificate has been renewed
CERTIFICATE_FILES = 1_000  # files in a folder of certificates
CERTIFICATE_DAYS = 14  # days before a certificate ends in which the log warns at each start and reload

# Connectors
CONNECT_SECONDS = 10.0  # seconds that somebody who is dialled may take to answer, on each of its addresses
RETRY_FIRST_SECONDS = 0.5  # seconds until a lost connector dials again; twice as long each time
RETRY_SECONDS = 10.0  # seconds at most between two tries: who plugs a cable back in stands and waits
STEADY_SECONDS = 10.0  # seconds that a connector must have been up to begin with short waits again
RESOLVE_SECONDS = 60.0  # seconds between looks whether the name of a UDP connector means another address now
HELLO_BYTES = 4 * KiB  # bytes of a `hello=`: a few commands, sent at once on each of many links
DIAL_SPREAD_SECONDS = 0.002  # seconds between the first tries of two connectors, so that links get their turns
CONNECTOR_LINES = 6  # lines that one connector may log in the time below; what it doesn't log is told by the next one
RETAINED_CHANGES = 10_000  # topics whose retained message changed while a connector was away; beyond them all are sent
RETAINED_CHANGES_SIZE = 4 * MiB  # characters of these topics
ECHOES = 10_000  # messages to a server of MQTT 3.1.1 whose return is awaited: about 2 MiB
ECHO_SECONDS = 60.0  # seconds until such a one is no longer awaited: the same may come from somebody else
CONNECTOR_NOTES = 5  # things to know of a link that its connector's state tells, the last ones
LISTENER_NOTICES = 20  # notices that one listener logs: a dialect has a few texts
CONNECTOR_LINES_SECONDS = 60.0  # seconds: 1,000 devices that come and go are 100 lines a second

# The process
DESCRIPTORS_SHARE = 8  # of the descriptors one in so many, and at most the next line, is not for clients
DESCRIPTORS_KEPT = 64  # descriptors for commands, files and reloads: with none left nobody could even ask what is wrong
DRAIN_CLOSE_SECONDS = 1.0  # seconds that a client of a stopping daemon has to close once its machine has the last word
HURRY_SECONDS = 1  # whole seconds that an end in a hurry may take: it waits for nobody, and removes a few files
DRAIN_LINKS_AT_ONCE = 50  # links of a stopping daemon that are told in one look: a small hub's all at once
DRAIN_LINKS_PER_SECOND = 1_000  # links that are told in a second: whoever they come back to gets them so
NOTIFICATIONS = 8  # notifications that wait for room in systemd's queue; older ones no longer matter
NOTIFY_SECONDS = 0.1  # seconds until such a one is tried again
STATUS_SECONDS = 5.0  # seconds between updates of the number of links that systemd shows
LOG_REPEATS = 20  # lines of one kind in one LOG_SECONDS; the others are counted
LOG_SECONDS = 60.0  # seconds: what strangers can cause then fills less than 5 MiB a day with each kind
LOG_KINDS = 1_000  # kinds of lines that are counted: as many as there are places in the code that log, and more
LOG_CHARACTERS = 16 * KiB  # characters of a line's text, traceback and each field: the journal's socket takes 208 KiB
GARBAGE = (20_000, 10, 10)  # objects, then generations, between looks for garbage (gc.set_threshold)
FAILURES_TOLD = 100  # failures of dialects that are logged with a traceback, between two reloads: a log is for reading

# The control socket
CONTROL_BYTES = 64 * KiB  # bytes of one request: a few names
CONTROL_CONNECTIONS = 16  # commands at work at once: an operator has two hands, and a `hubbub top` or two
CONTROL_SECONDS = 30.0  # seconds until a request must be there, and that a client may take nothing
CONTROL_LOCK_SECONDS = 1.0  # seconds that a start waits for another start in the same folder: that takes milliseconds
CONTROL_ANSWERS = 100  # answers written before others have their turn
TRACES = 4  # traces that run at once: each costs all that it sees
TRACE_RECORDS = 1_000  # records that one trace is told in a second; more are counted: nobody reads them
TRACE_BYTES = 256  # bytes of one unit that a trace shows
TRACE_LINE_BYTES = 4 * KiB  # bytes before a piece, without the secret that it goes on with, that are looked at

# Files of the operator
CONFIG_BYTES = 1 * MiB  # bytes of one configuration file
CONFIG_FILES = 256  # files in one conf.d
SHOWN_CHARACTERS = 80  # characters of an operator's value that an error repeats: a message stays one line

# Commands
CAPTURE_BYTES = 16 * MiB  # bytes that `hubbub try` reads, at once: a day of a device at one message a second
CAPTURE_SHOWN = 400  # characters of one value that it prints, so that an event stays a line that people read
