"""Every bound of hubbub, each with its unit and its reason. What an operator may change is an option too."""

KiB, MiB = 1024, 1024 * 1024

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
SOURCE_TABLE = 4_096  # rows of the table that counts them; hosts whose source is remembered, as parsing takes 5 us
MESSAGE_RATE = 20_000.0  # messages of one client in a second: ten times what a busy gateway sends
BYTE_RATE = 32.0 * MiB  # bytes of one client in a second: more than 100 Mbit/s carry
OUTBOX_BYTES = 512 * MiB  # bytes in all outboxes of clients that don't read
METRICS_CONNECTIONS = 64  # connections of scrapers: one or two come at a time

# Reading
LINE_SLACK = 64 * KiB  # bytes that a command may be longer than its encoded payload: a topic, options
DEFLATE_LEVEL = 3  # of zlib's 1 to 9: above it a megabyte takes over 20 ms of the reactor
FRAGMENTS = 100_000  # pieces of one WebSocket message, 10 MB: 4 MiB in frames of 64 bytes fit, as a test suite sends
DETECT_BYTES = 64  # bytes after which the dialect is chosen by what has come
BACKLOG = 1_024  # connections that wait to be accepted: beyond them a client asks again after 1 s
GREET_SECONDS = 0.3  # seconds of silence, `greet=`, after which a server that has to speak first does: a person waits
HANDSHAKE_SECONDS = 10.0  # seconds until a client must have completed TLS, HTTP, and shown its dialect
CLIENT_HELLO_BYTES = 16 * KiB  # bytes of a TLS client's hello that are searched for ALPN: real ones are below 4 KiB
TLS_ANSWER_BYTES = 64 * KiB  # bytes that wait for a client because of its own TLS records, such as renegotiations
SEALED_BYTES = 64 * KiB  # bytes of a longer write that TLS encrypts at once, as the socket takes it: about 0.1 ms
TICKET_KEY_SECONDS = 6 * 3600.0  # seconds that one key encrypts session tickets: a stolen one is of no use after it
PROXY_BYTES = 4 * KiB  # bytes of a PROXY header of version 2: addresses, and what else a proxy knows of TLS
PROXIES = 32  # entries of X-Forwarded-For that are read, from its end: chains of proxies are under 5 long
TOPIC_TABLE = 256  # topics whose parsed form a link remembers: clients publish on few
TOPIC_TABLE_BYTES = 256  # bytes of a topic that is worth remembering: with the row above 64 KiB a link
PENDING_EVENTS = 10_000  # events held back behind one whose result is pending; reading pauses, so one read's worth
REQUESTS_PER_LINK = 64  # requests of one link that wait for a reply
REQUESTS = 65_536  # requests of all links that wait for a reply
REQUEST_SECONDS = 2.0  # seconds until a request without a reply fails
REPLY_PARTS = 1_000  # parts of a reply that one turn takes: a client reads its own as fast as they come
REQUEST_SECONDS_MAX = 60.0  # seconds: the longest that a client may ask for

# HTTP
HEADER_BYTES = 16 * KiB  # bytes of a request's line and headers, as Twisted has it: cookies and tokens fit
REFUSING = 16  # connections without room that wait to be told, a listener: others are told at once
REFUSING_SECONDS = 1.0  # seconds that one waits until its client has said what it wants
KNOWN_HEADS = 16  # heads of requests that a connection remembers, and a listener of upgrades: they aren't parsed again
KNOWN_HEAD_BYTES = 1 * KiB  # bytes of a head that is worth remembering: with the row above 16 KiB a connection
QUERY_FIELDS = 1_000  # fields in the query of one request: filters, mostly
BODY_SECONDS = 30.0  # seconds for a request's body: 1 MiB comes at 35 kB/s
KEEP_ALIVE_SECONDS = 75.0  # seconds between two requests of one connection: a proxy that keeps one for 60 s ends first
COMMENT_SECONDS = 4.0  # seconds between comments in a stream: some clients give up after 5 s of silence
PREFLIGHT_SECONDS = 600  # whole seconds that a page's browser remembers what other origins may do here
WEB_SESSIONS = 10_000  # sessions of browsers, `POST /session`: the oldest gives way
WEB_SESSION_SECONDS = 12 * 3600.0  # seconds that one lasts: a day at work
TICKETS = 10_000  # tickets that no client has used yet, `POST /tickets`: the oldest gives way
TICKET_SECONDS = 30.0  # seconds that one is good: a page uses it at once
MANAGED_LINKS = 1_000  # links looked at for one page of `$hubbub/links`: about 5 ms
MANAGED_NUMBER = 2**53  # of any number in a request to the hub: what every client's JSON can say
MANAGED_TOPICS = 5_000  # topics looked at for one page of a search: about 1 ms
COUNTED_LEVELS = 50_000  # levels of topics whose messages are counted while a client looks at them: about 20 MiB
COUNTED_BYTES = 8 * MiB  # characters of these topics
COUNTED_VALUE_BYTES = 256  # bytes of each last payload: what a line of a page shows
COUNTED_SECONDS = 60.0  # seconds after the last look that they are counted: a page asks every other second

