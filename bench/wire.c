/* The protocols of the systems that are compared; see wire.h. What is sent is our own: nothing is escaped. */
#include "wire.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int begins(const char *in, size_t n, const char *with)
{
    size_t size = strlen(with);
    return n >= size && memcmp(in, with, size) == 0;
}

static size_t append(char *out, const char *payload, size_t size, const char *tail)
{
    memcpy(out, payload, size);
    memcpy(out + size, tail, strlen(tail));
    return size + strlen(tail);
}

/* hubbub's lines, also spoken by the floor and the bare servers */

static size_t line_unit(const char *in, size_t n)
{
    const char *end = memchr(in, '\n', n);
    return end ? (size_t)(end - in) + 1 : 0;
}

static size_t lines_hello(char *out, int id)
{
    (void)id;
    return sprintf(out, "PING\n");
}

static size_t lines_subscribe(char *out, const char *filter, int id)
{
    (void)id;
    return sprintf(out, "SUB %s\n", filter);
}

static size_t lines_publish(char *out, const char *topic, const char *payload, size_t size, int id)
{
    (void)id;
    size_t head = sprintf(out, "PUB %s ", topic);
    return head + append(out + head, payload, size, "\n");
}

static enum verdict lines_judge(const char *unit, size_t n)
{
    if (begins(unit, n, "PONG") || begins(unit, n, "OK SUB "))
        return GRANTED;
    return begins(unit, n, "ERR ") ? REFUSED : OTHER;
}

/* MQTT 3.1.1, no keep alive */

static size_t mqtt_head(char *out, unsigned char type, size_t remaining)
{
    size_t n = 0;
    out[n++] = (char)type;
    do {
        out[n++] = (char)((remaining & 127) | (remaining > 127 ? 128 : 0));
        remaining >>= 7;
    } while (remaining);
    return n;
}

static size_t mqtt_string(char *out, const char *text)
{
    size_t size = strlen(text);
    out[0] = (char)(size >> 8);
    out[1] = (char)size;
    memcpy(out + 2, text, size);
    return size + 2;
}

static size_t mqtt_hello(char *out, int id)
{
    char client[24];
    snprintf(client, sizeof client, "bench-%d", id);
    size_t n = mqtt_head(out, 0x10, 10 + 2 + strlen(client));
    memcpy(out + n, "\0\4MQTT\4\2\0\0", 10);
    return n + 10 + mqtt_string(out + n + 10, client);
}

static size_t mqtt_id(char *out, int id)
{
    out[0] = (char)(id >> 8);
    out[1] = (char)id;
    return 2;
}

static size_t mqtt_subscribe_at(int qos, char *out, const char *filter, int id)
{
    size_t n = mqtt_head(out, 0x82, 2 + 2 + strlen(filter) + 1);
    n += mqtt_id(out + n, id % 65535 + 1);
    n += mqtt_string(out + n, filter);
    out[n++] = (char)qos;
    return n;
}

static size_t mqtt_publish_at(int qos, char *out, const char *topic, const char *payload, size_t size, int id)
{
    size_t n = mqtt_head(out, 0x30 | qos << 1, 2 + strlen(topic) + 2 * !!qos + size);
    n += mqtt_string(out + n, topic);
    if (qos)
        n += mqtt_id(out + n, id);
    return n + append(out + n, payload, size, "");
}

#define MQTT_AT(QOS)                                                                                                   \
    static size_t mqtt##QOS##_subscribe(char *out, const char *filter, int id)                                         \
    {                                                                                                                  \
        return mqtt_subscribe_at(QOS, out, filter, id);                                                                \
    }                                                                                                                  \
    static size_t mqtt##QOS##_publish(char *out, const char *topic, const char *payload, size_t size, int id)          \
    {                                                                                                                  \
        return mqtt_publish_at(QOS, out, topic, payload, size, id);                                                    \
    }
MQTT_AT(0)
MQTT_AT(1)
MQTT_AT(2)

static size_t mqtt_unit(const char *in, size_t n)
{
    size_t remaining = 0;
    for (size_t i = 1, shift = 0; i < n && i < 5; i++, shift += 7) {
        remaining |= (size_t)(in[i] & 127) << shift;
        if (!(in[i] & 128))
            return i + 1 + remaining <= n ? i + 1 + remaining : 0;
    }
    return 0;
}

