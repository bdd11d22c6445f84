/* One client connection of the load: opened, greeted, subscribed, verified, then only counted. */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include "tls.h"
#include "wire.h"

#include <stdint.h>

enum role {
    PUBLISHER,
    SUBSCRIBER,
    HOLDER,      /* of filters that match nothing */
    IDLE,
    CHURN,       /* opens, greets, closes, and again */
    STALLED,     /* subscribes as the first group's do, and reads no more */
};
enum state { CLOSED, CONNECTING, SHAKING, UPGRADING, GREETING, SUBSCRIBING, VERIFYING, FLOWING };
enum { TOPIC_MAX = 64, COMMAND_MAX = 256, BATCH = 64 };

struct plan {
    const struct protocol *protocol;
    const char *work;
    int port, udp, websocket;                  /* udp: the port for datagrams */
    int to;                                    /* the port of subscribers, at another server; 0: the same */
    int tls, resume;                           /* over TLS; by the session of an earlier link */
    int groups, publishers, subscribers;       /* the last two for each group */
    int window;                                /* messages in flight for each publisher */
    int size;
    int topics, filters;                       /* topics in turn; filters with a +. 0: one of each, exact */
    int ids;                                   /* whether each subscriber calls its subscription by an id of its own */
    int varying;                               /* whether deliveries differ in length */
    int rate, churn, links;                    /* messages/s; links that come and go; idle ones */
    int burst;                                 /* messages at once of another publisher */
    int stalled;                               /* subscribers that don't read */
    double seconds, warm;
};
extern struct plan plan;

struct group;
struct link {
    int fd, id;
    int first, filters, asked, granted;        /* filters: which, how many, and how far that has come */
    enum role role;
    enum state state;
    struct group *group;
    struct ws_reader ws;
    struct tls *tls;                           /* NULL: plaintext */
    char *in;                                  /* what was read, until FLOWING or a unit is whole */
    size_t have, room;
    char *unsaid;                              /* replies, written between two publishes */
    size_t unsaid_have, unsaid_room;
    uint64_t bytes, count;                     /* delivered */
    uint64_t owed;                             /* bytes of the group's script still to be written, ... */
    size_t at;                                 /* ... from here on */
};

extern struct counters {
    uint64_t opened, churned, resumed, deliveries;
    size_t unit;                               /* bytes of one delivery, as verified */
} counters;

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
int64_t now_ns(void);
void open_all(struct link *links, int n);      /* returns when all are FLOWING, subscribers VERIFYING */
void open_link(struct link *link);
int turn(int milliseconds);                    /* one round of epoll; returns the number of events */
void watch(int fd, void *who, int events);     /* `who` NULL: counted by turn(), not handled */
void post(struct link *link, uint64_t bytes);  /* write so much more of the group's script */
void filter_of(const struct link *link, int i, char *out);

/* Implemented by flow.c */
/* What it publishes, over and over; `stride`: the bytes of one message */
const char *script_of(const struct link *link, size_t *size, size_t *stride);
int carries_payload(const char *unit, size_t n);
void delivered(struct link *link, size_t bytes);
void settled(struct link *link, uint64_t n);   /* the server has taken so many of its publishes over */

#endif
