/* A vhost-user back-end for virtio-gpu that does nothing: whatever it is asked went well, and fences are signalled at once.
 *
 *   back_end SOCKET
 *
 * serves one front-end until it goes. It offers what `vgpu-emu serve vhost-user` offers, so that the same front-end and
 * the same driver take the same steps. A host blob is a file of zeros, one for all of them, which the front-end maps
 * (SHMEM_MAP) before the driver is answered; meanwhile the main socket is served, as the front-end may need that first.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { GET_FEATURES = 1, SET_MEM_TABLE = 5, SET_VRING_NUM = 8, SET_VRING_ADDR = 9, SET_VRING_BASE = 10, GET_VRING_BASE = 11,
       SET_VRING_KICK = 12, SET_VRING_CALL = 13, GET_PROTOCOL_FEATURES = 15, GET_QUEUE_NUM = 17, SET_BACKEND_REQ_FD = 21,
       GET_CONFIG = 24, GET_SHMEM_CONFIG = 44, SHMEM_MAP = 9, SHMEM_UNMAP = 10 };
enum { GET_DISPLAY_INFO = 0x100, GET_CAPSET_INFO = 0x108, GET_CAPSET, GET_EDID, RESOURCE_ASSIGN_UUID, RESOURCE_CREATE_BLOB,
       RESOURCE_MAP_BLOB = 0x208, RESOURCE_UNMAP_BLOB, OK_NODATA = 0x1100, OK_DISPLAY_INFO, OK_CAPSET_INFO, OK_CAPSET,
       OK_EDID, OK_RESOURCE_UUID, OK_MAP_INFO };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4, REPLY = 4, NEED_REPLY = 8, NOFD = 1 << 8, FENCE_AND_RING = 3, CACHED = 1 };
enum { QUEUES = 2, REGIONS = 8, BLOBS = 1024, CAPSETS = 4, CAPSET_SIZE = 160, PAGE = 4096, HOST_VISIBLE = 1 };
/* VIRGL, EDID, RESOURCE_UUID, RESOURCE_BLOB, CONTEXT_INIT, BLOB_ALIGNMENT; INDIRECT_DESC, EVENT_IDX, PROTOCOL_FEATURES, VERSION_1 */
#define FEATURES (0x3full | 1ull << 28 | 1ull << 29 | 1ull << 30 | 1ull << 32)
/* MQ, REPLY_ACK, BACKEND_REQ, CONFIG, BACKEND_SEND_FD, RESET_DEVICE, SHMEM_MAP */
#define PROTOCOL (1ull << 0 | 1ull << 3 | 1ull << 5 | 1ull << 9 | 1ull << 10 | 1ull << 13 | 1ull << 22)
#define REGION_SIZE (8ull << 30)
#define MEMFD_SIZE (64ull << 20)

struct desc { uint64_t addr; uint32_t len; uint16_t flags, next; };
struct avail { uint16_t flags; _Atomic uint16_t idx; uint16_t ring[]; };
struct used { uint16_t flags; _Atomic uint16_t idx; struct { uint32_t id, len; } ring[]; };
struct queue { struct desc *desc; struct avail *avail; struct used *used; uint32_t size; uint16_t next; int kick, call; };
struct region { uint64_t gpa, size, user, offset; };
struct mapped { struct region region; ino_t file; char *memory; };
struct request { uint32_t type, flags; uint64_t fence_id; uint32_t ctx_id; uint8_t ring_idx, padding[3]; uint32_t body[12]; };
struct response { uint32_t type, flags; uint64_t fence_id; uint32_t ctx_id; uint8_t ring_idx, padding[3]; uint32_t body[258]; };
struct message {
    uint32_t request, flags, size;
    union {
        uint64_t number;
        struct { uint32_t index, num; } state;
        struct { uint32_t index, flags; uint64_t desc, used, avail, log; } address;
        struct { uint32_t nregions, padding; struct region regions[REGIONS]; } table;
        struct { uint32_t offset, size, flags, space[64]; } config;
        struct { uint32_t nregions, padding; uint64_t sizes[256]; } shmem;
        struct { uint64_t shmid, fd_offset, shm_offset, len, flags; } map;
    };
} __attribute__((packed));
enum { HEADER = 12 };

