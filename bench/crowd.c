/*
 * A crowd for `npm run bench -- --shares`: connections that take and give nothing back.
 *
 *   crowd serve ADDRESS PORT
 *       TCP server; prints "listening PORT". Several may share a port.
 *   crowd hold KIND FROM TO PORT COUNT
 *       so many connections, in turn from the addresses FROM to the addresses TO (with commas):
 *       "readers" ask for 64 MiB and do not read, "writers" write to a server that does not read,
 *       "idle" ask nothing. Those that end are opened again, at most 100 a second. Prints
 *       "filled OPEN" when each has been tried, "still" when writers then have not got rid of
 *       1 MiB in a second, and {"open", "tried", "refused", "ended"} at the end of its input.
 *
 * A request is a letter and 15 digits. The server sends so many octets (G; S the same with a small
 * buffer), reads to the end and answers with the number of octets (P), reads nothing (N), or
 * answers with one octet (E).
 */
#include "tools.h"

#define CHUNKS_AT_ONCE 4
#define STUCK_OCTETS (64 << 20)
#define STUCK_READER_BUFFER 4096
#define STUCK_WRITER_BUFFER 65536
#define PENDING_MAX 1024
#define PENDING_MS 3000
#define AGAIN_PER_SECOND 100
#define TURN_MS 10
#define STILL_NS 1000000000ull
#define STILL_OCTETS (1 << 20)
#define ADDRESS_COUNT 16

/* ---- serve ---- */

static void begin_request(int epoll, int fd, struct peer *peer)
{
    peer->state = peer->request[0];
    peer->octets = strtoull(peer->request + 1, NULL, 10);
    if (peer->state == 'S')
        set_int(fd, SOL_SOCKET, SO_SNDBUF, STUCK_WRITER_BUFFER);
    if (peer->state == 'G' || peer->state == 'S')
        watch(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT | EPOLLRDHUP);
    if (peer->state == 'N') /* an error or a reset is still told */
        watch(epoll, EPOLL_CTL_MOD, fd, 0);
}

/* Goes on with one connection; false when it is over. */
static int serve_more(int epoll, int fd, struct peer *peer, uint32_t events)
{
    char answer[REQUEST_SIZE + 1];
    if (events & (EPOLLERR | EPOLLHUP))
        return 0;
    for (int i = 0; i < CHUNKS_AT_ONCE; i++) {
        ssize_t size;
        if (peer->state == 'w') {
            size = recv(fd, peer->request + peer->got, REQUEST_SIZE - peer->got, 0);
            if (size > 0 && (peer->got += size) == REQUEST_SIZE)
                begin_request(epoll, fd, peer);
        } else if (peer->state == 'P') {
            size = recv(fd, chunk, sizeof chunk, 0);
            if (size > 0)
                peer->octets += size;
        } else if (peer->state == 'G' || peer->state == 'S') {
            size_t left = peer->octets < sizeof chunk ? peer->octets : sizeof chunk;
            size = left == 0 ? 0 : send(fd, chunk, left, MSG_NOSIGNAL);
            if (size > 0)
                peer->octets -= size;
        } else {
            if (peer->state == 'E')
                send(fd, "e", 1, MSG_NOSIGNAL);
            return peer->state == 'N';
        }
        if (size < 0)
            return errno == EAGAIN;
        if (size == 0) {
            snprintf(answer, sizeof answer, "%016llu", (unsigned long long)peer->octets);
            if (peer->state == 'P')
                send(fd, answer, REQUEST_SIZE, MSG_NOSIGNAL);
            return 0;
        }
    }
    return 1;
}

static int listen_at(struct sockaddr_in at)
{
    int fd = new_socket(SOCK_STREAM);
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 65535) != 0)
        fail("bind");
    printf("listening %d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void serve(struct sockaddr_in at)
{
    int epoll = epoll_create1(0), listener = listen_at(at), full = 0;
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[EVENT_COUNT];
        int ready = epoll_wait(epoll, events, EVENT_COUNT, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                if (serve_more(epoll, fd, &peers[fd], events[i].events))
                    continue;
                close(fd);
                if (full)
                    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
                full = 0;
                continue;
            }
            int taken = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (taken < 0 && (errno == EMFILE || errno == ENFILE)) {
                watch(epoll, EPOLL_CTL_DEL, listener, 0);
                full = 1;
            }
            if (taken < 0)
                continue;
            set_int(taken, IPPROTO_TCP, TCP_NODELAY, 1);
            memset(&peers[taken], 0, sizeof peers[taken]);
            peers[taken].state = 'w';
            watch(epoll, EPOLL_CTL_ADD, taken, EPOLLIN | EPOLLRDHUP);
        }
    }
}

/* ---- hold ---- */

struct addresses {
    int count;
    struct sockaddr_in at[ADDRESS_COUNT];
};

static struct addresses addresses_of(char *text, int port)
{
    struct addresses all = {0};
    for (char *one = strtok(text, ","); one != NULL; one = strtok(NULL, ","))
        if (all.count < ADDRESS_COUNT)
            all.at[all.count++] = address_of(one, port);
    if (all.count == 0)
        fail("no address");
    return all;
}

/* A connection of the crowd is pending 'p' or open 'o'. */
struct crowd {
    char kind;
    int epoll;
    size_t count, open, pending, tried, refused, ended;
    struct addresses from, to;
    uint64_t written, looked_ns;
};

