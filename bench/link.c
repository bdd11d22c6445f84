/* The connections of the load; see link.h. One epoll, one thread, no blocking call but epoll_wait. */
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 256, OPENING_MAX = 32, READ_MAX = 1 << 18, STALL_MS = 10000, SOURCES = 250, REPLY_MAX = 64,
    OWN_IDS = 100000                 /* the first of them; all have one width, so that deliveries have one length */
};

struct counters counters;
static int poller = -1, pending;
static const int stalled_bytes = 4096;         /* that the kernel keeps of what isn't read */
static const char *const state_names[] = {"closed",   "connecting",  "shaking",   "upgrading",
                                          "greeting", "subscribing", "verifying", "flowing"};

void die(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
            *c = '\'';
    printf("{\"error\": \"%s\"}\n", text);
    exit(1);
}

int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void watch(int fd, void *who, int events)
{
    if (poller < 0)
        poller = epoll_create1(0);
    struct epoll_event event = {.events = events, .data.ptr = who};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) && epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

static ssize_t put(const struct link *link, const char *bytes, size_t n)
{
    return link->tls ? tls_write(link->tls, bytes, n) : write(link->fd, bytes, n);
}

static ssize_t get(const struct link *link, char *out, size_t n)
{
    return link->tls ? tls_read(link->tls, out, n) : read(link->fd, out, n);
}

/* Handshake bytes are few and the socket is empty, so a short write is a fault. */
static void say(struct link *link, const char *bytes, size_t n)
{
    char frame[BATCH * COMMAND_MAX + WS_HEAD_MAX];
    if (plan.websocket && link->state > UPGRADING) {
        n = ws_frame(frame, plan.protocol->opcode, bytes, n);
        bytes = frame;
    }
    if (put(link, bytes, n) != (ssize_t)n)
        die("link %d: can't write its handshake: %s", link->id, strerror(errno));
}

/* From 127.0.0.n: thousands of closed links leave one address few free ports, which take long to find. */
static void leave_from(int fd, int n)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000 + n)};
    int yes = 1;
    setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&from, sizeof from))
        die("bind to 127.0.0.%d: %s", n, strerror(errno));
}