static enum verdict mqtt_judge(const char *unit, size_t n)
{
    unsigned char type = (unsigned char)unit[0] & 0xf0, code = (unsigned char)unit[n - 1];
    if (type == 0x20)
        return code == 0 ? GRANTED : REFUSED;
    if (type == 0x90)
        return code < 0x80 ? GRANTED : REFUSED;
    return type == 0x40 || type == 0x70 ? SETTLED : OTHER;
}

/* PUBACK, PUBREC, PUBREL or PUBCOMP, whichever comes after what was read */
static size_t mqtt_reply(char *out, const char *unit)
{
    unsigned char type = (unsigned char)unit[0] & 0xf0, qos = unit[0] >> 1 & 3;
    unsigned char next = type == 0x50 ? 0x62 : type == 0x60 ? 0x70 : type != 0x30 || !qos ? 0 : qos == 1 ? 0x40 : 0x50;
    const char *id = unit + 2;
    if (!next)
        return 0;
    if (type == 0x30) {
        for (id = unit + 1; *id & 128; id++)
            ;
        id += 3 + ((unsigned char)id[1] << 8 | (unsigned char)id[2]);
    }
    size_t n = mqtt_head(out, next, 2);
    memcpy(out + n, id, 2);
    return n + 2;
}

/* NATS: SUB has no answer of its own, so a PING follows it, as its clients do for flush */

static size_t nats_subject(char *out, const char *topic)
{
    size_t n = 0;
    for (; topic[n]; n++)
        out[n] = topic[n] == '/' ? '.' : topic[n] == '+' ? '*' : topic[n] == '#' ? '>' : topic[n];
    out[n] = 0;
    return n;
}