static void drop(struct crowd *crowd, int fd)
{
    if (peers[fd].state == 'p') {
        crowd->pending--;
        crowd->refused++;
    } else {
        crowd->open--;
        crowd->ended++;
    }
    peers[fd].state = 0;
    close(fd);
}

static void join(struct crowd *crowd)
{
    int fd = new_socket(SOCK_STREAM);
    struct sockaddr_in *from = &crowd->from.at[crowd->tried % crowd->from.count];
    struct sockaddr_in *to = &crowd->to.at[crowd->tried % crowd->to.count];
    if (crowd->kind == 'r')
        set_int(fd, SOL_SOCKET, SO_RCVBUF, STUCK_READER_BUFFER);
    if (crowd->kind == 'w')
        set_int(fd, SOL_SOCKET, SO_SNDBUF, STUCK_WRITER_BUFFER);
    set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (from->sin_addr.s_addr != 0 && bind(fd, (struct sockaddr *)from, sizeof *from) != 0)
        fail("bind");
    crowd->tried++;
    crowd->pending++;
    peers[fd] = (struct peer){.state = 'p', .since_ns = now_ns()};
    if (connect(fd, (struct sockaddr *)to, sizeof *to) != 0 && errno != EINPROGRESS)
        drop(crowd, fd);
    else
        watch(crowd->epoll, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLRDHUP);
}

static void crowd_more(struct crowd *crowd, int fd, uint32_t events)
{
    struct peer *peer = &peers[fd];
    char request[REQUEST_SIZE + 1];
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
        drop(crowd, fd);
        return;
    }
    if (peer->state == 'p') {
        peer->state = 'o';
        crowd->pending--;
        crowd->open++;
        snprintf(request, sizeof request, crowd->kind == 'r' ? "S%015d" : "N%015d", STUCK_OCTETS);
        if (crowd->kind != 'i')
            send(fd, request, REQUEST_SIZE, MSG_NOSIGNAL);
        if (crowd->kind != 'w')
            watch(crowd->epoll, EPOLL_CTL_MOD, fd, EPOLLRDHUP);
    }
    if (crowd->kind == 'w') {
        ssize_t size = send(fd, chunk, sizeof chunk, MSG_NOSIGNAL);
        crowd->written += size > 0 ? size : 0;
    }
}

/* Says so, once, when the crowd stands still. */
static void look_at_writers(struct crowd *crowd, int *still)
{
    if (*still || now_ns() - crowd->looked_ns < STILL_NS)
        return;
    *still = crowd->looked_ns != 0 && crowd->written < STILL_OCTETS;
    if (*still) {
        printf("still\n");
        fflush(stdout);
    }
    crowd->written = 0;
    crowd->looked_ns = now_ns();
}

/* Gives up those that have waited too long for an answer. */
static void give_up(struct crowd *crowd)
{
    uint64_t now = now_ns();
    for (int fd = 0; fd <= top_fd; fd++)
        if (peers[fd].state == 'p' && now - peers[fd].since_ns > PENDING_MS * 1000000ull)
            drop(crowd, fd);
}

static void hold(struct crowd *crowd)
{
    int filled = 0, still = crowd->kind != 'w';
    uint64_t turn_ns = now_ns(), turns = 0;
    size_t again = 0;
    watch(crowd->epoll, EPOLL_CTL_ADD, 0, EPOLLIN);
    for (;;) {
        while (crowd->open + crowd->pending < crowd->count && crowd->pending < PENDING_MAX &&
               (crowd->tried < crowd->count || again > 0)) {
            again -= crowd->tried >= crowd->count;
            join(crowd);
        }
        if (!filled && crowd->tried >= crowd->count && crowd->pending == 0) {
            filled = 1;
            printf("filled %zu\n", crowd->open);
            fflush(stdout);
        }
        struct epoll_event events[EVENT_COUNT];
        int ready = epoll_wait(crowd->epoll, events, EVENT_COUNT, TURN_MS);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != 0)
                crowd_more(crowd, events[i].data.fd, events[i].events);
            else if (read(0, chunk, 64) <= 0)
                return;
        }
        if (now_ns() - turn_ns >= TURN_MS * 1000000ull) {
            turn_ns = now_ns();
            if (filled)
                look_at_writers(crowd, &still);
            if (filled)
                again = AGAIN_PER_SECOND * TURN_MS / 1000;
            if (turns++ % 20 == 0)
                give_up(crowd);
        }
    }
}

int main(int argc, char **argv)
{
    take_descriptors();
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        serve(address_of(argv[2], atoi(argv[3])));
    if (argc != 7 || strcmp(argv[1], "hold") != 0) {
        fprintf(stderr, "crowd: wanted serve ADDRESS PORT or hold KIND FROM TO PORT COUNT\n");
        return 2;
    }
    struct crowd crowd = {.kind = argv[2][0], .epoll = epoll_create1(0)};
    crowd.from = addresses_of(argv[3], 0);
    crowd.to = addresses_of(argv[4], atoi(argv[5]));
    crowd.count = strtoull(argv[6], NULL, 10);
    hold(&crowd);
    printf("{\"open\": %zu, \"tried\": %zu, \"refused\": %zu, \"ended\": %zu}\n", crowd.open,
           crowd.tried, crowd.refused, crowd.ended);
    return 0;
}