void open_link(struct link *link)
{
    int port = plan.to && link->role == SUBSCRIBER ? plan.to : plan.port;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1;
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (link->fd < 0)
        die("socket %d: %s (raise the limit of open files)", link->id, strerror(errno));
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (link->role == STALLED)
        setsockopt(link->fd, SOL_SOCKET, SO_RCVBUF, &stalled_bytes, sizeof stalled_bytes);
    if (link->role == CHURN)
        leave_from(link->fd, 2 + counters.churned % SOURCES);
    if (connect(link->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        die("connect to port %d: %s", port, strerror(errno));
    link->state = CONNECTING;
    link->have = 0;
    memset(&link->ws, 0, sizeof link->ws);
    watch(link->fd, link, EPOLLOUT);
}

static void greet(struct link *link)
{
    char out[COMMAND_MAX];
    link->state = GREETING;
    say(link, out, plan.protocol->hello(out, link->id));
}

static void begin(struct link *link)
{
    if (!plan.websocket) {
        greet(link);
        return;
    }
    char out[512];
    link->state = UPGRADING;
    say(link, out, ws_request(out, plan.port, plan.protocol->subprotocol));
}

static void shake(struct link *link)
{
    int done = tls_shake(link->tls);
    if (done < 0)
        die("link %d: no TLS: %s", link->id, tls_error());
    if (done) {
        counters.resumed += tls_resumed(link->tls);
        begin(link);
    }
}

static void connected(struct link *link)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        die("connect to port %d: %s", plan.port, strerror(error));
    watch(link->fd, link, EPOLLIN);
    if (plan.tls) {
        link->state = SHAKING;
        link->tls = tls_begin(link->fd, plan.resume);
        shake(link);
    } else
        begin(link);
}

/* Ask for the next batch of filters; false when all have been granted. */
static int subscribe(struct link *link)
{
    char out[BATCH * COMMAND_MAX], filter[TOPIC_MAX];
    size_t n = 0;
    if (link->granted == link->filters)
        return 0;
    link->state = SUBSCRIBING;
    if (link->granted < link->asked)
        return 1;
    for (int i = 0; i < BATCH && link->asked < link->filters; i++) {
        filter_of(link, link->asked++, filter);
        n += plan.protocol->subscribe(out + n, filter, plan.ids ? OWN_IDS + link->id : link->asked);
    }
    say(link, out, n);
    return 1;
}

static void ready(struct link *link)
{
    link->state = link->role == SUBSCRIBER ? VERIFYING : FLOWING;
    if (link->role != CHURN) {
        pending--;
        counters.opened++;
    }
    if (link->role == STALLED)
        epoll_ctl(poller, EPOLL_CTL_DEL, link->fd, NULL);
}

/* Returns how much the socket took; 0 when it is full. */
static ssize_t written(const struct link *link, const char *bytes, size_t n)
{
    ssize_t took = put(link, bytes, n);
    if (took < 0 && errno != EAGAIN)
        die("write on link %d: %s", link->id, strerror(errno));
    return took < 0 ? 0 : took;
}

static void writable(struct link *link)
{
    size_t size, stride;
    const char *script = link->owed ? script_of(link, &size, &stride) : NULL;
    while (link->owed) {
        size_t most = 2 * size - link->at < link->owed ? 2 * size - link->at : link->owed;
        ssize_t n = written(link, script + link->at, most);
        if (!n)
            return;
        link->owed -= n;
        link->at = (link->at + n) % size;
    }
    while (link->unsaid_have) {
        ssize_t n = written(link, link->unsaid, link->unsaid_have);
        if (!n)
            return;
        link->unsaid_have -= n;
        memmove(link->unsaid, link->unsaid + n, link->unsaid_have);
    }
}

static int wants_to_write(const struct link *link)
{
    return link->owed || link->unsaid_have;
}

static void write_all(struct link *link)
{
    writable(link);
    if (wants_to_write(link))
        watch(link->fd, link, EPOLLIN | EPOLLOUT);
}

void post(struct link *link, uint64_t bytes)
{
    int waiting = link->owed > 0;
    link->owed += bytes;
    if (!waiting)
        write_all(link);
}

/* Whether deliveries are read one by one, or only their bytes counted. */
static int reads_units(void)
{
    return plan.protocol->reply || plan.varying;
}

/* Put down what `unit` wants said back. */
static void reply(struct link *link, const char *unit)
{
    if (!plan.protocol->reply)
        return;
    if (link->unsaid_room - link->unsaid_have < REPLY_MAX) {
        link->unsaid_room = (link->unsaid_have + REPLY_MAX) * 2;
        link->unsaid = realloc(link->unsaid, link->unsaid_room);
    }
    link->unsaid_have += plan.protocol->reply(link->unsaid + link->unsaid_have, unit);
}

/* One unit that arrived before the link flows. */
static void answer(struct link *link, const char *unit, size_t n)
{
    reply(link, unit);
    enum verdict verdict = plan.protocol->judge(unit, n);
    if (verdict == REFUSED)
        die("link %d was refused: %.*s", link->id, (int)(n < 200 ? n : 200), unit);
    if (link->state == VERIFYING) {
        if (!carries_payload(unit, n))
            return;
        if (counters.unit && counters.unit != n && !plan.varying)
            die("deliveries differ in length: %zu and %zu bytes", counters.unit, n);
        if (!counters.unit)
            counters.unit = n;
        link->state = FLOWING;
        delivered(link, counters.unit);
    } else if (verdict == GRANTED) {
        link->granted += link->state == SUBSCRIBING;
        if (!subscribe(link))
            ready(link);
    }
}

static void keep(struct link *link, const char *bytes, size_t n)
{
    if (link->have + n > link->room) {
        link->room = (link->have + n) * 2;
        link->in = realloc(link->in, link->room);
    }
    memcpy(link->in + link->have, bytes, n);
    link->have += n;
}

/* Returns the bytes of `in` that were the answer to the upgrade; 0 while it isn't whole. */
static size_t upgraded(struct link *link)
{
    char *end = memmem(link->in, link->have, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (link->have < 12 || memcmp(link->in, "HTTP/1.1 101", 12))
        die("link %d: no WebSocket: %.60s", link->id, link->in);
    greet(link);
    return (size_t)(end - link->in) + 4;
}

static void drop(struct link *link, size_t n)
{
    link->have -= n;
    memmove(link->in, link->in + n, link->have);
}

/* Units of a link that flows and replies to them. */
static void units(struct link *link)
{
    size_t at = 0, n, deliveries = 0, done = 0;
    while ((n = plan.protocol->unit(link->in + at, link->have - at))) {
        const char *unit = link->in + at;
        reply(link, unit);
        if (plan.protocol->judge(unit, n) == SETTLED)
            done++;
        else if (plan.varying ? carries_payload(unit, n) : n == counters.unit)
            deliveries++;
        at += n;
    }
    drop(link, at);
    write_all(link);
    if (done)
        settled(link, done);
    if (deliveries)
        delivered(link, deliveries * counters.unit);
}

static void answers(struct link *link)
{
    size_t at = 0, n;
    while (link->state < FLOWING && (n = plan.protocol->unit(link->in + at, link->have - at))) {
        answer(link, link->in + at, n);
        at += n;
    }
    drop(link, at);
    if (link->state == FLOWING && reads_units())
        units(link);
    if (link->state != FLOWING || reads_units())
        return;
    if (link->role == SUBSCRIBER && link->have)
        delivered(link, link->have);
    free(link->in);
    link->in = NULL;
    link->have = link->room = 0;
}

static size_t unframed(struct link *link, const char *bytes, size_t n, char *out)
{
    return ws_read(&link->ws, plan.protocol->line_frames, bytes, n, out);
}

static void handshake(struct link *link, const char *bytes, size_t n)
{
    static char plain[READ_MAX];
    if (link->state == UPGRADING) {
        keep(link, bytes, n);
        size_t head = upgraded(link), before = link->have - n;
        if (!head)
            return;
        link->have = 0;
        bytes += head - before;
        n -= head - before;
    }
    if (plan.websocket) {
        n = unframed(link, bytes, n, plain);
        bytes = plain;
    }
    keep(link, bytes, n);
    answers(link);
}

/* Returns false when there is no more. */
static int read_some(struct link *link)
{
    static char in[READ_MAX];
    ssize_t n = get(link, in, sizeof in);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        die("the server closed link %d while it was %s", link->id, state_names[link->state]);
    if (link->state != FLOWING)
        handshake(link, in, n);
    else if (reads_units() && link->role != IDLE) {
        keep(link, in, n);
        units(link);
    } else if (link->role == SUBSCRIBER)
        delivered(link, plan.websocket ? unframed(link, in, n, NULL) : (size_t)n);
    return 1;
}

static void readable(struct link *link)
{
    int more = read_some(link);
    while (more && link->tls && !(link->role == CHURN && link->state == FLOWING))
        more = read_some(link);
    if (link->role == CHURN && link->state == FLOWING) {
        counters.churned++;
        if (link->tls)
            tls_end(link->tls);
        link->tls = NULL;
        close(link->fd);
        link->state = CLOSED;
        if (!plan.rate)
            open_link(link);
    }
}

static void handle(struct link *link, int events)
{
    if (link->state == CONNECTING) {
        connected(link);
        return;
    }
    if (link->state == SHAKING) {
        shake(link);
        return;
    }
    if (events & EPOLLOUT) {
        writable(link);
        if (!wants_to_write(link))
            watch(link->fd, link, EPOLLIN);
    }
    if (events & ~EPOLLOUT)
        readable(link);
}

int turn(int milliseconds)
{
    static struct epoll_event events[EVENTS];
    int n = epoll_wait(poller, events, EVENTS, milliseconds);
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr)
            handle(events[i].data.ptr, events[i].events);
    return n;
}

void open_all(struct link *links, int n)
{
    for (int next = 0; counters.opened < (uint64_t)n;) {
        for (; next < n && pending < OPENING_MAX; pending++)
            open_link(&links[next++]);
        if (turn(STALL_MS) == 0)
            die("no answer for %d s with %d of %d links open", STALL_MS / 1000, (int)counters.opened, n);
    }
}