# Links with `answer=`, `rate=`, `changed=` or `presence=`
COMMANDS_WAITING = 100  # commands that wait for one half-duplex device: at 100 ms each, 10 s
LATEST_TOPICS = 1_000  # topics whose newest message waits for a link's `rate=`, with `over=latest`
LATEST_BYTES = 128 * KiB  # bytes of these, unless it is one alone: with the table of UDP below 512 MiB
CHANGED_TOPICS = 256  # topics of a link whose last payload is remembered, as 16 bytes: 50 KiB a link
UDP_RATE_LIMITERS = 4_096  # states of `rate=` and `changed=` over UDP, one for an address and user, a listener
PRESENCES = 10_000  # `presence=` topics, of all listeners; beyond them the one offline the longest is evicted

# Idempotency keys
ONCE_SECONDS = 120.0  # seconds that a key is remembered, `--once`: publishers try again within, as JetStream's window
ONCE_KEYS = 100_000  # keys of one user, or of one source without users: 800 a second, 40 MB
ONCE_KEYS_ALL = 200_000  # keys of all; beyond them those have room that have fewer than an even share: 160 MB at most
ONCE_KEYS_AT_ONCE = 2  # old keys that are forgotten for each new one, so that a busy table shrinks
ONCE_KEYS_FORGOTTEN = 1_000  # old keys that are forgotten in one step: about 1 ms
ONCE_REST = 0.1  # seconds between two such steps

# The hub
TURN_SECONDS = 0.005  # seconds of a turn for what its sockets have, and again for paced jobs: too short to notice
JOB_SECONDS = 0.0005  # seconds of one link's events, or of one job, before others have their share
PIECES_AT_ONCE = 64  # pieces of a job between two looks whether others wait: under 0.5 ms
FLUSHES_AT_ONCE = 32  # outboxes flushed until the time is looked at, 256 KiB each at most: about 0.2 ms
RECEIVERS_AT_ONCE = 1_000  # receivers of one batch, after which a link's share of the turn is looked at: about 0.3 ms
ALARMS_AT_ONCE = 100  # deadlines that are acted on at once, in TURN_SECONDS: some take 1 ms, most 50 us
EVENTS_AT_ONCE = 64  # publishes of one link between two checks of its share of the turn: about 0.2 ms
COMMANDS_AT_ONCE = 16  # other events, which cost more
PROMPT_BYTES = 512  # bytes that a socket may have to read at once and stay before those that have more
LATE_BYTES = 32 * KiB  # bytes read at once from one that has: 6,500 of the shortest commands: then others are read
PIECE_BYTES = 16 * KiB  # bytes of a longer unit that are decoded at once: 8,200 of the shortest commands take 10 ms
UNITS_AT_ONCE = 512  # units of such a piece: as events they take up to 350 bytes each, until the link acts on them
UNIT_LINES = 1_000  # lines of one datagram, or of a message of influx: 65 bytes each fill a datagram
MATCH_CACHE = 65_536  # topics whose receivers are remembered: with the row below at most about 26 MiB
MATCH_CACHE_PLACES = 1_000_000  # entries and receivers of all routes that are remembered: 8 MiB
ROUTE_COST = 50  # such places that a route takes beside these: 400 bytes of objects
MATCH_CACHE_TOPIC = 256  # characters of a topic that is worth remembering
MATCH_LEVELS = 32_766  # levels of filters that one topic may match, in 15 ms: as many as 14 levels of + and names have
MATCHES = 50_000  # subscriptions that one topic may match beside one for each connection: with these 50 ms
COPIES_AT_ONCE = 64  # copies of one message for one session; more are made as its client reads
SPLICED_AT_ONCE = 20_000  # units of one batch that differ in an id alone: each is encoded if one can't be: 20 ms
BATCH_MESSAGES = 1_000  # messages encoded and handed over as one: past this joining saves nothing more
BATCH_BYTES = 128 * KiB  # bytes of payload in one batch: encoded, still less than one flush hands over
SUBSCRIPTIONS = 10_000  # subscriptions of one session
FILTERS_AT_ONCE = 64  # filters of one command that are subscribed to, or ended, in one step: about 2 ms
SUBSCRIPTIONS_AT_ONCE = 200  # of a session that has left that end in one step: about 2 ms
SUBSCRIPTIONS_ALL = 1_000_000  # subscriptions of all sessions: about 500 MiB
SUBSCRIPTION_LEVELS = 100_000  # levels of one session's filters with wildcards: a match visits each, in 50 ms
SHARED_LEVELS = 200  # of these for a shared subscription, or one with copies at QoS 1: 500 of one session cost 5 ms
SUBSCRIPTION_LEVELS_ALL = 2_000_000  # levels of all filters with wildcards, shared ones once: about 500 MiB
RIGHTS = 256  # kinds of clients whose rights are remembered for the next one: users, mostly
RIGHTS_TOPICS = 1_024  # topics of one kind of client whose verdict is remembered: at most about 350 KiB
RETAINED_MESSAGES = 100_000  # retained messages
RETAINED_BYTES = 64 * MiB  # bytes of retained topics, payloads and what goes with them
RETAINED_LEVELS = 500_000  # levels of retained topics, shared ones once: about 150 MiB
RETAINED_VISITS = 64  # nodes looked at for one step of a search; a step counts as a message, so searches are paced
SEARCHES = 10_000  # searches for retained messages that wait for one link: as many as it may have subscriptions; 10 MB
RETAINED_AT_ONCE = 64  # retained messages, or steps without one, of one search at once: about 0.3 ms
INBOX_MESSAGES = 10_000  # messages that wait for one handler, or that its methods are at work on
INBOX_BYTES = 32 * MiB  # bytes of these messages, with their topics and properties
INBOX_TURN = 200  # messages that one handler works off in one turn, so that links get theirs between

