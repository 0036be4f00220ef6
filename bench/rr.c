/*
 * Small tools for the benchmark: request/response, connect rate, idle and active flows.
 *
 *   rr serve ADDRESS PORT            TCP and UDP echo; prints "listening PORT"
 *   rr tcp ADDRESS PORT SECONDS      1-byte request/response on one connection
 *   rr udp ADDRESS PORT SECONDS      the same with datagrams; a lost one costs 0.2 s
 *   rr connect ADDRESS PORT SECONDS  connect, 1-byte request/response, close, again
 *   rr hold ADDRESS PORT COUNT       opens connections, prints "open COUNT", waits for end of input
 *   rr active ADDRESS PORT COUNT SECONDS   as many connections, each always with one message of 1 KiB
 *   rr ports ADDRESS PORT COUNT      sends a datagram from as many ports, each once the one before
 *                                    was answered, prints "open COUNT", waits for end of input
 *   rr scrape ADDRESS PORT COUNT MS  GET /metrics, one every MS; prints "scraping" first
 *
 * Timed modes print one JSON line: {"per_second", "count", "p50_us", "p99_us", "max_us", "lost"}.
 * rr.mjs is the same in JavaScript, for machines without a C compiler. Every wait has a limit.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_COUNT (1 << 21)
#define MESSAGE_SIZE 1024
#define EVENT_COUNT 256
#define WAIT_MS 10000

static uint32_t samples_ns[SAMPLE_COUNT];
static size_t sample_count;
static size_t lost_count;
static union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} target;
static socklen_t target_size;

static void fail(const char *what)
{
    fprintf(stderr, "rr: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sample(uint64_t ns)
{
    if (sample_count < SAMPLE_COUNT)
        samples_ns[sample_count] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    sample_count++;
}

static void report(double seconds)
{
    size_t kept = sample_count < SAMPLE_COUNT ? sample_count : SAMPLE_COUNT;
    qsort(samples_ns, kept, sizeof samples_ns[0], compare);
    double p50 = kept ? samples_ns[kept / 2] / 1e3 : 0;
    double p99 = kept ? samples_ns[kept * 99 / 100] / 1e3 : 0;
    double max = kept ? samples_ns[kept - 1] / 1e3 : 0;
    printf("{\"per_second\": %.1f, \"count\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, "
           "\"max_us\": %.1f, \"lost\": %zu}\n",
           sample_count / seconds, sample_count, p50, p99, max, lost_count);
}

static int dial(int type)
{
    int fd = socket(target.any.sa_family, type, 0);
    int one = 1;
    if (fd < 0)
        fail("socket");
    struct timeval limit = {WAIT_MS / 1000, 0};
    if (type == SOCK_DGRAM)
        limit = (struct timeval){0, 200000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, &target.any, target_size) != 0)
        fail("connect");
    return fd;
}

static void ping_pong(int type, double seconds)
{
    int fd = dial(type);
    char byte = 'x';
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9);
    for (uint64_t at = begin; at < end;) {
        if (send(fd, &byte, 1, 0) != 1)
            fail("send");
        ssize_t got = recv(fd, &byte, 1, 0);
        uint64_t then = now_ns();
        if (got == 1)
            sample(then - at);
        else if (type == SOCK_DGRAM)
            lost_count++;
        else
            fail("recv");
        at = then;
    }
    report((now_ns() - begin) / 1e9);
}

static void connect_rate(double seconds)
{
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9);
    for (uint64_t at = begin; at < end;) {
        char byte = 'x';
        int fd = dial(SOCK_STREAM);
        if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
            fail("request");
        /* A reset close keeps TIME-WAIT from using up the client's ports. */
        struct linger reset = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        uint64_t then = now_ns();
        sample(then - at);
        at = then;
    }
    report((now_ns() - begin) / 1e9);
}

static void hold(int count)
{
    char byte = 'x', buffer[64];
    for (int i = 0; i < count; i++) {
        int fd = dial(SOCK_STREAM);
        if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
            fail("request");
    }
    printf("open %d\n", count);
    fflush(stdout);
    while (read(0, buffer, sizeof buffer) > 0)
        continue;
}

