/*
 * What a guest does on its network and in its memory, in one static program that is put into its
 * initial root file system: the counterpart of test/support/e2e/{tcp-client,tcp-server,udp}.mjs,
 * which speak the same protocols on the host.
 *
 *     probe streams HOST PORT MODE COUNT SEND RECEIVE SEED   COUNT connections at once
 *     probe tcp-serve PORT                                   answers such connections
 *     probe udp HOST PORT SIZE,SIZE,...                      one datagram of each size, echoed
 *     probe udp-serve PORT                                   echoes
 *     probe hold HOST PORT SEED COUNT                        receives, and reads at SIGTERM only
 *     probe connect HOST PORT                                times one connection
 *     probe memory MIB                                       writes pages, compares at SIGTERM
 *
 * Each prints JSON, a line for each connection. Octets are those of test/support/e2e/seeded.mjs:
 * 64 KiB that depend on a seed, repeated, each 4 KiB of them marked by its place.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sha256.h"

#define BLOCK_SIZE 65536
#define PAGE_SIZE 4096
#define HEAD_SIZE 16
#define CLIENT_SEED_OFFSET 1000000
#define DATAGRAM_MAX 65507
#define BUFFER_SIZE (4 << 20)
#define ANSWER_MS 2000
#define ANSWER_TRIES 5
/* Pages written at once, and how long after each such lot it rests: some 60 MB/s at most. */
#define PAGES_AT_ONCE 16
#define REST_NS 1000000

enum mode { BOTH = 0, AFTER_FIN = 1, FIN_FIRST = 2 };

struct stream {
    uint32_t seed;
    uint64_t at;
    uint8_t block[BLOCK_SIZE];
};

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static __attribute__((noreturn)) void fail(const char *what)
{
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

static uint32_t xorshift(uint32_t state)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* ------------------------------------------------------------------ octets of a seed */

static void stream_begin(struct stream *s, uint32_t seed)
{
    uint32_t state = seed ^ 0x9e3779b9u;
    if (state == 0) state = 1;
    for (size_t i = 0; i < BLOCK_SIZE; i += 4) {
        state = xorshift(state);
        memcpy(s->block + i, &state, 4);
    }
    s->seed = seed;
    s->at = UINT64_MAX;
}

/* The octets from `at` on, as many as are returned and `count` at most. */
static const uint8_t *stream_at(struct stream *s, uint64_t at, uint64_t *count)
{
    uint64_t start = at - at % BLOCK_SIZE;
    if (s->at != start) {
        for (size_t i = 0; i < BLOCK_SIZE; i += PAGE_SIZE) {
            double mark = (double)(start + i);
            memcpy(s->block + i, &mark, 8);
        }
        s->at = start;
    }
    uint64_t left = BLOCK_SIZE - at % BLOCK_SIZE;
    if (*count > left) *count = left;
    return s->block + at % BLOCK_SIZE;
}

/* ------------------------------------------------------------------ sockets */

static struct sockaddr_storage address_of(const char *host, const char *port, socklen_t *size)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
    int is_four = strchr(host, ':') == NULL;
    address.ss_family = is_four ? AF_INET : AF_INET6;
    *size = is_four ? sizeof *four : sizeof *six;
    four->sin_port = htons((uint16_t)atoi(port)); /* at the same place in both */
    void *place = is_four ? (void *)&four->sin_addr : (void *)&six->sin6_addr;
    if (inet_pton(address.ss_family, host, place) != 1) {
        fprintf(stderr, "probe: no address: %s\n", host);
        exit(2);
    }
    return address;
}

/* A socket for both versions of IP that is bound to a port. */
static int bound(int type, const char *port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET6, type, 0), on = 1, size = BUFFER_SIZE;
    if (fd < 0) fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0) fail("bind");
    return fd;
}