# Persistent sessions, and messages of QoS 1 and 2
TAKEOVER_AT_ONCE = 64  # subscriptions of a session that its client's link gets or leaves in one step: about 0.6 ms
PACKET_IDS = 65_535  # packet identifiers of one client (MQTT 5.0 section 2.2.1)
AWAY_SESSIONS = 16  # sessions without a link that wait for the same, from which on it is kept once for all of them
AWAY_PLACES = 1_000  # routes of which one session waits in that way: about 200 KiB
AWAY_TOLD = 1_000  # messages that are forgotten for all until their sessions note it, 1 us each
DELIVERIES_AT_ONCE = 2_000  # messages encoded, or handed over at QoS 1 and 2, until the turn is looked at: about 4 ms
RECORDED_DELIVERY = 4  # of these that a message counts as for a session that a store keeps: about 18 us
PUT_OFF = 16  # batches that wait for one receiver until it has its turn; beyond them it takes the oldest: 50 MB for all
ENTRIES_TO_ONE = 16  # filters that match one topic and count as one of these: their identifiers are in the message
SHARED_AT_ONCE = 256  # messages of shared subscriptions that one member hands over in one step: about 2 ms
SHARED_ASKED = 64  # members of a group without room, of each encoding, that are asked again in one turn: 0.1 ms
SHARED_REFUSALS = 16  # of these that no other member takes: then the others aren't tried
INFLIGHT_MESSAGES = 100  # in flight to one client, and from it: at 50 ms there and back 2,000 a second
QUEUED_MESSAGE_BYTES = 400  # bytes that a queued message takes beside its texts and payload: four objects of 360 to 420
UNRELEASED_UNANNOUNCED = 1_000  # unreleased messages of QoS 2 of a client whose protocol has no receive maximum
INFLIGHT_UNANNOUNCED = 20  # in flight to a server without a receive maximum: Mosquitto drops the 21st
CONNECTOR_IDS = 128  # the highest packet identifier of a connector: few, so that all can be released after a restart
PAGE_MESSAGES = 200  # messages of one queue that are read from the store at once: a page is sent within some turns
PAGE_BYTES = 1 * MiB  # bytes of these, about; one message at least
QUEUE_AGE_LOOK_SECONDS = 10.0  # seconds between looks whether messages wait for longer than `queue-age`
QUEUE_GAPS = 10_000  # messages dropped from within one queue; beyond them the queue is written anew
SESSIONS = 10_000  # sessions without a link; beyond them the one offline the longest ends
SESSION_SECONDS = 7 * 86_400.0  # seconds that a session lives without its link, at most: a week
SESSIONS_SOURCE = 1_000  # sessions of one source among them; beyond them one of its own ends
QUEUED_BYTES_ALL = 512 * MiB  # bytes of all queues and in-flight messages; beyond them the largest queues are trimmed
WILL_BYTES_ALL = 64 * MiB  # bytes of the wills of all clients: over 1 KiB for each of the connections
WILL_BYTES_SOURCE = 16 * MiB  # bytes of the wills of one source among them: 16 KiB for each of its connections
SYSTEM_SECONDS = 10.0  # seconds between updates of `$SYS/`, while it has subscribers: as Mosquitto
ALIAS_TOPIC_CHARACTERS = 8  # shortest topic, in characters, that gets an alias: the alias takes five bytes
ALIAS_UNIT_BYTES = 4 * KiB  # longest message, in bytes, that sets an alias, as it can't be dropped: 128 KiB a link
TOPIC_ALIASES = 32  # aliases of one client: with the longest names 2 MiB a link

