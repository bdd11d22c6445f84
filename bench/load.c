/* Load for a pub/sub server, on loopback: the works of the benchmark, reported as one line of JSON.
 *
 *   load protocol=lines|mqtt|mqtt-1|mqtt-2|nats|stomp|wamp|wamp-call|http|redis port=N [to=N] [websocket=1]
 *        [tls=1] work=WORK [option=N ...]
 *
 *   flow     `groups` times `publishers` -> `subscribers`, `window` messages in flight for each publisher; a
 *            message is in flight until every subscriber of its group has it. With `topics`, one group
 *            publishes on so many in turn; with `filters`, each of them matches one of so many wildcard
 *            filters. One client has 10,000 at most; those above are held by others, and match nothing. With
 *            ids=1 the id of each subscription, which is part of its deliveries, is another one (nats, stomp).
 *            `stalled` more subscribers of the first group read nothing; it is measured once all of them are full
 *   paced    one publisher, `rate` messages/s whatever is in flight: latency from the moment each was due;
 *            meanwhile up to `churn` links for each message open, greet and close, or another publisher sends
 *            `burst` messages at once to as many subscribers of its own, ten times a second. `stalled` more
 *            subscribers reset their connections, all at once, when the measurement begins
 *   churn    `churn` links at a time open, greet and close, and again; with tls=1 resume=1 by the last session
 *   udp      datagrams of lines to port udp=N, `rate` a second or as fast as they go; `subscribers` over TCP,
 *            0 or 1
 *   idle     `links` links open, greet and stay until end of input
 *
 * With mqtt-1 and mqtt-2 (the quality of service) a message is in flight until the server has acknowledged it, too;
 * with wamp-call it is a call to the subscriber, in flight until the publisher has its result.
 *
 * Every delivery of a run has the same length, verified on the first one of each subscriber; from there on
 * bytes are counted, not read. With varying=1 their lengths differ, and each is read: for slow servers. */
#include "flow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { UDP_MOST = 65507, QUIET_MS = 300, QUIT_MS = 100, FAR_MS = 300, BURSTS = 1000, DELIVERIES_MAX = 1000000000,
       BURST_NS = 100000000, FILLED = 60000 };

struct plan plan = {.work = "flow", .groups = 1, .publishers = 1, .subscribers = 1, .window = 1, .size = 100,
                    .seconds = 2, .warm = 0.3};

struct mark {
    int64_t ns;
    double cpu, waited;              /* seconds on a core, and ready but without one */
    struct counters at;
};

static struct mark mark(void)
{
    struct mark mark = {now_ns(), 0, 0, counters};
    FILE *file = fopen("/proc/self/schedstat", "r");
    if (!file || fscanf(file, "%lf %lf", &mark.cpu, &mark.waited) != 2)
        die("no /proc/self/schedstat: this kernel can't tell how busy the load is");
    fclose(file);
    mark.cpu /= 1e9;
    mark.waited /= 1e9;
    return mark;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(const struct mark *from, const struct mark *to)
{
    printf("{\"deliveries\": %lu, \"churned\": %lu, ", to->at.deliveries - from->at.deliveries,
           to->at.churned - from->at.churned);
    if (plan.resume)
        printf("\"resumed\": %lu, ", to->at.resumed - from->at.resumed);
    printf("\"seconds\": %.6f, \"cpu\": %.6f, ", (to->ns - from->ns) / 1e9, to->cpu - from->cpu);
    printf("\"waited\": %.6f, \"unit\": %zu", to->waited - from->waited, counters.unit);
    if (!sampled)
        return;
    qsort(samples, sampled, sizeof *samples, by_size);
    printf(", \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u", samples[sampled / 2],
           samples[sampled * 99 / 100], samples[sampled - 1]);
}

static void run(double seconds)
{
    int64_t end = now_ns() + (int64_t)(seconds * 1e9);
    for (int64_t left; (left = end - now_ns()) > 0 && counters.deliveries < DELIVERIES_MAX;)
        turn((int)(left / 1000000) + 1);
}

static void measure(void)
{
    run(plan.warm);
    struct mark from = mark();
    run(plan.seconds);
    struct mark to = mark();
    if (to.at.deliveries == from.at.deliveries && to.at.churned == from.at.churned)
        die("stalled: nothing arrived in %.1f s, after %lu deliveries", plan.seconds, to.at.deliveries);
    report(&from, &to);
}

static void open_groups(void)
{
    open_all(links, build());
    if (plan.to)
        usleep(FAR_MS * 1000);           /* until the other server knows of the subscriptions */
    verify();
}

static void start_churn(void)
{
    for (int i = 0; i < plan.churn; i++)
        if (churning[i].state == CLOSED)
            open_link(&churning[i]);
}

static void flow(void)
{
    open_groups();
    start_flow();
    while (plan.stalled && counters.deliveries < FILLED)
        turn(QUIET_MS);
    measure();
}

static void churn(void)
{
    plan.groups = 0;
    build();
    start_churn();
    measure();
}

static void paced(void)
{
    int64_t period = 1000000000LL / plan.rate;
    struct timespec each = {period / 1000000000, period % 1000000000};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int64_t bursts = 1;
    struct mark from = {0};
    plan.groups = plan.burst ? 2 : 1;
    open_groups();
    watch(timer, NULL, EPOLLIN);
    timerfd_settime(timer, 0, &(struct itimerspec){each, each}, NULL);
    int64_t start = now_ns(), warm = start + (int64_t)(plan.warm * 1e9);
    int64_t end = warm + (int64_t)(plan.seconds * 1e9);
    for (int64_t due = start + period, now = start; now < end; now = now_ns()) {
        uint64_t ticks;
        turn(QUIET_MS);
        if (read(timer, &ticks, sizeof ticks) > 0)
            for (start_churn(); due <= now_ns(); due += period)
                publish_at(due);
        if (plan.burst && (now - start) / BURST_NS >= bursts) {
            burst();
            bursts++;
        }
        if (!from.ns && now >= warm) {
            from = mark();
            vanish();
            sample_latency((uint64_t)(plan.rate * (plan.seconds + 1) * plan.subscribers));
        }
    }
    struct mark to = mark();
    if (!sampled)
        die("nothing arrived at %d messages/s", plan.rate);
    report(&from, &to);
}

/* The kernel cuts what is sent into datagrams of `size`: one system call for many (udp(7), UDP_SEGMENT). */
static int udp_socket(int size)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(plan.udp)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) ||
        setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size))
        die("udp: %s", strerror(errno));
    return fd;
}

