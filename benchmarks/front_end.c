/* A vhost-user front-end that does as little as it can: a split virtqueue, an eventfd each way, no EVENT_IDX.
 *
 *   front_end SOCKET
 *
 * connects to a back-end and then reads lines "flush|create BATCH MILLISECONDS": so many commands go with each kick, and
 * the next ones when all are answered. It prints how many commands a second that were, and how many. Every answer has to
 * be OK_NODATA.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { GET_FEATURES = 1, SET_FEATURES = 2, SET_OWNER = 3, SET_MEM_TABLE = 5, SET_VRING_NUM = 8, SET_VRING_ADDR = 9,
       SET_VRING_BASE = 10, SET_VRING_KICK = 12, SET_VRING_CALL = 13, SET_VRING_ENABLE = 18, GPU_SET_SOCKET = 33,
       GET_PROTOCOL_FEATURES = 15, SET_PROTOCOL_FEATURES = 16 };
enum { RESOURCE_CREATE_2D = 0x101, RESOURCE_UNREF = 0x102, RESOURCE_FLUSH = 0x104, OK_NODATA = 0x1100 };
enum { NEXT = 1, WRITE = 2, SIZE = 256, ROOM = 64, RESPONSE = 24, MEMORY = 1 << 20 };
#define F_VERSION_1 (1ull << 32)
#define F_PROTOCOL_FEATURES (1ull << 30)

struct desc { uint64_t addr; uint32_t len; uint16_t flags, next; };
struct avail { uint16_t flags, idx, ring[SIZE]; };
struct used { uint16_t flags; _Atomic uint16_t idx; struct { uint32_t id, len; } ring[SIZE]; };
struct shared {
    struct desc desc[SIZE];
    struct avail avail;
    _Alignas(4096) struct used used;
    _Alignas(4096) unsigned char request[SIZE / 2][ROOM], response[SIZE / 2][ROOM];
    _Alignas(4096) struct avail cursor_avail;
    _Alignas(4096) struct used cursor_used;
    _Alignas(4096) struct desc cursor_desc[SIZE];
};
struct request { uint32_t type, flags; uint64_t fence_id; uint32_t ctx_id, ring_idx, body[6]; };

static struct shared *memory;
static int control, gpu, kick, call;

static void fail(const char *what) { perror(what); exit(1); }

static void send_message(uint32_t request, const void *payload, uint32_t size, int fd)
{
    uint32_t header[3] = { request, 1, size };
    struct iovec parts[2] = { { header, sizeof header }, { (void *)payload, size } };
    union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } ancillary = { { 0 } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = size ? 2 : 1 };
    if (fd >= 0) {
        message.msg_control = &ancillary;
        message.msg_controllen = sizeof ancillary;
        struct cmsghdr *first = CMSG_FIRSTHDR(&message);
        first->cmsg_level = SOL_SOCKET, first->cmsg_type = SCM_RIGHTS, first->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(first), &fd, sizeof fd);
    }
    if (sendmsg(control, &message, 0) != (ssize_t)(sizeof header + size)) fail("sendmsg");
}

static void send_u64(uint32_t request, uint64_t value, int fd) { send_message(request, &value, sizeof value, fd); }

static void receive(int fd, void *data, size_t size)
{
    for (ssize_t got; size; data = (char *)data + got, size -= got)
        if ((got = read(fd, data, size)) <= 0) fail("the back-end is gone");
}

static uint64_t ask(uint32_t request)
{
    struct { uint32_t header[3]; uint64_t value; } __attribute__((packed)) reply;
    send_message(request, NULL, 0, -1);
    receive(control, &reply, sizeof reply);
    return reply.value;
}

static void set_up_queue(uint32_t queue, struct desc *desc, struct avail *avail, struct used *used, int protocol)
{
    uint32_t num[2] = { queue, SIZE }, base[2] = { queue, 0 }, enable[2] = { queue, 1 };
    struct { uint32_t index, flags; uint64_t desc, used, avail, log; } address =
        { queue, 0, (uintptr_t)desc, (uintptr_t)used, (uintptr_t)avail, 0 };
    send_message(SET_VRING_NUM, num, sizeof num, -1);
    send_message(SET_VRING_BASE, base, sizeof base, -1);
    send_message(SET_VRING_ADDR, &address, sizeof address, -1);
    send_u64(SET_VRING_CALL, queue, queue ? eventfd(0, EFD_NONBLOCK) : call);
    send_u64(SET_VRING_KICK, queue, queue ? eventfd(0, EFD_NONBLOCK) : kick);
    if (protocol) send_message(SET_VRING_ENABLE, enable, sizeof enable, -1);
}

/* vhost-user-gpu asks what its VMM can do and waits for the answer; any other back-end asks nothing. */
static void give_screen(void)
{
    int ends[2];
    uint32_t header[3];
    struct { uint32_t header[3]; uint64_t value; } __attribute__((packed)) reply = { { 1, 4, 8 }, 0 };
    struct timeval patience = { 1, 0 };
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) fail("socketpair");
    send_message(GPU_SET_SOCKET, NULL, 0, ends[1]);
    close(ends[1]);
    gpu = ends[0];
    setsockopt(gpu, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (read(gpu, header, sizeof header) == sizeof header && header[0] == 1)
        if (write(gpu, &reply, sizeof reply) != sizeof reply) fail("GPU socket");
}