# The durable store
STORE_BATCHES = 2  # batches with the writer: one is written, one waits; the next stays open until there is room
STORE_WAITING_BYTES = 64 * MiB  # bytes that wait for their commit: beyond them publishers are refused
STORE_PATIENCE_SECONDS = 5.0  # seconds that a store may fail until publishers are refused rather than kept waiting
STORE_RETRY_SECONDS = 0.5  # seconds until a store that failed tries again
STORE_AUDIENCES = 1_000  # sets of sessions away whose audience the writer remembers: about 10 KiB each
STORE_SWEEP = 20_000  # members of audiences that one sweep looks at: about 5 ms of the writer
STORE_SWEEP_SECONDS = 0.25  # seconds between sweeps: what is acknowledged within is deleted together
STORE_LOOK_SECONDS = 5.0  # seconds between looks how old the oldest message is
STORE_WAL_PAGES = 2_000  # pages of 4 KiB in the log before a checkpoint moves them into the database
STORE_WAL_BYTES = 64 * MiB  # bytes that the log's file keeps after a checkpoint
STORE_CACHE_KIB = 8_192  # KiB of pages that SQLite keeps in memory
STORE_BUSY_MILLISECONDS = 10_000  # milliseconds that the store waits for another program that reads the file

# The cluster, and workers of one machine
NODE_CHARACTERS = 32  # characters of a node's or a cluster's name: it stands in subjects, and on each message
CLUSTER_REPLICAS = 5  # copies of a stream: the most that JetStream keeps
CLUSTER_BUFFER = 8 * MiB  # bytes that wait for the NATS server; live messages beyond them are dropped and counted
CLUSTER_PAYLOAD = 64 * MiB  # bytes of a message with its headers from NATS: the largest max_payload of nats-server
CLUSTER_REQUESTS = 65_536  # requests to NATS that wait for a reply: as many as clients may have
CLUSTER_SWEEP_SECONDS = 0.25  # seconds between looks for those: a timer for each would cost more than the request
CLUSTER_PING_SECONDS = 2.0  # seconds between pings, which measure the lag; a server that misses three has gone
CLUSTER_PINGS = 3  # pings without an answer
CLUSTER_BEAT_SECONDS = 1.0  # seconds between signs of life of a node
CLUSTER_CHANGE_SECONDS = 0.05  # seconds until one that tells of other groups: changes of a crowd are one
CLUSTER_LEASE_SECONDS = 5.0  # seconds without one until a node has gone; a reactor that is late by less keeps it
CLUSTER_NODES = 1_024  # nodes that are known: NATS has a connection for each
CLUSTER_ABOUT_SECONDS = 1.0  # seconds that a node may take to describe itself: some turns; `hubbub status` waits for it
CLUSTER_GROUPS = 10_000  # groups of one node that the others know: about 500 KiB; of others local members come first
CLUSTER_PRESENCES = 100_000  # clients of all nodes that are online by `presence=`: those of ten full nodes
CLUSTER_PRESENCES_AT_ONCE = 500  # of these that one step of a search for nodes that have gone looks at: about 0.1 ms
CLUSTER_FILTERS_AT_ONCE = 50  # filters that one step subscribes to: about 1 ms
CLUSTER_REQUEST_SECONDS = 2.0  # seconds that JetStream may take to answer: it takes milliseconds, an election 5 s
CLUSTER_RETRY_FIRST_SECONDS = 0.1  # seconds until what JetStream didn't do is tried again, doubled each time
CLUSTER_RETRY_SECONDS = 2.0  # seconds at most between two tries: half of an election
CLUSTER_INFLIGHT = 4_096  # messages that wait for their acknowledgement: a network of 10 ms then takes 400,000/s
CLUSTER_INFLIGHT_BYTES = 4 * MiB  # bytes of these: half of what may wait for the server
CLUSTER_SILENCE_SECONDS = 1.0  # seconds without an acknowledgement after which only the oldest message is sent again
CLUSTER_PATIENCE_SECONDS = 10.0  # seconds without any until publishers are refused: an election takes up to 7 s
CLUSTER_WAITING_BYTES = 64 * MiB  # bytes that wait for an acknowledgement: beyond them publishers are refused
CLUSTER_DUPLICATES_SECONDS = 120.0  # seconds that JetStream knows the id of a message: it keeps each in memory
CLUSTER_STREAM_SECONDS = 7 * 86_400  # seconds of a message in the stream, `stream-age=`: as long as a session may live
CLUSTER_STREAM_BYTES = 4 * 1024 * MiB  # bytes of the stream, `stream-bytes=`; beyond them its oldest messages go
CLUSTER_STREAM_LEAST_SECONDS = 600.0  # seconds that it keeps them at least: several elections and restarts
CLUSTER_STREAM_LEAST_BYTES = 16 * MiB  # bytes that it has at least: some of the longest messages
CLUSTER_AHEAD = 1_000_000  # messages that another node may have read more, when a client comes from there
CLUSTER_OWN = 65_536  # messages of this node that it hasn't read back, and whose publishers it knows
CLUSTER_TOMBSTONE_SECONDS = 120  # seconds that the bucket of sessions says of one that it has ended: as of message ids
CLUSTER_PROGRESS_SECONDS = 2.0  # seconds until it is noted how far a session is at QoS 1; the rest comes twice
CLUSTER_SESSION_WRITES = 1_000  # sessions that are written to the bucket at once
CLUSTER_NAMED_BYTES = 256 * KiB  # bytes of messages of a group that go with a session: a quarter of what NATS takes
CLUSTER_HEADER_BYTES = 1_024  # bytes of a write beside the session: its subject, an inbox, and the revision
CLUSTER_MOVES = 200  # sessions that come here from other nodes at once; more clients wait
CLUSTER_SWEEP_SESSIONS = 50  # of nodes that have gone, that are ended or have their wills published at once: about 5 ms
CLUSTER_MOVE_FILTERS = 16  # filters of a session that are looked for one by one; with more all messages are read
CLUSTER_PAGES = 16  # pages of the history that are read from the stream at once: together about 4 MiB
CLUSTER_HEARTBEAT_SECONDS = 1.0  # seconds between signs of life of a consumer; without two of them it is made anew
CLUSTER_CONSUMER_SECONDS = 30.0  # seconds until the server forgets a consumer whose node has gone
WORKERS = 64  # processes of one machine: more than it has cores help nothing
WORKER_RETRY_FIRST_SECONDS = 0.1  # seconds until a worker that has ended starts again, doubled each time
WORKER_RETRY_SECONDS = 5.0  # seconds at most between two starts: clients that the kernel gave it wait meanwhile
WORKER_LASTED_SECONDS = 10.0  # seconds after which an end isn't one of those that follow each other
WORKER_SILENCE_SECONDS = 30.0  # seconds after which a worker that tells nothing is killed: a reactor that is stuck
WORKER_ANSWER_BYTES = 16 * MiB  # bytes of one answer of a worker: metrics, or a status with thousands of listeners
WORKERS_JOIN_SECONDS = 10.0  # seconds that a start waits until messages pass between workers: as long as an election
WORKERS_LOOK_SECONDS = 0.05  # seconds between looks whether they do