/* Connects; -1 with errno where that fails. */
static int connected(int type, const char *host, const char *port, int buffer)
{
    socklen_t size;
    struct sockaddr_storage address = address_of(host, port, &size);
    int fd = socket(address.ss_family, type, 0);
    if (fd < 0) fail("socket");
    if (buffer > 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
    }
    if (connect(fd, (struct sockaddr *)&address, size) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void write_head(int fd, uint32_t mode, uint32_t seed, double count)
{
    uint8_t head[HEAD_SIZE];
    memcpy(head, &mode, 4);
    memcpy(head + 4, &seed, 4);
    memcpy(head + 8, &count, 8);
    if (write(fd, head, HEAD_SIZE) != HEAD_SIZE) fail("head");
}

/* What one end of a connection sends, when, and what it gets. */
struct exchange {
    uint32_t seed; /* of what is sent */
    uint64_t send;
    int waits; /* sends nothing before the other end has ended */
    uint64_t sent, received;
    int ended, ended_first, error;
    struct sha256 sum;
};

static void take(int fd, struct exchange *x)
{
    static uint8_t buffer[BLOCK_SIZE];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n > 0) {
        sha256_add(&x->sum, buffer, (size_t)n);
        x->received += (uint64_t)n;
    } else if (n == 0) {
        x->ended = 1;
        x->ended_first = x->sent == 0;
    } else if (errno != EAGAIN) x->error = errno;
}

static void give(int fd, struct exchange *x, struct stream *s)
{
    uint64_t count = x->send - x->sent;
    const uint8_t *octets = stream_at(s, x->sent, &count);
    ssize_t n = write(fd, octets, count);
    if (n >= 0) x->sent += (uint64_t)n;
    else if (errno != EAGAIN) x->error = errno;
}

/* Until both ends have ended, or it fails. */
static void run_exchange(int fd, struct exchange *x)
{
    struct stream *s = malloc(sizeof *s);
    int is_open = 1, on = 1;
    stream_begin(s, x->seed);
    sha256_begin(&x->sum);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (x->error == 0 && (!x->ended || is_open)) {
        int may_give = is_open && (!x->waits || x->ended);
        if (may_give && x->sent == x->send) {
            shutdown(fd, SHUT_WR);
            is_open = 0;
            continue;
        }
        struct pollfd p = {fd, (short)((x->ended ? 0 : POLLIN) | (may_give ? POLLOUT : 0)), 0};
        if (poll(&p, 1, -1) < 0) fail("poll");
        if (!x->ended && (p.revents & (POLLIN | POLLHUP | POLLERR))) take(fd, x);
        if (x->error == 0 && may_give && (p.revents & (POLLOUT | POLLERR))) give(fd, x, s);
    }
    close(fd);
    free(s);
}

static void tell(const struct exchange *x, uint32_t mode, uint32_t seed)
{
    struct exchange copy = *x;
    char hex[65], line[320];
    sha256_end(&copy.sum, hex);
    int size = snprintf(line, sizeof line,
        "{\"mode\":%u,\"seed\":%u,\"received\":%llu,\"sha256\":\"%s\",\"error\":\"%s\","
        "\"serverEndedFirst\":%s}\n",
        mode, seed, (unsigned long long)x->received, hex,
        x->error == 0 ? "" : strerrorname_np(x->error), x->ended_first ? "true" : "false");
    if (write(1, line, (size_t)size) != size) fail("report");
}

/* ------------------------------------------------------------------ what it can do */

static void stream_client(char **args, uint32_t seed)
{
    uint32_t mode = (uint32_t)atoi(args[2]);
    struct exchange x = {
        .seed = seed + CLIENT_SEED_OFFSET,
        .send = strtoull(args[4], NULL, 10),
        .waits = mode == FIN_FIRST,
    };
    int fd = connected(SOCK_STREAM, args[0], args[1], 0);
    if (fd < 0) x.error = errno;
    else {
        write_head(fd, mode, seed, strtod(args[5], NULL));
        run_exchange(fd, &x);
    }
    tell(&x, mode, seed);
}

static int streams(char **args)
{
    int count = atoi(args[3]);
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child > 0) continue;
        stream_client(args, (uint32_t)(atoi(args[6]) + i));
        exit(0);
    }
    while (wait(NULL) > 0) continue;
    return 0;
}

