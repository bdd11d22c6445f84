/* The way of the load's messages; see flow.h. */
#include "flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SENT_RING = 1 << 16, COPIES_MIN = 64, FILTERS_MAX = 10000, SCRIPT_MAX = 1 << 24, STALL_MS = 10000, IDS_MAX = 65535 };

struct group {
    struct link *publishers;
    char *script;                    /* encoded publishes, end to end, twice, so that a round goes on without a cut */
    size_t stride, script_size;
    uint64_t published, completed, settled;
    uint32_t *reached;               /* by how many subscribers has the n-th message been read; a ring */
    int next;                        /* publisher whose turn it is */
};

struct link *links, *churning;
uint32_t *samples;
uint64_t sampled;

static struct group *groups;
static char *payload;
static uint64_t samples_max, ring;
static int64_t sent_ns[SENT_RING];
static int flowing;

static int own_filters(void)
{
    return plan.filters < FILTERS_MAX ? plan.filters : FILTERS_MAX;
}

static void topic_of(const struct group *group, int i, char *out)
{
    if (plan.topics)
        snprintf(out, TOPIC_MAX, "bench/%06d/%06d", i % plan.topics, plan.filters ? i % own_filters() : 0);
    else
        snprintf(out, TOPIC_MAX, "bench/%06d", (int)(group - groups));
}

void filter_of(const struct link *link, int i, char *out)
{
    if (plan.filters)
        snprintf(out, TOPIC_MAX, "bench/+/%06d", link->first + i);
    else if (plan.topics)
        snprintf(out, TOPIC_MAX, "bench/#");
    else
        topic_of(link->group, 0, out);
}

const char *script_of(const struct link *link, size_t *size, size_t *stride)
{
    *stride = link->group->stride;
    *size = link->group->script_size;
    return link->group->script;
}

int carries_payload(const char *unit, size_t n)
{
    return memmem(unit, n, payload, plan.size) != NULL;
}

/* Publish what the window has room for. Several publishers take turns, each with a whole window. */
static void publish(struct group *group)
{
    uint64_t done = group->completed;
    if (plan.protocol->reply && group->settled < done)
        done = group->settled;
    uint64_t room = ring - (group->published - done);
    while (room) {
        uint64_t n = plan.publishers == 1 ? room : (uint64_t)plan.window;
        if (n > room)
            return;
        post(&group->publishers[group->next], n * group->stride);
        group->next = (group->next + 1) % plan.publishers;
        group->published += n;
        room -= n;
    }
}

static void sample(uint64_t message, int64_t now)
{
    if (sampled < samples_max)
        samples[sampled++] = (uint32_t)((now - sent_ns[message % SENT_RING]) / 1000);
}

void delivered(struct link *link, size_t bytes)
{
    struct group *group = link->group;
    uint64_t before = group->completed;
    int64_t now = samples ? now_ns() : 0;
    link->bytes += bytes;
    for (uint64_t count = link->bytes / counters.unit; link->count < count; link->count++) {
        counters.deliveries++;
        if (samples && group == groups)
            sample(link->count, now);
        if (++group->reached[link->count % ring] == (uint32_t)plan.subscribers) {
            group->reached[link->count % ring] = 0;
            group->completed++;
        }
    }
    if (flowing && group->completed > before)
        publish(group);
}

void settled(struct link *link, uint64_t n)
{
    link->group->settled += n;
    if (flowing)
        publish(link->group);
}

static void write_script(struct group *group)
{
    int copies = plan.window > COPIES_MIN ? plan.window : COPIES_MIN;
    size_t room = plan.size + 2 * TOPIC_MAX + WS_HEAD_MAX + 64;
    char topic[TOPIC_MAX], *plain = malloc(room);
    if (copies * room > SCRIPT_MAX)
        copies = 1;
    if (plan.topics > copies)
        copies = plan.topics;
    if (plan.protocol->reply && copies > IDS_MAX)
        die("%d packet identifiers are needed, and there are %d", copies, IDS_MAX);
    group->script = malloc(2 * room * copies);
    for (int i = 0; i < copies; i++) {
        char *out = group->script + group->script_size;
        topic_of(group, i, topic);
        size_t n = plan.protocol->publish(plan.websocket ? plain : out, topic, payload, plan.size, i + 1);
        group->stride = plan.websocket ? ws_frame(out, plan.protocol->opcode, plain, n) : n;
        group->script_size += group->stride;
    }
    memcpy(group->script + group->script_size, group->script, group->script_size);
    free(plain);
}

/* The `n`-th part of the filters to one that holds some. */
static void give_filters(struct link *link, int n)
{
    int left = plan.filters - n * FILTERS_MAX;
    if (link->role == STALLED)
        link->filters = 1;
    if (link->role != SUBSCRIBER && link->role != HOLDER)
        return;
    link->first = n * FILTERS_MAX;
    link->filters = !plan.filters ? 1 : left < FILTERS_MAX ? left : FILTERS_MAX;
}

int build(void)
{
    int each = plan.publishers + plan.subscribers, n = plan.groups * each;
    int holders = plan.filters ? (plan.filters - 1) / FILTERS_MAX : 0, all = n + holders + plan.stalled + plan.churn;
    int opened = n + holders + plan.stalled;
    ring = (uint64_t)plan.window * plan.publishers;
    groups = calloc(plan.groups, sizeof *groups);
    links = calloc(all, sizeof *links);
    payload = malloc(plan.size + 1);
    for (int i = 0; i < plan.size; i++)
        payload[i] = (char)('a' + i % 26);
    for (int g = 0; g < plan.groups; g++) {
        groups[g].publishers = &links[g * each];
        groups[g].reached = calloc(ring, sizeof *groups[g].reached);
        write_script(&groups[g]);
    }
    for (int i = 0; i < all; i++) {
        links[i].id = i;
        links[i].role = i >= opened ? CHURN : i >= n + holders ? STALLED : i >= n ? HOLDER : SUBSCRIBER;
        if (i < n && i % each < plan.publishers)
            links[i].role = PUBLISHER;
        links[i].group = i < n ? &groups[i / each] : links[i].role == STALLED ? groups : NULL;
        give_filters(&links[i], links[i].role == HOLDER ? i - n + 1 : 0);
    }
    churning = links + opened;
    return opened;
}

void verify(void)
{
    uint64_t wanted = (uint64_t)plan.groups * plan.publishers * plan.subscribers;
    for (int g = 0; g < plan.groups; g++)
        for (int p = 0; p < plan.publishers; p++) {
            post(&groups[g].publishers[p], groups[g].stride);
            groups[g].published++;
        }
    while (counters.deliveries < wanted)
        if (turn(STALL_MS) == 0)
            die("%lu of the first %lu deliveries arrived", counters.deliveries, wanted);
}

void start_flow(void)
{
    flowing = 1;
    for (int g = 0; g < plan.groups; g++)
        publish(&groups[g]);
}

void sample_latency(uint64_t most)
{
    samples_max = most;
    samples = malloc(most * sizeof *samples);
}

void publish_at(int64_t due_ns)
{
    sent_ns[groups->published++ % SENT_RING] = due_ns;
    post(groups->publishers, groups->stride);
}

void burst(void)
{
    post(groups[1].publishers, plan.burst * groups[1].stride);
}

void vanish(void)
{
    struct linger none = {.l_onoff = 1};
    for (int i = 0; &links[i] != churning; i++)
        if (links[i].role == STALLED) {
            setsockopt(links[i].fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
            close(links[i].fd);
        }
}