# The message history
HISTORY_FILTERS = 64  # filters of one replay, at most FILTERS_AT_ONCE: each message is compared with all
HISTORY_RULES = 64  # rules, `--history`: each page and each batch looks at all that overlap
HISTORY_MESSAGES = 100_000  # messages that one rule keeps, `messages=`
HISTORY_BYTES = 256 * MiB  # bytes that one rule keeps, `bytes=`
HISTORY_MEMORY_BYTES = 64 * MiB  # bytes of all rules without `--state`, shared equally
HISTORY_TAIL_MESSAGES = 1_000  # newest messages that are in memory: more than come while a page is read
HISTORY_TAIL_BYTES = 4 * MiB  # bytes of them, but what waits for its commit stays
HISTORY_BLOCK_MESSAGES = 256  # messages in one row of the store: a row is read and trimmed as a whole
HISTORY_BLOCK_BYTES = 128 * KiB  # bytes of them, about; one message at least
HISTORY_PAGE_MESSAGES = 512  # messages that a replay reads at once: about 1 ms of the reader
HISTORY_PAGE_BYTES = 256 * KiB  # bytes of them, about; one row at least
HISTORY_LAST = 100_000  # messages that `last` finds in all topics together; beyond them the oldest are left out
HISTORY_TRIM_ROWS = 64  # rows of one rule that are trimmed with one batch: more than a batch has
HISTORY_TRIM_SECONDS = 10.0  # seconds between looks whether messages are too old
REPLAY_AT_ONCE = 128  # messages of a replay that are encoded at once: about 0.2 ms
REPLAY_BYTES = 64 * KiB  # bytes of them, about; one message at least