static size_t nats_hello(char *out, int id)
{
    (void)id;
    return sprintf(out, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n");
}

static size_t nats_subscribe(char *out, const char *filter, int id)
{
    char subject[128];
    nats_subject(subject, filter);
    /* The sid is part of each delivery: one width for many filters, so that deliveries have one length. */
    return sprintf(out, "SUB %s %0*d\r\nPING\r\n", subject, strchr(filter, '+') ? 6 : 1, id);
}

static size_t nats_publish(char *out, const char *topic, const char *payload, size_t size, int id)
{
    (void)id;
    char subject[128];
    nats_subject(subject, topic);
    size_t n = sprintf(out, "PUB %s %zu\r\n", subject, size);
    return n + append(out + n, payload, size, "\r\n");
}

static size_t nats_unit(const char *in, size_t n)
{
    size_t line = line_unit(in, n);
    if (!line || !begins(in, n, "MSG "))
        return line;
    const char *space = memrchr(in, ' ', line);
    size_t whole = line + strtoul(space, NULL, 10) + 2;
    return whole <= n ? whole : 0;
}

static enum verdict nats_judge(const char *unit, size_t n)
{
    return begins(unit, n, "PONG") ? GRANTED : begins(unit, n, "-ERR") ? REFUSED : OTHER;
}

/* Redis pub/sub: RESP 2 */

static size_t redis_hello(char *out, int id)
{
    (void)id;
    return sprintf(out, "*1\r\n$4\r\nPING\r\n");
}

static size_t redis_subscribe(char *out, const char *filter, int id)
{
    char pattern[128];
    int wild = 0;
    (void)id;
    snprintf(pattern, sizeof pattern, "%s", filter);
    for (char *c = pattern; *c; c++)
        if (*c == '+' || *c == '#')
            *c = '*', wild = 1;
    const char *command = wild ? "PSUBSCRIBE" : "SUBSCRIBE";
    size_t n = sprintf(out, "*2\r\n$%zu\r\n%s\r\n", strlen(command), command);
    return n + sprintf(out + n, "$%zu\r\n%s\r\n", strlen(pattern), pattern);
}

static size_t redis_publish(char *out, const char *topic, const char *payload, size_t size, int id)
{
    (void)id;
    size_t n = sprintf(out, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(topic), topic, size);
    return n + append(out + n, payload, size, "\r\n");
}

static size_t redis_unit(const char *in, size_t n)
{
    size_t at = line_unit(in, n);
    if (!at || in[0] != '*')
        return at;
    for (int items = atoi(in + 1); items > 0; items--) {
        size_t line = line_unit(in + at, n - at);
        if (!line)
            return 0;
        at += line + (in[at] == '$' ? strtoul(in + at + 1, NULL, 10) + 2 : 0);
        if (at > n)
            return 0;
    }
    return at;
}

static enum verdict redis_judge(const char *unit, size_t n)
{
    if (begins(unit, n, "+PONG") || begins(unit, n, "*3\r\n$9\r\nsubscribe"))
        return GRANTED;
    if (begins(unit, n, "*3\r\n$10\r\npsubscribe"))
        return GRANTED;
    return unit[0] == '-' ? REFUSED : OTHER;
}

/* STOMP 1.2. Destinations are those that RabbitMQ has too. Its frames have an LF behind them, which counts to the next one
 * here. */

static size_t stomp_destination(char *out, const char *topic)
{
    size_t n = sprintf(out, "/topic/");
    for (; *topic; topic++)
        out[n++] = *topic == '/' ? '.' : *topic;
    out[n] = 0;
    return n;
}

static size_t stomp_hello(char *out, int id)
{
    (void)id;
    return sprintf(out, "CONNECT\naccept-version:1.2\nhost:/\n\n") + 1;
}

static size_t stomp_subscribe(char *out, const char *filter, int id)
{
    char destination[128];
    stomp_destination(destination, filter);
    /* As with NATS, the id is part of each delivery. */
    return sprintf(out, "SUBSCRIBE\ndestination:%s\nid:%0*d\nreceipt:s\n\n", destination,
                   strchr(filter, '+') ? 6 : 1, id) + 1;
}

static size_t stomp_publish(char *out, const char *topic, const char *payload, size_t size, int id)
{
    char destination[128];
    (void)id;
    stomp_destination(destination, topic);
    size_t n = sprintf(out, "SEND\ndestination:%s\ncontent-length:%zu\n\n", destination, size);
    memcpy(out + n, payload, size);
    out[n + size] = 0;
    return n + size + 1;
}

static size_t stomp_unit(const char *in, size_t n)
{
    static const char length[] = "\ncontent-length:";
    size_t blank = 0;
    while (blank < n && in[blank] == '\n')
        blank++;
    const char *end = memmem(in + blank, n - blank, "\n\n", 2);
    if (!end)
        return 0;
    const char *said = memmem(in, end - in, length, sizeof length - 1);
    size_t whole = end - in + 2 + (said ? strtoul(said + sizeof length - 1, NULL, 10) : 0) + 1;
    return whole <= n ? whole : 0;
}

static enum verdict stomp_judge(const char *unit, size_t n)
{
    for (; n && *unit == '\n'; unit++)
        n--;
    if (begins(unit, n, "CONNECTED") || begins(unit, n, "RECEIPT"))
        return GRANTED;
    return begins(unit, n, "ERROR") ? REFUSED : OTHER;
}

/* WAMP over RawSocket, in JSON; ids have as many digits as long as the server isn't old */

static size_t wamp_frame(char *out, size_t size)
{
    out[0] = 0;
    out[1] = size >> 16;
    out[2] = size >> 8;
    out[3] = size;
    return size + 4;
}

static size_t wamp_uri(char *out, const char *topic)
{
    size_t n = 0;
    for (; *topic && *topic != '#' && *topic != '+'; topic++)
        out[n++] = *topic == '/' ? '.' : *topic;
    out[n] = 0;
    return n;
}

static size_t wamp_hello(char *out, int id)
{
    (void)id;
    memcpy(out, "\x7f\xf1\0\0", 4);
    return 4 + wamp_frame(out + 4, sprintf(out + 8, "[1,\"realm1\",{\"roles\":{\"publisher\":{},\"subscriber\":{},"
                                                    "\"caller\":{},\"callee\":{}}}]"));
}

static size_t wamp_subscribe(char *out, const char *filter, int id)
{
    char uri[256];
    wamp_uri(uri, filter);
    const char *match = strchr(filter, '+') ? "wildcard" : strchr(filter, '#') ? "prefix" : "exact";
    return wamp_frame(out, sprintf(out + 4, "[32,%d,{\"match\":\"%s\"},\"%s\"]", id + 1, match, uri));
}

static size_t wamp_arguments(char *out, int type, int id, const char *topic, const char *payload, size_t size)
{
    char uri[256];
    wamp_uri(uri, topic);
    size_t n = sprintf(out + 4, "[%d,%d,{},\"%s\",[\"", type, id, uri);
    return wamp_frame(out, n + append(out + 4 + n, payload, size, "\"]]"));
}

static size_t wamp_publish(char *out, const char *topic, const char *payload, size_t size, int id)
{
    (void)id;
    return wamp_arguments(out, 16, 1, topic, payload, size);
}

static size_t wamp_unit(const char *in, size_t n)
{
    if (n < 4)
        return 0;
    const unsigned char *head = (const unsigned char *)in;
    size_t whole = head[0] == 0x7f ? 4 : 4 + (head[1] << 16 | head[2] << 8 | head[3]);
    return whole <= n ? whole : 0;
}

static enum verdict wamp_judge(const char *unit, size_t n)
{
    if (unit[0] == 0x7f)
        return OTHER;
    if (begins(unit + 4, n - 4, "[2,") || begins(unit + 4, n - 4, "[33,"))
        return GRANTED;
    return begins(unit + 4, n - 4, "[3,") || begins(unit + 4, n - 4, "[8,") ? REFUSED : OTHER;
}

/* Calls: a callee registers, a caller publishes CALL, which a RESULT settles; an INVOCATION is replied to with YIELD */

static size_t wamp_register(char *out, const char *filter, int id)
{
    char uri[256];
    wamp_uri(uri, filter);
    return wamp_frame(out, sprintf(out + 4, "[64,%d,{},\"%s\"]", id + 1, uri));
}

static size_t wamp_call(char *out, const char *topic, const char *payload, size_t size, int id)
{
    return wamp_arguments(out, 48, 100000 + id, topic, payload, size);   /* all ids have one width */
}

static enum verdict wamp_call_judge(const char *unit, size_t n)
{
    if (begins(unit + 4, n - 4, "[65,"))
        return GRANTED;
    return begins(unit + 4, n - 4, "[50,") ? SETTLED : wamp_judge(unit, n);
}

static size_t wamp_yield(char *out, const char *unit)
{
    if (unit[0] == 0x7f || memcmp(unit + 4, "[68,", 4))
        return 0;
    return wamp_frame(out, sprintf(out + 4, "[70,%lu,{},[\"x\"]]", strtoul(unit + 8, NULL, 10)));
}

/* HTTP: a GET as the greeting, a POST for each message, and a stream of server-sent events, a chunk for each event */

static size_t http_hello(char *out, int id)
{
    (void)id;
    return sprintf(out, "GET /topics/bench HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
}

static size_t http_subscribe(char *out, const char *filter, int id)
{
    (void)id;
    return sprintf(out, "GET /events?filter=%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", filter);
}

static size_t http_publish(char *out, const char *topic, const char *payload, size_t size, int id)
{
    (void)id;
    size_t n = sprintf(out, "POST /topics/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n", topic, size);
    return n + append(out + n, payload, size, "");
}

static size_t http_unit(const char *in, size_t n)
{
    static const char length[] = "\r\nContent-Length:";
    size_t line = line_unit(in, n);
    if (!line)
        return 0;
    size_t whole = line + strtoul(in, NULL, 16) + 2;
    if (begins(in, n, "HTTP/")) {
        const char *end = memmem(in, n, "\r\n\r\n", 4);
        if (!end)
            return 0;
        whole = end + 4 - in;
        for (const char *at = in; at < end; at++)
            if (strncasecmp(at, length, sizeof length - 1) == 0)
                whole += strtoul(at + sizeof length - 1, NULL, 10);
    }
    return whole <= n ? whole : 0;
}

static enum verdict http_judge(const char *unit, size_t n)
{
    if (!begins(unit, n, "HTTP/1.1 "))
        return OTHER;
    return begins(unit + 9, n - 9, "200") || begins(unit + 9, n - 9, "404") ? GRANTED : REFUSED;
}

static const struct protocol protocols[] = {
    {"lines", "hubbub.lines", 1, 1, lines_hello, lines_subscribe, lines_publish, line_unit, lines_judge, NULL},
    {"mqtt", "mqtt", 2, 0, mqtt_hello, mqtt0_subscribe, mqtt0_publish, mqtt_unit, mqtt_judge, NULL},
    {"mqtt-1", "mqtt", 2, 0, mqtt_hello, mqtt1_subscribe, mqtt1_publish, mqtt_unit, mqtt_judge, mqtt_reply},
    {"mqtt-2", "mqtt", 2, 0, mqtt_hello, mqtt2_subscribe, mqtt2_publish, mqtt_unit, mqtt_judge, mqtt_reply},
    {"nats", NULL, 2, 0, nats_hello, nats_subscribe, nats_publish, nats_unit, nats_judge, NULL},
    {"stomp", "v12.stomp", 2, 0, stomp_hello, stomp_subscribe, stomp_publish, stomp_unit, stomp_judge, NULL},
    {"wamp", NULL, 2, 0, wamp_hello, wamp_subscribe, wamp_publish, wamp_unit, wamp_judge, NULL},
    {"wamp-call", NULL, 2, 0, wamp_hello, wamp_register, wamp_call, wamp_unit, wamp_call_judge, wamp_yield},
    {"http", NULL, 0, 0, http_hello, http_subscribe, http_publish, http_unit, http_judge, NULL},
    {"redis", NULL, 0, 0, redis_hello, redis_subscribe, redis_publish, redis_unit, redis_judge, NULL},
};

const struct protocol *protocol_named(const char *name)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (strcmp(protocols[i].name, name) == 0)
            return &protocols[i];
    return NULL;
}

/* WebSocket */

size_t ws_request(char *out, int port, const char *subprotocol)
{
    size_t n = sprintf(out,
                       "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
                       port);
    if (subprotocol)
        n += sprintf(out + n, "Sec-WebSocket-Protocol: %s\r\n", subprotocol);
    return n + sprintf(out + n, "\r\n");
}

size_t ws_frame(char *out, unsigned char opcode, const char *payload, size_t size)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t n = 0;
    int wide = size < 126 ? 0 : size < 65536 ? 2 : 8;
    out[n++] = (char)(0x80 | opcode);
    out[n++] = (char)(0x80 | (wide == 0 ? size : wide == 2 ? 126 : 127));
    for (int byte = wide - 1; byte >= 0; byte--)
        out[n++] = (char)((uint64_t)size >> (8 * byte));
    memcpy(out + n, mask, 4);
    n += 4;
    for (size_t i = 0; i < size; i++)
        out[n + i] = (char)(payload[i] ^ mask[i & 3]);
    return n + size;
}