static void stream_server(int fd)
{
    uint8_t head[HEAD_SIZE];
    uint32_t mode, seed;
    double count;
    if (recv(fd, head, HEAD_SIZE, MSG_WAITALL) != HEAD_SIZE) return;
    memcpy(&mode, head, 4);
    memcpy(&seed, head + 4, 4);
    memcpy(&count, head + 8, 8);
    struct exchange x = {.seed = seed, .send = (uint64_t)count, .waits = mode == AFTER_FIN};
    run_exchange(fd, &x);
    tell(&x, mode, seed);
}

static int tcp_serve(char **args)
{
    int fd = bound(SOCK_STREAM, args[0]);
    if (listen(fd, 64) < 0) fail("listen");
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int peer = accept(fd, NULL, NULL);
        if (peer < 0) fail("accept");
        if (fork() == 0) {
            stream_server(peer);
            exit(0);
        }
        close(peer);
    }
}

static uint8_t datagram[DATAGRAM_MAX + 1], answer[DATAGRAM_MAX + 1];

static int udp_serve(char **args)
{
    int fd = bound(SOCK_DGRAM, args[0]);
    for (;;) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(fd, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &size);
        if (n < 0) fail("recvfrom");
        sendto(fd, datagram, (size_t)n, 0, (struct sockaddr *)&from, size);
    }
}

static void fill_datagram(size_t size)
{
    static struct stream s;
    stream_begin(&s, (uint32_t)size);
    for (uint64_t at = 0, count; at < size; at += count) {
        count = size - at;
        const uint8_t *octets = stream_at(&s, at, &count);
        memcpy(datagram + at, octets, count);
    }
}

/* Size of the answer; -1 = none came, or an error. */
static ssize_t ask(int fd, size_t size)
{
    struct pollfd p = {fd, POLLIN, 0};
    if (send(fd, datagram, size, 0) < 0 || poll(&p, 1, ANSWER_MS) <= 0) return -1;
    return recv(fd, answer, sizeof answer, 0);
}

static int udp(char **args)
{
    int fd = connected(SOCK_DGRAM, args[0], args[1], BUFFER_SIZE), ok = 0, repeats = 0, bad = 0;
    if (fd < 0) fail("connect");
    printf("{\"failed\":[");
    for (char *word = strtok(args[2], ","); word != NULL; word = strtok(NULL, ",")) {
        size_t size = (size_t)atoi(word);
        ssize_t n = -1;
        fill_datagram(size);
        for (int i = 0; i < ANSWER_TRIES && n < 0; i++) {
            repeats += i > 0;
            n = ask(fd, size);
        }
        if (n == (ssize_t)size && memcmp(datagram, answer, size) == 0) ok++;
        else printf("%s{\"size\":%zu,\"answer\":%zd}", bad++ > 0 ? "," : "", size, n);
    }
    printf("],\"ok\":%d,\"repeats\":%d}\n", ok, repeats);
    return 0;
}

/* Waits for SIGTERM, which is blocked but here. */
static void wait_for_stop(void)
{
    sigset_t none;
    sigemptyset(&none);
    while (!stopped) sigsuspend(&none);
}