# Work queues; QUEUE_MESSAGES and QUEUE_BYTES bound each
WORK_QUEUES = 1_000  # work queues, for QUEUED_BYTES_ALL; and groups of a cluster's node, a durable consumer each
WORK_QUEUE_TURN = 200  # messages of one that are lent in one turn, as INBOX_TURN
WORK_QUEUE_SECONDS = 0.1  # seconds until members at QoS 0, which don't say when they have room, are asked again
WORK_QUEUE_REFUSALS = 10  # times that members may refuse a message: then it is dropped, or it would go round

# WAMP
WAMP_DEPTH = 100  # lists and dictionaries in one another: other clients' libraries give up at a few hundred
WAMP_PARTS = 50_000  # values in the arguments of one message, see plugins/wamp: with them it takes 20 ms
WAMP_INVOCATIONS = 10_000  # calls that one client may work on: the oldest are forgotten, those of MQTT never end
WAMP_LISTED = 10_000  # sessions, subscriptions or registrations that one call of the meta API looks through
WAMP_TESTAMENTS = 100  # messages of one session that are published when it ends

# STOMP
STOMP_HEAD_BYTES = 64 * KiB  # bytes of a frame's command and headers: a topic and its properties, as LINE_SLACK
STOMP_HEADERS = 100  # headers of a frame: the PROPERTIES of a message, and those that STOMP has
STOMP_TRANSACTIONS = 16  # transactions of one client at once: clients have one or two
STOMP_TRANSACTION_STEPS = 1_000  # frames in all of them; their bytes are those of the longest unit
STOMP_BEAT_SECONDS = 1.0  # seconds between heart-beats to a client, at least: a client may ask for 1 ms
STOMP_BEAT_MARGIN = 0.9  # of the agreed time between heart-beats: some clients give up 100 ms after it
STOMP_SILENCE_SECONDS = 60.0  # seconds that a heart-beat may be late: browsers in the background beat once a minute

# The outbox
UNIT_BYTES = 400  # bytes that a unit takes in an outbox beside its frames: six objects of a batch; one alone takes 280
UNIT_MESSAGE_BYTES = 16  # bytes that each of its messages takes beside: two ends, and a topic that others share
QUEUE_BYTES = 8 * MiB  # bytes that wait for one link, `queue=`: eight of the longest messages
BACKLOG_LINKS = 16  # stalled links for which messages are kept once; and backlogs in which one link stands
BACKLOG_REST = 8  # turns that bring a paused link something until it stands in backlogs: it has stopped reading
QUEUE_MESSAGES = 10_000  # messages that wait for one link: small ones cost more than their bytes
FLUSH_BYTES = 256 * KiB  # bytes handed to a transport at once: about a socket's buffer
UNSENT_BYTES = 128 * KiB  # bytes that the kernel takes of a TCP link and hasn't sent (TCP_NOTSENT_LOWAT in tcp(7))
ANSWER_BYTES = 64 * KiB  # bytes of answers that wait before the link's reading is paused
STALL_SECONDS = 30.0  # seconds that a link may take nothing at all, `stall=`
IDLE_SECONDS = 300.0  # seconds without input from a client that can be pinged, `idle=`
HALF_CLOSED_SECONDS = 2.0  # seconds between checks whether a half-closed client is still there
CLOSE_SECONDS = 5.0  # seconds that a closing link has to take its last bytes
HANDLER_STOP_SECONDS = 5.0  # seconds that the `stop` of a handler may take
DRAIN_SECONDS = 30.0  # seconds that a stopping daemon gives its links, `drain`: less than systemd's 90 before SIGKILL