static struct queue queues[QUEUES] = { { .kick = -1, .call = -1 }, { .kick = -1, .call = -1 } };
static struct mapped regions[REGIONS];
static struct { uint64_t size, offset; } blobs[BLOBS];
static int control, channel = -1, memory_of_blobs;

static void fail(const char *what) { perror(what); exit(1); }

static void *translate(uint64_t address, int is_users)
{
    for (int i = 0; i < REGIONS; i++) {
        uint64_t from = address - (is_users ? regions[i].region.user : regions[i].region.gpa);
        if (regions[i].memory && from < regions[i].region.size) return regions[i].memory + from;
    }
    fprintf(stderr, "no memory at %#llx\n", (unsigned long long)address);
    exit(1);
}

/* What is in both tables stays mapped. */
static struct mapped take_over(struct region region, int fd)
{
    struct stat status;
    if (fstat(fd, &status)) fail("fstat");
    for (int i = 0; i < REGIONS; i++)
        if (regions[i].memory && regions[i].file == status.st_ino && !memcmp(&regions[i].region, &region, sizeof region)) {
            struct mapped same = regions[i];
            regions[i].memory = NULL;
            return same;
        }
    char *memory = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, region.offset);
    if (memory == MAP_FAILED) fail("mmap");
    return (struct mapped){ region, status.st_ino, memory };
}

static void set_memory(const struct message *message, const int *fds)
{
    struct mapped now[REGIONS] = { 0 };
    for (uint32_t i = 0; i < message->table.nregions && i < REGIONS; i++) now[i] = take_over(message->table.regions[i], fds[i]);
    for (int i = 0; i < REGIONS; i++)
        if (regions[i].memory) munmap(regions[i].memory, regions[i].region.size);
    memcpy(regions, now, sizeof now);
}

static void send_message(int socket, const struct message *message, int fd)
{
    struct iovec part = { (void *)message, HEADER + message->size };
    union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } ancillary = { { 0 } };
    struct msghdr whole = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        whole.msg_control = &ancillary;
        whole.msg_controllen = sizeof ancillary;
        struct cmsghdr *first = CMSG_FIRSTHDR(&whole);
        first->cmsg_level = SOL_SOCKET, first->cmsg_type = SCM_RIGHTS, first->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(first), &fd, sizeof fd);
    }
    if (sendmsg(socket, &whole, MSG_NOSIGNAL) != (ssize_t)part.iov_len) fail("sendmsg");
}

/* A message and its descriptors, -1 where there is none; the end of the front-end is the end. */
static void receive_message(int socket, struct message *message, int *fds)
{
    struct iovec part = { message, HEADER };
    union { char room[CMSG_SPACE(REGIONS * sizeof(int))]; struct cmsghdr align; } ancillary;
    struct msghdr whole = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary };
    memset(message, 0, sizeof *message);
    memset(fds, -1, REGIONS * sizeof *fds);
    if (recvmsg(socket, &whole, MSG_CMSG_CLOEXEC | MSG_WAITALL) != HEADER) exit(0);
    struct cmsghdr *first = CMSG_FIRSTHDR(&whole);
    if (first && first->cmsg_type == SCM_RIGHTS) memcpy(fds, CMSG_DATA(first), first->cmsg_len - CMSG_LEN(0));
    if (message->size > sizeof *message - HEADER) fail("a message that is too long");
    if (message->size && recv(socket, &message->number, message->size, MSG_WAITALL) != (ssize_t)message->size) exit(0);
}

