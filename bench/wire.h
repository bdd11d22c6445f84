/* How each system says hello, subscribe, publish and deliver, and how a WebSocket carries it. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>

enum verdict { OTHER, GRANTED, REFUSED, SETTLED };

/* A row for each protocol. Writers fill `out` and return how much. Topics are a/b, filters a/+ and a/#. */
struct protocol {
    const char *name;
    const char *subprotocol;   /* asked for in the WebSocket handshake; NULL: none */
    unsigned char opcode;      /* of the frames that the client sends: 1 text, 2 binary */
    int line_frames;           /* a WebSocket message is a line without its LF */
    size_t (*hello)(char *out, int id);
    size_t (*subscribe)(char *out, const char *filter, int id);
    size_t (*publish)(char *out, const char *topic, const char *payload, size_t size, int id);
    size_t (*unit)(const char *in, size_t n);            /* length of the first unit; 0: more is needed */
    enum verdict (*judge)(const char *unit, size_t n);   /* is it the answer to hello, subscribe or publish? */
    size_t (*reply)(char *out, const char *unit);        /* what a unit wants said back; NULL: nothing does */
};

const struct protocol *protocol_named(const char *name);

/* WebSocket, the client's side: RFC 6455. A reader is zeroed before its first use. */
enum { WS_HEAD_MAX = 14 };
struct ws_reader {
    unsigned char head[10];
    int have, need;
    size_t left;
};

size_t ws_request(char *out, int port, const char *subprotocol);
size_t ws_frame(char *out, unsigned char opcode, const char *payload, size_t size);
/* Strip frame headers: returns the bytes of data frames, copied to `out` unless NULL. With `line_frames`
 * each message counts one byte more, its LF, so that every protocol is a stream of bytes from here on. */
size_t ws_read(struct ws_reader *reader, int line_frames, const char *in, size_t n, char *out);

#endif
