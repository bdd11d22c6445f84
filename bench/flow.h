/* Messages through groups of publishers and subscribers, with so many in flight. */
#ifndef BENCH_FLOW_H
#define BENCH_FLOW_H

#include "link.h"

extern struct link *links;           /* of the groups, holders, stalled ones, then those that churn */
extern struct link *churning;
extern uint32_t *samples;            /* latencies in microseconds */
extern uint64_t sampled;

int build(void);                     /* returns the number of links to open */
void verify(void);                   /* one message a publisher, all the way: the length of a delivery */
void start_flow(void);               /* fill the windows; deliveries keep them full from then on */
void sample_latency(uint64_t most);
void publish_at(int64_t due_ns);     /* one message of the first group, whatever is in flight */
void burst(void);                    /* the second group's messages, all at once */
void vanish(void);                   /* the stalled ones reset their connections */

#endif