static void connect_to(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    strncpy(name.sun_path, path, sizeof name.sun_path - 1);
    control = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(control, (struct sockaddr *)&name, sizeof name)) fail(path);
    int file = memfd_create("guest", 0);
    if (file < 0 || ftruncate(file, MEMORY)) fail("memfd");
    memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    kick = eventfd(0, EFD_NONBLOCK), call = eventfd(0, EFD_NONBLOCK);
    uint64_t offered = ask(GET_FEATURES), protocol = offered & F_PROTOCOL_FEATURES;
    send_message(SET_OWNER, NULL, 0, -1);
    if (protocol) ask(GET_PROTOCOL_FEATURES), send_u64(SET_PROTOCOL_FEATURES, 0, -1);
    send_u64(SET_FEATURES, F_VERSION_1 | protocol, -1);
    struct { uint32_t nregions, padding; uint64_t gpa, size, user, offset; } table =
        { 1, 0, 0, MEMORY, (uintptr_t)memory, 0 };
    send_message(SET_MEM_TABLE, &table, sizeof table, file);
    give_screen();
    set_up_queue(0, memory->desc, &memory->avail, &memory->used, !!protocol);
    set_up_queue(1, memory->cursor_desc, &memory->cursor_avail, &memory->cursor_used, !!protocol);
}

static uint64_t guest_address(const void *there) { return (uint64_t)((const char *)there - (const char *)memory); }

static void put(int slot, const struct request *request, uint32_t size)
{
    memcpy(memory->request[slot], request, size);
    memory->desc[2 * slot] = (struct desc){ guest_address(memory->request[slot]), size, NEXT, 2 * slot + 1 };
    memory->desc[2 * slot + 1] = (struct desc){ guest_address(memory->response[slot]), RESPONSE, WRITE, 0 };
}

static void send_batch(int count)
{
    static uint16_t added;
    uint64_t number = 1;
    struct pollfd called = { call, POLLIN, 0 };
    for (int slot = 0; slot < count; slot++) memory->avail.ring[(uint16_t)(added + slot) % SIZE] = 2 * slot;
    added += count;
    atomic_thread_fence(memory_order_seq_cst);
    *(volatile uint16_t *)&memory->avail.idx = added;
    atomic_thread_fence(memory_order_seq_cst);
    if (!(*(volatile uint16_t *)&memory->used.flags & 1) && write(kick, &number, sizeof number) < 0) fail("kick");
    while (atomic_load(&memory->used.idx) != added)
        if (read(call, &number, sizeof number) < 0 && poll(&called, 1, -1) < 0) fail("call");
    for (int slot = 0; slot < count; slot++)
        if (*(uint32_t *)memory->response[slot] != OK_NODATA) {
            fprintf(stderr, "answer %#x\n", *(uint32_t *)memory->response[slot]);
            exit(1);
        }
}

/* create: RESOURCE_CREATE_2D and RESOURCE_UNREF in turn, alone or in a batch; flush: of resource 1, which nothing shows. */
static void prepare(int create, int slot, uint32_t number)
{
    struct request flush = { .type = RESOURCE_FLUSH, .body = { 0, 0, 64, 64, 1 } };
    struct request make = { .type = RESOURCE_CREATE_2D, .body = { 100 + number / 2, 2, 64, 64 } };
    struct request drop = { .type = RESOURCE_UNREF, .body = { 100 + number / 2 } };
    if (!create) put(slot, &flush, 48);
    else if (number % 2) put(slot, &drop, 32);
    else put(slot, &make, 40);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void measure(int create, int batch, double seconds)
{
    uint32_t done = 0;
    double start = now(), end = start;
    for (int slot = 0; slot < batch; slot++) prepare(create, slot, slot);
    do {
        if (create && batch == 1) prepare(create, 0, done);
        send_batch(batch);
        done += batch;
    } while ((end = now()) - start < seconds || done % 2);
    printf("%.1f %u\n", done / (end - start), done);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char what[8];
    int batch, milliseconds;
    if (argc != 2) return fprintf(stderr, "usage: front_end SOCKET\n"), 2;
    connect_to(argv[1]);
    struct request image = { .type = RESOURCE_CREATE_2D, .body = { 1, 2, 64, 64 } };
    put(0, &image, 40);
    send_batch(1);
    printf("ready\n");
    fflush(stdout);
    while (scanf("%7s %d %d", what, &batch, &milliseconds) == 3) {
        if (batch < 1 || batch > SIZE / 2) return 2;
        measure(*what == 'c', batch, milliseconds * 1e-3);
    }
    return 0;
}
