/* A guest program that asks Linux's virtio-gpu driver for everything and prints what it gets.
 *
 * One line a finding, "@NAME key=value ...", on standard output; a value that may hold spaces comes last. What the
 * driver refuses is a line too ("@refused what=... errno=..."), so that a device without a feature is no special case.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define USER_POINTER(pointer) ((uint64_t)(uintptr_t)(pointer))

enum { BLOB_SIZE = 0x10000, TAG_SIZE = 16, GREETING_AT = 0x1000 };

struct blob {
	uint32_t handle;
	uint32_t resource;
	uint64_t offset;
	void *memory;
};

/* report.c */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
int refused(const char *what); /* prints errno; always -1 */
void report_file(const char *name, const char *path);
int write_file(const char *path, const char *text);
void watch(const char *what, uint64_t number); /* until whoever watches has looked */
double now(void); /* seconds */

/* gpu.c: each returns 0, or -1 with errno set */
int gpu_open(void);
int gpu_param(int gpu, uint64_t param, uint64_t *value);
int gpu_context(int gpu, uint64_t capset, uint64_t rings);
int gpu_submit(int gpu, uint32_t microseconds, int ring, int *fence);
int gpu_wait_fence(int fence); /* closes it */
int gpu_allocate(int gpu, uint32_t exporter, uint64_t blob_id);
int gpu_blob_create(int gpu, uint64_t blob_id, uint32_t flags, struct blob *blob);
int gpu_blob_map(int gpu, struct blob *blob);
void gpu_blob_close(int gpu, struct blob *blob);

/* what is looked at */
void look_at_params(int gpu);
void look_at_capsets(int gpu);
void look_at_blobs(int gpu, const char *ids);
void look_at_fences(int gpu);
void look_at_sharing(int gpu, const char *ids);
void look_at_rates(int gpu, const char *ids);
void look_at_screen(int gpu);

#endif
