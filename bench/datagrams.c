/*
 * Ends of a flow of datagrams for `npm run bench -- --testpmd`, cheap enough to leave the
 * processor to what is measured: many datagrams cross the kernel as one (UDP_GRO, UDP_SEGMENT).
 *
 *   datagrams sink PORT                          takes all that comes to the loopback address;
 *                                                prints "listening PORT", and for each line of
 *                                                input how many datagrams it has taken so far
 *   datagrams blast PORT OCTETS SECONDS          sends as many as it can there; prints how many
 *
 * OCTETS are of payload. A sink ends with its input.
 */
#include "tools.h"
#include <netinet/udp.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define RECEIVE_BUFFER (8 << 20)
#define DATAGRAM_MAX 65507
/* The kernel takes 64 segments at most. */
#define SEGMENTS_MAX 64
#define SENDS_PER_LOOK 64

static uint64_t taken;

/* Datagrams in what one call has received: of one size all, but the last. */
static uint64_t datagrams_in(struct msghdr *message, size_t octets)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
            continue;
        int size;
        memcpy(&size, CMSG_DATA(c), sizeof size);
        if (size > 0)
            return (octets + size - 1) / size;
    }
    return 1;
}

static void take(int fd)
{
    static char control[64];
    struct iovec iovec = {chunk, sizeof chunk};
    for (;;) {
        struct msghdr message = {.msg_iov = &iovec, .msg_iovlen = 1};
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
        if (got < 0)
            return;
        taken += datagrams_in(&message, got);
    }
}

static void sink(int port)
{
    char line[64];
    int fd = new_socket(SOCK_DGRAM);
    struct sockaddr_in address = address_of("127.0.0.1", port);
    set_int(fd, SOL_UDP, UDP_GRO, 1);
    set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("bind");
    printf("listening %d\n", port);
    fflush(stdout);
    for (;;) {
        struct pollfd fds[] = {{fd, POLLIN, 0}, {0, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0)
            fail("poll");
        if (fds[0].revents != 0)
            take(fd);
        if (fds[1].revents == 0)
            continue;
        if (read(0, line, sizeof line) <= 0)
            return;
        printf("taken %llu\n", (unsigned long long)taken);
        fflush(stdout);
    }
}

static void blast(int port, int size, double seconds)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = address_of("127.0.0.1", port);
    if (size < 1 || size > DATAGRAM_MAX || fd < 0)
        fail("blast");
    int count = DATAGRAM_MAX / size < SEGMENTS_MAX ? DATAGRAM_MAX / size : SEGMENTS_MAX;
    set_int(fd, SOL_UDP, UDP_SEGMENT, size);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    uint64_t sent = 0, end = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < end) {
        for (int i = 0; i < SENDS_PER_LOOK; i++) {
            if (send(fd, chunk, (size_t)size * count, 0) > 0)
                sent += count;
        }
    }
    printf("sent %llu\n", (unsigned long long)sent);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "sink") == 0)
        sink(atoi(argv[2]));
    else if (argc > 4 && strcmp(argv[1], "blast") == 0)
        blast(atoi(argv[2]), atoi(argv[3]), atof(argv[4]));
    else {
        fprintf(stderr, "usage: datagrams sink PORT | blast PORT OCTETS SECONDS\n");
        return 2;
    }
    return 0;
}