static void ports(int count)
{
    char byte = 'x', buffer[64];
    for (int i = 0; i < count; i++) {
        int fd = dial(SOCK_DGRAM);
        for (int tries = 0; tries < 10; tries++)
            if (send(fd, &byte, 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1)
                break;
    }
    printf("open %d\n", count);
    fflush(stdout);
    while (read(0, buffer, sizeof buffer) > 0)
        continue;
}

static void scrape(int count, double pause_ms)
{
    static const char request[] =
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static char buffer[65536];
    printf("scraping\n");
    fflush(stdout);
    uint64_t begin = now_ns();
    for (int i = 0; i < count; i++) {
        uint64_t at = now_ns();
        int fd = dial(SOCK_STREAM);
        if (send(fd, request, sizeof request - 1, 0) != sizeof request - 1)
            fail("send");
        ssize_t size, first = recv(fd, buffer, sizeof buffer, 0);
        if (first < 12 || memcmp(buffer + 9, "200", 3) != 0)
            fail("no answer");
        while ((size = recv(fd, buffer, sizeof buffer, 0)) > 0)
            continue;
        if (size < 0)
            fail("recv");
        close(fd);
        sample(now_ns() - at);
        int64_t left_ns = (int64_t)(pause_ms * 1e6) - (int64_t)(now_ns() - at);
        if (left_ns > 0)
            nanosleep(&(struct timespec){left_ns / 1000000000, left_ns % 1000000000}, NULL);
    }
    report((now_ns() - begin) / 1e9);
}

static void active(int count, double seconds)
{
    static char message[MESSAGE_SIZE], buffer[65536];
    int epoll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        int fd = dial(SOCK_STREAM);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        if (send(fd, message, sizeof message, 0) != sizeof message)
            fail("send");
    }
    printf("open %d\n", count);
    fflush(stdout);
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), bytes = 0;
    while (now_ns() < end) {
        struct epoll_event events[EVENT_COUNT];
        int ready = epoll_wait(epoll, events, EVENT_COUNT, WAIT_MS);
        if (ready <= 0)
            fail("no answer");
        for (int i = 0; i < ready; i++) {
            ssize_t got = recv(events[i].data.fd, buffer, sizeof buffer, 0);
            if (got <= 0 || send(events[i].data.fd, buffer, got, 0) != got)
                fail("exchange");
            bytes += got;
        }
    }
    sample_count = bytes / MESSAGE_SIZE;
    printf("{\"per_second\": %.1f}\n", sample_count / ((now_ns() - begin) / 1e9));
}

static void echo_ready(int epoll, int fd, int listener, int udp)
{
    static char buffer[65536];
    if (fd == listener) {
        int one = 1;
        int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (peer < 0)
            return;
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = peer};
        epoll_ctl(epoll, EPOLL_CTL_ADD, peer, &event);
    } else if (fd == udp) {
        struct sockaddr_in6 from;
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(udp, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &size);
        if (got >= 0)
            sendto(udp, buffer, got, 0, (struct sockaddr *)&from, size);
    } else {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 || send(fd, buffer, got, MSG_NOSIGNAL) != got)
            close(fd);
    }
}

static void serve(void)
{
    int one = 1, epoll = epoll_create1(0);
    int listener = socket(target.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int udp = socket(target.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (target.any.sa_family == AF_INET6) { /* a server of IPv4 has the same port */
        setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        setsockopt(udp, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    if (bind(listener, &target.any, target_size) != 0 || bind(udp, &target.any, target_size) != 0 ||
        listen(listener, 4096) != 0)
        fail("bind");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = udp;
    epoll_ctl(epoll, EPOLL_CTL_ADD, udp, &event);
    printf("listening %d\n", ntohs(target.v4.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENT_COUNT];
        int ready = epoll_wait(epoll, events, EVENT_COUNT, -1);
        for (int i = 0; i < ready; i++)
            echo_ready(epoll, events[i].data.fd, listener, udp);
    }
}

static void read_target(const char *address, int port)
{
    if (strchr(address, ':') != NULL) {
        target.v6.sin6_family = AF_INET6;
        target.v6.sin6_port = htons(port);
        target_size = sizeof target.v6;
        inet_pton(AF_INET6, address, &target.v6.sin6_addr);
    } else {
        target.v4.sin_family = AF_INET;
        target.v4.sin_port = htons(port);
        target_size = sizeof target.v4;
        inet_pton(AF_INET, address, &target.v4.sin_addr);
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (argc < 4) {
        fprintf(stderr, "rr: wanted MODE ADDRESS PORT [NUMBER [SECONDS]]\n");
        return 2;
    }
    const char *mode = argv[1];
    double number = argc > 4 ? atof(argv[4]) : 1;
    read_target(argv[2], atoi(argv[3]));
    if (strcmp(mode, "serve") == 0)
        serve();
    else if (strcmp(mode, "tcp") == 0)
        ping_pong(SOCK_STREAM, number);
    else if (strcmp(mode, "udp") == 0)
        ping_pong(SOCK_DGRAM, number);
    else if (strcmp(mode, "connect") == 0)
        connect_rate(number);
    else if (strcmp(mode, "hold") == 0)
        hold((int)number);
    else if (strcmp(mode, "active") == 0)
        active((int)number, argc > 5 ? atof(argv[5]) : 1);
    else if (strcmp(mode, "ports") == 0)
        ports((int)number);
    else if (strcmp(mode, "scrape") == 0)
        scrape((int)number, argc > 5 ? atof(argv[5]) : 0);
    else
        return 2;
    return 0;
}