static void replace(int *kept, const struct message *message, int *fds)
{
    if (*kept >= 0) close(*kept);
    *kept = message->number & NOFD ? -1 : fds[0];
    fds[0] = -1;
}

/* Whether the message is answered with what is in it now. */
static int handle(struct message *message, int *fds)
{
    struct queue *queue = &queues[message->state.index & 1];
    switch (message->request) {
    case GET_FEATURES: return message->number = FEATURES, message->size = 8;
    case GET_PROTOCOL_FEATURES: return message->number = PROTOCOL, message->size = 8;
    case GET_QUEUE_NUM: return message->number = QUEUES, message->size = 8;
    case SET_MEM_TABLE: set_memory(message, fds); break;
    case SET_VRING_NUM: queue->size = message->state.num; break;
    case SET_VRING_BASE: queue->next = message->state.num; break;
    case SET_VRING_ADDR:
        queue->desc = translate(message->address.desc, 1);
        queue->avail = translate(message->address.avail, 1);
        queue->used = translate(message->address.used, 1);
        break;
    case GET_VRING_BASE:
        if (queue->kick >= 0) close(queue->kick);
        queue->kick = -1;
        message->state.num = queue->next;
        return 1;
    case SET_VRING_KICK: replace(&queue->kick, message, fds); break;
    case SET_VRING_CALL: replace(&queue->call, message, fds); break;
    case SET_BACKEND_REQ_FD: message->number = 0, replace(&channel, message, fds); break;
    case GET_CONFIG: {
        static const uint32_t space[64] = { 0, 0, 1, CAPSETS, PAGE };
        memcpy(message->config.space, space, sizeof space);
        return 1;
    }
    case GET_SHMEM_CONFIG:
        message->shmem.nregions = 1, message->shmem.sizes[HOST_VISIBLE] = REGION_SIZE;
        return message->size = 8 + sizeof message->shmem.sizes;
    }
    message->number = 0, message->size = 8;
    return !!(message->flags & NEED_REPLY);
}

static void serve_control(void)
{
    struct message message;
    int fds[REGIONS];
    receive_message(control, &message, fds);
    if (handle(&message, fds)) {
        message.flags = 1 | REPLY;
        send_message(control, &message, -1);
    }
    for (int i = 0; i < REGIONS; i++)
        if (fds[i] >= 0) close(fds[i]);
}

static void ask_front_end(uint32_t request, uint64_t offset, uint64_t size)
{
    struct pollfd both[] = { { channel, POLLIN, 0 }, { control, POLLIN, 0 } };
    struct message message = { .request = request, .flags = 1 | NEED_REPLY, .size = sizeof message.map,
                               .map = { HOST_VISIBLE, 0, offset, size, 1 } };
    int fds[REGIONS];
    send_message(channel, &message, request == SHMEM_MAP ? memory_of_blobs : -1);
    do {
        if (poll(both, 2, -1) < 0) fail("poll");
        if (both[1].revents) serve_control();
    } while (!both[0].revents);
    receive_message(channel, &message, fds);
    if (message.number) fail("the front-end refuses a mapping");
}

/* Returns the bytes of the answer. */
static uint32_t answer(const struct request *request, struct response *response)
{
    uint32_t id = request->body[0] % BLOBS;
    switch (request->type) {
    case GET_DISPLAY_INFO:
        response->type = OK_DISPLAY_INFO;
        response->body[2] = 1280, response->body[3] = 800, response->body[4] = 1;
        return 24 + 16 * 24;
    case GET_CAPSET_INFO:
        response->type = OK_CAPSET_INFO;
        response->body[0] = request->body[0] + 1, response->body[1] = 1, response->body[2] = CAPSET_SIZE;
        return 24 + 16;
    case GET_CAPSET: response->type = OK_CAPSET; return 24 + CAPSET_SIZE;
    case GET_EDID: response->type = OK_EDID; return 24 + 8 + 1024;
    case RESOURCE_ASSIGN_UUID: response->type = OK_RESOURCE_UUID; return 24 + 16;
    case RESOURCE_CREATE_BLOB: memcpy(&blobs[id].size, &request->body[6], 8); return 24;
    case RESOURCE_MAP_BLOB:
        memcpy(&blobs[id].offset, &request->body[2], 8);
        ask_front_end(SHMEM_MAP, blobs[id].offset, blobs[id].size);
        response->type = OK_MAP_INFO, response->body[0] = CACHED;
        return 24 + 8;
    case RESOURCE_UNMAP_BLOB: ask_front_end(SHMEM_UNMAP, blobs[id].offset, blobs[id].size); return 24;
    }
    return 24;
}