# UDP
DATAGRAM_BYTES = 65_507  # bytes: the largest payload of a datagram over IPv4 (RFC 768, RFC 791)
DATAGRAMS_PER_TURN = 512  # datagrams read for one wake-up, empty ones too, so that streams are not starved
DATAGRAM_BYTES_AT_ONCE = 32 * KiB  # bytes of them, from one sender, that are decoded at once: 2,000 lines or more
DATAGRAM_BUFFER = 4 * MiB  # bytes of kernel buffer, `rcvbuf=`: 20 ms of a fast sender
UDP_PEERS = 10_000  # addresses with a lease or a request, a listener
UDP_IDLE_PEERS = 1_024  # trusted addresses without a lease that are remembered, a listener
LEASE_SECONDS = 60.0  # seconds that a UDP subscription lives without a renewal
TOKEN_SECONDS = 60.0  # seconds of a token's epoch; the one before is good too
TOKEN_FAILURES = 10  # wrong tokens of one address in one epoch
TOKEN_FAILURE_TABLE = 4_096  # rows of the table that counts them
UDP_ERRORS = 10  # errors sent to one unvalidated host in one epoch: two hubs could answer each other for ever
UDP_ERRORS_TRUSTED = 1_000  # the same for one trusted address
AMPLIFICATION = 3  # answer bytes for each byte of an unvalidated address (RFC 9000 section 8.1)

# Logins
LOGIN_THREADS = 2  # threads that compare passwords: each takes 64 MiB, and a core for a tenth of a second
LOGIN_QUEUE = 1_000  # logins that wait for them: more than a minute's work
LOGIN_QUEUE_SOURCE = 64  # logins of one address among them, so no address fills the queue
LOGIN_CACHE = 10_000  # recently verified passwords of one file, as keyed hashes of 32 bytes
LOGIN_CACHE_SECONDS = 300.0  # seconds that they are remembered: clients that lost their link come back within
FAILED_LOGINS_LOGGED = 100  # failed logins that are logged one by one; then each doubling of their number
LOGIN_STEPS = 8  # challenges of one login: SCRAM takes two, and each may cost as much as a password
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
CONNECT_SECONDS = 10.0  # seconds that a connection attempt may take, for each address
SERVERS = 64  # servers of one connector: a cluster has a few
RETRY_FIRST_SECONDS = 0.5  # seconds until a lost connector dials again; doubled each time
RETRY_SECONDS = 10.0  # seconds at most between two attempts: after a cable is plugged in again, a person waits
BACKOFF_RESET_SECONDS = 10.0  # seconds with a link after which the waits of a connector are short again
RESOLVE_SECONDS = 60.0  # seconds between two resolutions of the name of a UDP connector
HELLO_BYTES = 4 * KiB  # bytes of a `hello=`: a few commands, sent at once on each of many links
DIAL_SPREAD_SECONDS = 0.002  # seconds between the first tries of two connectors, so that links get their turns
CONNECTOR_LOG_LINES = 6  # lines that one connector may log in the time below; the next line counts the others
RETAINED_CHANGES = 10_000  # topics whose retained message changed while a connector was away; beyond them all are sent
RETAINED_CHANGES_SIZE = 4 * MiB  # characters of these topics
ECHOES = 10_000  # messages to a server of MQTT 3.1.1 whose return is awaited: about 2 MiB
ECHO_SECONDS = 60.0  # seconds until such a one is no longer awaited: another client may publish the same
CONNECTOR_NOTICES = 5  # notices in the state of a connector, the last ones
LISTENER_NOTICES = 20  # notices that one listener logs: a dialect has a few texts
CONNECTOR_LOG_SECONDS = 60.0  # seconds: 1,000 devices that come and go are 100 lines a second

