/*
 * What others get beside a crowd, for `npm run bench -- --shares`.
 *
 *   beside names ADDRESS PORT
 *       DNS server, every name is 192.0.2.1; prints "listening PORT"
 *   beside get ADDRESS PORT SECONDS LEAST LIMIT
 *   beside put ADDRESS PORT SECONDS LEAST LIMIT
 *       one stream down or up for so many seconds, and on until LEAST octets have come across, but
 *       no longer than LIMIT seconds in all; prints {"ok", "octets", "ms", "least_ms", "error"}
 *   beside probe ADDRESS PORT NAMES EVERY_MS LIMIT_MS
 *       every EVERY_MS a connection with one octet of answer and, unless NAMES is "-", a look-up
 *       there, until its input ends; prints {"connect": {…}, "names": {…}}, times in ms
 *
 * The servers of the streams and connections are bench/crowd.c. Every wait has a limit.
 */
#include "tools.h"

#define SAMPLE_COUNT 65536

static double ms_since(uint64_t then_ns)
{
    return (now_ns() - then_ns) / 1e6;
}

/* ---- names: RFC 1035, section 4.1; the answer points at the name of the question ---- */

static const uint8_t ANSWER[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1};

static void names(struct sockaddr_in at)
{
    uint8_t message[1500];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail("bind");
    printf("listening %d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(fd, message, 512, 0, (struct sockaddr *)&from, &size);
        if (got < 12)
            continue;
        message[2] |= 0x80; /* QR */
        message[3] = 0x80;  /* RA, no error */
        message[7] = 1;     /* ANCOUNT */
        memcpy(message + got, ANSWER, sizeof ANSWER);
        sendto(fd, message, got + sizeof ANSWER, 0, (struct sockaddr *)&from, size);
    }
}

/* ---- get and put ---- */

struct stream {
    int fd;
    uint64_t octets, least;
    double ms, least_ms;
    const char *error;
};

static int wait_for(int fd, short events, uint64_t end_ns)
{
    struct pollfd one = {fd, events, 0};
    uint64_t now = now_ns();
    return now < end_ns && poll(&one, 1, (int)((end_ns - now) / 1000000) + 1) == 1;
}

static void count(struct stream *stream, ssize_t size, uint64_t begin_ns)
{
    stream->octets += size;
    if (stream->least_ms == 0 && stream->octets >= stream->least)
        stream->least_ms = ms_since(begin_ns);
}

static void move(struct stream *stream, int up, double seconds, uint64_t end_ns)
{
    char answer[REQUEST_SIZE + 1] = "";
    uint64_t begin_ns = now_ns(), stop_ns = begin_ns + (uint64_t)(seconds * 1e9);
    stream->error = "cut";
    while (now_ns() < stop_ns || stream->octets < stream->least) {
        if (!wait_for(stream->fd, up ? POLLOUT : POLLIN, end_ns)) {
            stream->ms = ms_since(begin_ns);
            stream->error = "late";
            return;
        }
        ssize_t size = up ? send(stream->fd, chunk, sizeof chunk, MSG_NOSIGNAL)
                          : recv(stream->fd, chunk, sizeof chunk, 0);
        if (size < 0 && errno == EAGAIN)
            continue;
        if (size <= 0)
            return;
        count(stream, size, begin_ns);
    }
    if (up) {
        shutdown(stream->fd, SHUT_WR);
        if (!wait_for(stream->fd, POLLIN, end_ns))
            stream->error = "late";
        else if (recv(stream->fd, answer, REQUEST_SIZE, 0) == REQUEST_SIZE)
            stream->error = NULL;
        stream->octets = strtoull(answer, NULL, 10);
    } else {
        stream->error = NULL;
    }
    stream->ms = ms_since(begin_ns);
}