/* All that was sent until the last one arrived: what is missing then is lost. */
static void udp(void)
{
    uint64_t sent = 0;
    size_t size, stride;
    if (plan.subscribers)
        open_groups();
    else
        build();
    const char *script = script_of(links, &size, &stride);
    size_t most = (size < UDP_MOST ? size : UDP_MOST) / stride;
    if (plan.rate && most > (size_t)plan.rate / BURSTS)
        most = plan.rate < BURSTS ? 1 : plan.rate / BURSTS;
    int fd = udp_socket(stride);
    struct mark from = mark();
    for (int64_t end = from.ns + (int64_t)(plan.seconds * 1e9); now_ns() < end; turn(0)) {
        if (plan.rate && sent >= (now_ns() - from.ns) / 1e9 * plan.rate)
            continue;
        if (send(fd, script, most * stride, 0) > 0)
            sent += most;
        else if (errno != ENOBUFS && errno != EAGAIN)
            die("udp: %s", strerror(errno));
    }
    struct mark to = mark();
    while (plan.subscribers && turn(QUIET_MS))
        to = mark();
    report(&from, &to);
    printf(", \"sent\": %lu", sent);
}

static void idle(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    links = calloc(plan.links, sizeof *links);
    for (int i = 0; i < plan.links; i++)
        links[i] = (struct link){.id = i, .role = IDLE};
    struct mark from = mark();
    open_all(links, plan.links);
    struct mark to = mark();
    report(&from, &to);
    printf("}\n");
    fflush(stdout);
    for (int64_t end = now_ns() + (int64_t)(plan.seconds * 1e9); now_ns() < end && poll(&in, 1, 0) == 0;)
        turn(QUIT_MS);
    exit(0);
}

static const struct work {
    const char *name;
    void (*run)(void);
} works[] = {{"flow", flow}, {"paced", paced}, {"churn", churn}, {"udp", udp}, {"idle", idle}};

static const struct option {
    const char *name;
    int *at;
} options[] = {
    {"port", &plan.port}, {"udp", &plan.udp}, {"websocket", &plan.websocket}, {"groups", &plan.groups},
    {"to", &plan.to}, {"tls", &plan.tls}, {"resume", &plan.resume},
    {"publishers", &plan.publishers}, {"subscribers", &plan.subscribers}, {"window", &plan.window},
    {"size", &plan.size}, {"topics", &plan.topics}, {"filters", &plan.filters}, {"rate", &plan.rate},
    {"ids", &plan.ids}, {"churn", &plan.churn}, {"burst", &plan.burst}, {"links", &plan.links},
    {"stalled", &plan.stalled}, {"varying", &plan.varying},
};

static void set_option(const char *name, const char *value)
{
    if (!strcmp(name, "protocol"))
        plan.protocol = protocol_named(value);
    else if (!strcmp(name, "work"))
        plan.work = value;
    else if (!strcmp(name, "seconds"))
        plan.seconds = atof(value);
    else if (!strcmp(name, "warm"))
        plan.warm = atof(value);
    else {
        for (size_t i = 0; i < sizeof options / sizeof *options; i++)
            if (!strcmp(name, options[i].name)) {
                *options[i].at = atoi(value);
                return;
            }
        die("no option %s", name);
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals)
            die("%s is no option=value", argv[i]);
        *equals = 0;
        set_option(argv[i], equals + 1);
    }
    if (!plan.protocol || !plan.port)
        die("protocol=lines|mqtt|mqtt-1|mqtt-2|nats|stomp|wamp|wamp-call|http|redis and port=N are needed");
    if ((plan.protocol->reply || plan.varying) && plan.websocket)
        die("what is read goes over TCP only");
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (!strcmp(plan.work, works[i].name)) {
            works[i].run();
            printf("}\n");
            return 0;
        }
    die("no work %s", plan.work);
}
