/* TLS of the load; see tls.h. */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

static SSL_CTX *context;
static SSL_SESSION *last;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(last);
    last = session;
    return 1;
}

static void set_up(void)
{
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
}

struct tls *tls_begin(int fd, int resume)
{
    if (!context)
        set_up();
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    if (resume && last)
        SSL_set_session(ssl, last);
    return (struct tls *)ssl;
}

/* 0: it would block, and for input; what is written is far below the socket's buffer where this is called. */
static ssize_t outcome(struct tls *tls, int done)
{
    if (done > 0)
        return done;
    int error = SSL_get_error((SSL *)tls, done);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

int tls_shake(struct tls *tls)
{
    ssize_t done = outcome(tls, SSL_do_handshake((SSL *)tls));
    return done > 0 ? 1 : done < 0 && errno == EAGAIN ? 0 : -1;
}

int tls_resumed(const struct tls *tls)
{
    return SSL_session_reused((SSL *)tls);
}

ssize_t tls_read(struct tls *tls, void *out, size_t n)
{
    return outcome(tls, SSL_read((SSL *)tls, out, (int)n));
}

ssize_t tls_write(struct tls *tls, const void *bytes, size_t n)
{
    return outcome(tls, SSL_write((SSL *)tls, bytes, (int)n));
}

void tls_end(struct tls *tls)
{
    SSL_set_shutdown((SSL *)tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  /* or its session would be spoilt */
    SSL_free((SSL *)tls);
}

const char *tls_error(void)
{
    return ERR_reason_error_string(ERR_peek_last_error());
}
