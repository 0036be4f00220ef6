/*
 * What the benchmark's programs in C have in common: crowd.c, beside.c and datagrams.c.
 *
 * Requests of the first two are a letter and 15 digits; see bench/crowd.c for what a server does
 * with them.
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

#define REQUEST_SIZE 16
#define CHUNK_SIZE (256 * 1024)
#define EVENT_COUNT 256

static char chunk[CHUNK_SIZE];

/* One connection, by its descriptor; each mode uses the fields in its own way. */
struct peer {
    char state; /* 0 none, else a letter of the mode */
    uint8_t got;
    uint16_t id;
    uint64_t octets;
    uint64_t since_ns;
    char request[REQUEST_SIZE + 1];
};
static struct peer *peers;
static int top_fd; /* no descriptor above it has been used */

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in address_of(const char *text, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
        fprintf(stderr, "%s: no IPv4 address: %s\n", program_invocation_short_name, text);
        exit(2);
    }
    return address;
}

static void set_int(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value);
}

static void watch(int epoll, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event) != 0 && operation != EPOLL_CTL_DEL)
        fail("epoll_ctl");
}

static int new_socket(int type)
{
    int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
    if (fd < 0)
        fail("socket");
    if (fd > top_fd)
        top_fd = fd;
    if (type == SOCK_STREAM)
        set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return fd;
}

/* Takes as many descriptors as it may, with a place for each. */
static void take_descriptors(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    peers = calloc(files.rlim_cur, sizeof *peers);
    if (peers == NULL)
        fail("calloc");
}