# The process
DESCRIPTORS_SHARE = 8  # of the descriptors one in so many, and at most the next line, is not for clients
DESCRIPTORS_RESERVED = 64  # descriptors for commands, files and reloads, so `hubbub status` still works
DRAIN_CLOSE_SECONDS = 1.0  # seconds that a client of a stopping daemon has to close once its kernel has the last bytes
QUICK_STOP_SECONDS = 1  # whole seconds that a quick stop may take: it waits for no client, and removes a few files
DRAIN_LINKS_AT_ONCE = 50  # links that a stopping daemon closes, or cuts, in one step: those of a small hub at once
DRAIN_LOOKED_AT = 2_000  # links that a drain looks at in one step of 50 ms: about 4 ms
DRAIN_LINKS_PER_SECOND = 1_000  # links that it closes in a second: their clients reconnect at that rate
NOTIFICATIONS = 8  # notifications that wait for room in systemd's queue; older ones no longer matter
NOTIFY_SECONDS = 0.1  # seconds until such a one is sent again
STATUS_SECONDS = 5.0  # seconds between updates of the number of links that systemd shows
LOG_REPEATS = 20  # lines of one kind in one LOG_SECONDS; the others are counted
LOG_SECONDS = 60.0  # seconds: clients then fill less than 5 MiB a day with each kind
LOG_KINDS = 1_000  # kinds of lines that are counted: as many as there are places in the code that log, and more
LOG_CHARACTERS = 16 * KiB  # characters of a line's text, traceback and each field: the journal's socket takes 208 KiB
GC_THRESHOLDS = (5_000, 5, 1_000_000)  # objects, then runs, between garbage collections: under 20 ms; old ones never
GC_OBJECTS = 100_000  # objects up to which all are looked through when a crowd has gone: under 20 ms
MEMORY_SECONDS = 4.0  # seconds between looks whether memory can be given back: a crowd's is within 10 s
MEMORY_SLACK = 16 * MiB  # bytes less in use than before that are worth it
SESSION_BYTES = 20 * KiB  # bytes that one client takes
SUBSCRIPTION_BYTES = 500  # bytes that one subscription takes
FAILURES_LOGGED = 100  # tracebacks of dialects that are logged between two reloads

# The control socket
CONTROL_BYTES = 64 * KiB  # bytes of one request: a few names
CONTROL_CONNECTIONS = 16  # commands at once: an operator runs a few, and a `hubbub top` or two
CONTROL_SECONDS = 30.0  # seconds until a request must be there, and that a client may take nothing
CONTROL_LOCK_SECONDS = 1.0  # seconds that a start waits for another start in the same folder: that takes milliseconds
WATCH_SECONDS = 0.5  # seconds between two looks at the plugin folders with --watch: an author doesn't wait for it
PASSWD_LOCK_SECONDS = 10.0  # seconds that `hubbub passwd` waits for another one: each writes for milliseconds
NEIGHBOURS = 16  # other daemons of one user that a command asks: a developer runs a few
NEIGHBOUR_SECONDS = 1.0  # seconds that each of them may take to answer: it takes milliseconds
CONTROL_ANSWERS = 100  # answers written before other links have their turn
TRACES = 4  # traces at once: each costs time for all that it covers
TRACE_RECORDS = 1_000  # records of one trace in a second; more are counted: no person reads them
TRACE_BYTES = 256  # bytes of one unit that a trace shows
TRACE_LINE_BYTES = 4 * KiB  # bytes before a piece, without the secret that it goes on with, that are looked at

# Files of the operator
CONFIG_BYTES = 1 * MiB  # bytes of one configuration file
CONFIG_FILES = 256  # files in one conf.d
SHOWN_CHARACTERS = 80  # characters of an operator's value that an error repeats: a message stays one line

# Commands
CAPTURE_BYTES = 16 * MiB  # bytes that `hubbub try` reads, at once: a day of a device at one message a second
CAPTURE_VALUE_CHARACTERS = 400  # characters of one value that it prints, so that an event stays a line that people read

# The client libraries
CLIENT_COMMANDS = 10_000  # commands of one client that have no answer yet: more than a hub answers in 50 ms
CLIENT_BYTES = 64 * MiB  # bytes of these, and of the messages of one subscription that the program hasn't taken
CLIENT_QUEUE = 10_000  # messages of one subscription that the program hasn't taken: what it chooses otherwise
CLIENT_SEEN = 100_000  # messages that match several filters, while the history is read for these: 15 MB
CLIENT_RETRY_FIRST_SECONDS = 0.1  # seconds until a client connects again, doubled each time
CLIENT_RETRY_SECONDS = 10.0  # seconds at most between two attempts, and less by chance, so that a crowd spreads
CLIENT_PING_SECONDS = 15.0  # seconds of silence after which a client asks for a sign of life, and after two gives up
