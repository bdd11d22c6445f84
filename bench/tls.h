/* TLS on the client's side of a link, by OpenSSL; certificates aren't checked. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <sys/types.h>

struct tls;

/* Begin on a connected socket; with `resume` by the session of the last connection that had one. */
struct tls *tls_begin(int fd, int resume);
int tls_shake(struct tls *tls);                /* 1: the handshake is complete; 0: wait for input; -1: it failed */
int tls_resumed(const struct tls *tls);
/* As read(2) and write(2) of a socket that doesn't block; what is read may leave more in memory, so read until EAGAIN. */
ssize_t tls_read(struct tls *tls, void *out, size_t n);
ssize_t tls_write(struct tls *tls, const void *bytes, size_t n);
void tls_end(struct tls *tls);
const char *tls_error(void);

#endif