/* Take one byte of a header; true once it is whole and `left` is known. */
static int ws_header(struct ws_reader *reader, unsigned char byte)
{
    reader->head[reader->have++] = byte;
    if (reader->have == 2)
        reader->need = (byte & 127) < 126 ? 2 : (byte & 127) == 126 ? 4 : 10;
    if (reader->have < 2 || reader->have < reader->need)
        return 0;
    reader->left = reader->need == 2 ? reader->head[1] & 127 : 0;
    for (int i = 2; i < reader->need; i++)
        reader->left = reader->left << 8 | reader->head[i];
    return 1;
}

size_t ws_read(struct ws_reader *reader, int line_frames, const char *in, size_t n, char *out)
{
    size_t given = 0;
    const char *end = in + n;
    while (in < end) {
        if ((reader->have < 2 || reader->have < reader->need) && !ws_header(reader, (unsigned char)*in++))
            continue;
        size_t take = reader->left < (size_t)(end - in) ? reader->left : (size_t)(end - in);
        int data = (reader->head[0] & 15) < 8;
        if (data && out)
            memcpy(out + given, in, take);
        given += data ? take : 0;
        in += take;
        reader->left -= take;
        if (reader->left)
            continue;
        reader->have = reader->need = 0;
        if (data && line_frames && reader->head[0] & 0x80) {
            if (out)
                out[given] = '\n';
            given++;
        }
    }
    return given;
}