/* The request is in the first part of a chain, and the room for the response is the first that is to be written. */
static uint32_t carry_out(const struct desc *table, uint16_t head)
{
    struct request request = { 0 };
    struct response response = { .type = OK_NODATA };
    const struct desc *part = &table[head];
    if (part->flags & INDIRECT) table = part = translate(part->addr, 0);
    memcpy(&request, translate(part->addr, 0), part->len < sizeof request ? part->len : sizeof request);
    while (!(part->flags & WRITE) && part->flags & NEXT) part = &table[part->next];
    if (!(part->flags & WRITE)) return 0;
    response.flags = request.flags & FENCE_AND_RING;
    response.fence_id = request.fence_id, response.ctx_id = request.ctx_id, response.ring_idx = request.ring_idx;
    uint32_t size = answer(&request, &response);
    if (size > part->len) size = part->len;
    memcpy(translate(part->addr, 0), &response, size);
    return size;
}

/* avail_event is behind the used ring, used_event behind the available ring (EVENT_IDX). */
static volatile uint16_t *avail_event(const struct queue *queue) { return (void *)&queue->used->ring[queue->size]; }
static volatile uint16_t *used_event(const struct queue *queue) { return &queue->avail->ring[queue->size]; }

/* All that is available, and one call for it if the driver wants one. */
static void serve_queue(struct queue *queue)
{
    uint64_t number;
    uint16_t before = queue->used->idx, used = before;
    if (read(queue->kick, &number, sizeof number) < 0) return;
    do {
        for (; queue->next != queue->avail->idx; queue->next++, used++) {
            uint16_t head = queue->avail->ring[queue->next % queue->size];
            uint32_t size = carry_out(queue->desc, head);
            queue->used->ring[used % queue->size].id = head;
            queue->used->ring[used % queue->size].len = size;
        }
        *avail_event(queue) = queue->next;
        atomic_thread_fence(memory_order_seq_cst);
    } while (queue->next != queue->avail->idx);
    queue->used->idx = used;
    atomic_thread_fence(memory_order_seq_cst);
    number = 1;
    if ((uint16_t)(used - *used_event(queue) - 1) < (uint16_t)(used - before) && queue->call >= 0)
        if (write(queue->call, &number, sizeof number) < 0) fail("call");
}

int main(int argc, char **argv)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    if (argc != 2) return fprintf(stderr, "usage: back_end SOCKET\n"), 2;
    strncpy(name.sun_path, argv[1], sizeof name.sun_path - 1);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) || listen(listener, 1)) fail(argv[1]);
    if ((memory_of_blobs = memfd_create("blobs", 0)) < 0 || ftruncate(memory_of_blobs, MEMFD_SIZE)) fail("memfd");
    if ((control = accept(listener, NULL, NULL)) < 0) fail("accept");
    for (;;) {
        struct pollfd all[] = { { control, POLLIN, 0 }, { queues[0].kick, POLLIN, 0 }, { queues[1].kick, POLLIN, 0 } };
        if (poll(all, 3, -1) < 0) fail("poll");
        for (int i = 0; i < QUEUES; i++)
            if (all[i + 1].revents & POLLIN) serve_queue(&queues[i]);
        if (all[0].revents) serve_control();
    }
}