static void one_stream(int up, struct sockaddr_in to, double seconds, uint64_t least, double limit)
{
    char request[REQUEST_SIZE + 1];
    struct stream stream = {.fd = new_socket(SOCK_STREAM), .least = least, .error = "late"};
    uint64_t end_ns = now_ns() + (uint64_t)(limit * 1e9);
    int error = 0;
    socklen_t size = sizeof error;
    snprintf(request, sizeof request, "%c%015llu", up ? 'P' : 'G', up ? 0 : 999999999999ull);
    connect(stream.fd, (struct sockaddr *)&to, sizeof to);
    if (wait_for(stream.fd, POLLOUT, end_ns)) {
        getsockopt(stream.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0)
            stream.error = "refused";
        else if (send(stream.fd, request, REQUEST_SIZE, MSG_NOSIGNAL) == REQUEST_SIZE)
            move(&stream, up, seconds, end_ns);
    }
    printf("{\"ok\": %s, \"octets\": %llu, \"ms\": %.2f, \"least_ms\": %.2f, \"error\": \"%s\"}\n",
           stream.error == NULL ? "true" : "false", (unsigned long long)stream.octets, stream.ms,
           stream.least_ms, stream.error == NULL ? "" : stream.error);
    struct linger reset = {1, 0};
    setsockopt(stream.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

/* ---- probe ---- */

struct tally {
    size_t tried, kept;
    float ms[SAMPLE_COUNT];
};
static struct tally connects, lookups;

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void print_tally(const char *name, struct tally *tally, const char *after)
{
    qsort(tally->ms, tally->kept, sizeof tally->ms[0], compare);
    float p50 = tally->kept ? tally->ms[tally->kept / 2] : 0;
    float most = tally->kept ? tally->ms[tally->kept - 1] : 0;
    printf("\"%s\": {\"tried\": %zu, \"ok\": %zu, \"p50_ms\": %.2f, \"most_ms\": %.2f}%s", name,
           tally->tried, tally->kept, p50, most, after);
}

static void begin_probe(int epoll, int type, struct sockaddr_in *to, uint16_t id)
{
    int fd = new_socket(type);
    struct tally *tally = type == SOCK_STREAM ? &connects : &lookups;
    tally->tried++;
    peers[fd] = (struct peer){.state = type == SOCK_STREAM ? 'c' : 'n', .id = id};
    peers[fd].since_ns = now_ns();
    int done = connect(fd, (struct sockaddr *)to, sizeof *to);
    if (type == SOCK_DGRAM) {
        uint8_t query[64] = {id >> 8, id, 1, 0, 0, 1};
        int label = snprintf((char *)query + 13, 16, "n%u", id);
        query[12] = label;
        /* the end of the name, type A, class IN */
        memcpy(query + 13 + label, (const uint8_t[]){4, 't', 'e', 's', 't', 0, 0, 1, 0, 1}, 10);
        done = send(fd, query, 23 + label, 0) > 0 ? 0 : -1;
    }
    if (done != 0 && errno != EINPROGRESS) {
        peers[fd].state = 0;
        close(fd);
        return;
    }
    watch(epoll, EPOLL_CTL_ADD, fd, type == SOCK_STREAM ? EPOLLOUT : EPOLLIN);
}

static void go_on_probing(int epoll, int fd)
{
    struct peer *peer = &peers[fd];
    uint8_t answer[600];
    if (peer->state == 'c') {
        if (send(fd, "E000000000000000", REQUEST_SIZE, MSG_NOSIGNAL) == REQUEST_SIZE) {
            peer->state = 'e';
            watch(epoll, EPOLL_CTL_MOD, fd, EPOLLIN);
            return;
        }
    } else {
        ssize_t size = recv(fd, answer, sizeof answer, 0);
        int right = peer->state == 'e' ? size == 1
                                       : size > 12 && (answer[2] & 0x80) && answer[7] == 1 &&
                                             answer[0] << 8 == (peer->id & 0xff00) &&
                                             answer[1] == (peer->id & 0xff);
        struct tally *tally = peer->state == 'e' ? &connects : &lookups;
        if (right && tally->kept < SAMPLE_COUNT)
            tally->ms[tally->kept++] = ms_since(peer->since_ns);
    }
    peer->state = 0;
    close(fd);
}

/* Ends what has waited too long; says how many still wait. */
static size_t give_up(int limit_ms)
{
    size_t waiting = 0;
    for (int fd = 0; fd <= top_fd; fd++) {
        if (peers[fd].state == 0)
            continue;
        if (ms_since(peers[fd].since_ns) > limit_ms) {
            peers[fd].state = 0;
            close(fd);
        } else {
            waiting++;
        }
    }
    return waiting;
}

static void probe(struct sockaddr_in to, const char *resolver, int every_ms, int limit_ms)
{
    struct sockaddr_in server = address_of(strcmp(resolver, "-") == 0 ? "0.0.0.0" : resolver, 53);
    int epoll = epoll_create1(0), over = 0;
    uint16_t id = (uint16_t)getpid();
    uint64_t next_ns = now_ns();
    watch(epoll, EPOLL_CTL_ADD, 0, EPOLLIN);
    for (;;) {
        size_t waiting = give_up(limit_ms);
        if (over && waiting == 0)
            break;
        if (now_ns() >= next_ns) {
            next_ns += (uint64_t)every_ms * 1000000;
            if (!over)
                begin_probe(epoll, SOCK_STREAM, &to, id);
            if (!over && server.sin_addr.s_addr != 0)
                begin_probe(epoll, SOCK_DGRAM, &server, id);
            id++;
        }
        uint64_t now = now_ns();
        int wait_ms = now < next_ns ? (int)((next_ns - now) / 1000000) + 1 : 0;
        struct epoll_event events[EVENT_COUNT];
        int ready = epoll_wait(epoll, events, EVENT_COUNT, wait_ms);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != 0) {
                go_on_probing(epoll, events[i].data.fd);
            } else if (read(0, chunk, 64) <= 0) {
                over = 1;
                watch(epoll, EPOLL_CTL_DEL, 0, 0);
            }
        }
    }
    printf("{");
    print_tally("connect", &connects, ", ");
    print_tally("names", &lookups, "}\n");
}

int main(int argc, char **argv)
{
    take_descriptors();
    if (argc < 4) {
        fprintf(stderr, "beside: wanted MODE ADDRESS PORT, see bench/beside.c\n");
        return 2;
    }
    struct sockaddr_in at = address_of(argv[2], atoi(argv[3]));
    int up = strcmp(argv[1], "put") == 0;
    if (strcmp(argv[1], "names") == 0)
        names(at);
    else if (argc == 7 && (up || strcmp(argv[1], "get") == 0))
        one_stream(up, at, atof(argv[4]), strtoull(argv[5], NULL, 10), atof(argv[6]));
    else if (argc == 7 && strcmp(argv[1], "probe") == 0)
        probe(at, argv[4], atoi(argv[5]), atoi(argv[6]));
    else
        return 2;
    return 0;
}
