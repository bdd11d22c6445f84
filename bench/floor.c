/* The floor: the least that a server can do for a fan-out. Whatever a publisher writes goes to every
 * subscriber by one send() each, unread; no topics, no limits, no buffers. It answers SUB and PING, so that
 * the load speaks to it as to hubbub, and PUB comes back as it is: as long as MSG.
 *
 *   floor PORT
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINKS = 65536, EVENTS = 64, BACKLOG = 4096, READ_MAX = 1 << 18 };

static int subscribers[LINKS], count;

static void raise_files(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static int listening(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, BACKLOG)) {
        perror("floor: can't listen");
        exit(1);
    }
    return fd;
}

static void admit(int poller, int listener)
{
    int yes = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = accept(listener, NULL, NULL)};
    setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
}

static void leave(int fd)
{
    for (int i = 0; i < count; i++)
        if (subscribers[i] == fd)
            subscribers[i--] = subscribers[--count];
    close(fd);
}

static void serve(int fd)
{
    static char in[READ_MAX + 3] = "OK ";
    char *data = in + 3;
    ssize_t n = read(fd, data, READ_MAX);
    if (n <= 0)
        leave(fd);
    else if (n > 4 && !memcmp(data, "PING", 4))
        send(fd, "PONG\n", 5, MSG_NOSIGNAL);
    else if (n > 4 && !memcmp(data, "SUB ", 4) && count < LINKS) {
        subscribers[count++] = fd;
        send(fd, in, n + 3, MSG_NOSIGNAL);
    } else
        for (int i = 0; i < count; i++)
            send(subscribers[i], data, n, MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    raise_files();
    int listener = listening(argc > 1 ? atoi(argv[1]) : 0), poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < n; i++)
            if (events[i].data.fd == listener)
                admit(poller, listener);
            else
                serve(events[i].data.fd);
    }
}