static void catch_stop(void)
{
    struct sigaction action = {.sa_handler = on_stop};
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* All of it waits in the socket's queue, so in memory that the network card has written. */
static int hold(char **args)
{
    uint32_t seed = (uint32_t)atoi(args[2]);
    uint64_t count = strtoull(args[3], NULL, 10);
    struct exchange x = {.seed = 0};
    struct timespec rest = {0, REST_NS};
    catch_stop();
    int fd = connected(SOCK_STREAM, args[0], args[1], (int)(4 * count)), queued = 0;
    if (fd < 0) fail("connect");
    write_head(fd, BOTH, seed, (double)count);
    while ((uint64_t)queued < count) {
        if (ioctl(fd, FIONREAD, &queued) < 0) fail("FIONREAD");
        nanosleep(&rest, NULL);
    }
    if (write(1, "held\n", 5) != 5) fail("report");
    wait_for_stop();
    sha256_begin(&x.sum);
    while (x.received < count && x.error == 0 && !x.ended) take(fd, &x);
    tell(&x, BOTH, seed);
    return 0;
}

static int connect_once(char **args)
{
    uint64_t began = now_us();
    int fd = connected(SOCK_STREAM, args[0], args[1], 0), error = errno;
    uint64_t took = now_us() - began;
    printf("{\"ok\":%s,\"code\":\"%s\",\"elapsed_ms\":%.3f}\n", fd < 0 ? "false" : "true",
        fd < 0 ? strerrorname_np(error) : "", (double)took / 1000);
    return 0;
}

/* ------------------------------------------------------------------ memory */

/* A page's octets depend on its number and on how often it was written. */
static void page_octets(uint32_t *page, uint32_t number, uint32_t times)
{
    uint32_t state = (number * 2654435761u) ^ (times * 40503u) ^ 0x9e3779b9u;
    if (state == 0) state = 1;
    for (size_t i = 0; i < PAGE_SIZE / 4; i++) page[i] = state = xorshift(state);
}

static int memory(char **args)
{
    static uint32_t wanted[PAGE_SIZE / 4];
    uint32_t count = (uint32_t)atoi(args[0]) * 256, state = 1, bad = 0, first = 0;
    uint64_t writes = 0;
    uint32_t *times = calloc(count, sizeof *times);
    uint8_t *pages = mmap(NULL, (size_t)count * PAGE_SIZE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct timespec rest = {0, REST_NS};
    if (times == NULL || pages == MAP_FAILED) fail("memory");
    signal(SIGTERM, on_stop);
    for (uint32_t i = 0; i < count; i++) {
        page_octets((uint32_t *)(void *)(pages + (size_t)i * PAGE_SIZE), i, 0);
    }
    if (write(1, "filled\n", 7) != 7) fail("report");
    while (!stopped) {
        for (int i = 0; i < PAGES_AT_ONCE; i++, writes++) {
            state = xorshift(state);
            uint32_t number = state % count;
            times[number]++;
            page_octets((uint32_t *)(void *)(pages + (size_t)number * PAGE_SIZE), number,
                times[number]);
        }
        nanosleep(&rest, NULL);
    }
    for (uint32_t i = 0; i < count; i++) {
        page_octets(wanted, i, times[i]);
        if (memcmp(wanted, pages + (size_t)i * PAGE_SIZE, PAGE_SIZE) == 0) continue;
        if (bad++ == 0) first = i;
    }
    printf("{\"pages\":%u,\"writes\":%llu,\"bad\":%u,\"first\":%u}\n", count,
        (unsigned long long)writes, bad, first);
    return 0;
}

static const struct {
    const char *name;
    int count;
    int (*run)(char **args);
} verbs[] = {
    {"streams", 7, streams}, {"tcp-serve", 1, tcp_serve}, {"udp", 3, udp},
    {"udp-serve", 1, udp_serve}, {"hold", 4, hold}, {"connect", 2, connect_once},
    {"memory", 1, memory},
};

int main(int count, char **args)
{
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        int is_it = count > 1 && strcmp(args[1], verbs[i].name) == 0;
        if (is_it && count == verbs[i].count + 2) return verbs[i].run(args + 2);
    }
    fprintf(stderr, "probe: unknown words, see the head of probe.c\n");
    return 2;
}
