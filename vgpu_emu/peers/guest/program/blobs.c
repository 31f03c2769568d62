/* Host blobs: the attribute the kernel lists for each, what the host wrote in it, and what the guest writes. */
#include "probe.h"

#include <drm/virtgpu_drm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* the one who watches writes an answer behind the greeting */
enum { LIST_SIZE = 1 << 16, ANSWER_AT = 64, ANSWER_SIZE = 64 };
static const char MEMTYPES[] = "/sys/kernel/debug/x86/pat_memtype_list";

static char *memtypes(void)
{
	char *text = calloc(1, LIST_SIZE);
	FILE *file = fopen(MEMTYPES, "r");

	if (file != NULL) {
		if (fread(text, 1, LIST_SIZE - 1, file) == 0)
			refused("pat_memtype_list");
		fclose(file);
	}
	return text;
}

/* What the kernel lists now and did not list before. */
static void report_new_memtypes(uint64_t blob_id, const char *before, char *after)
{
	char *rest = after;
	char *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0' && strstr(before, line) == NULL)
			report("memtype blob=%llu text=%s", (unsigned long long)blob_id, line);
}

static void report_bytes(const char *name, uint64_t blob_id, const uint8_t *bytes)
{
	char text[2 * TAG_SIZE + 1];

	for (int i = 0; i < TAG_SIZE; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	report("%s blob=%llu bytes=%s", name, (unsigned long long)blob_id, text);
}

static void greet(uint64_t blob_id, struct blob *blob)
{
	char *place = (char *)blob->memory + GREETING_AT;

	snprintf(place, ANSWER_AT, "hello of blob %llu", (unsigned long long)blob_id);
	__sync_synchronize();
	report("greeting blob=%llu offset=%d text=%s", (unsigned long long)blob_id, GREETING_AT, place);
	watch("greeting", blob_id);
	__sync_synchronize();
	report("answer blob=%llu text=%.*s", (unsigned long long)blob_id, ANSWER_SIZE, place + ANSWER_AT);
}

static void look_at_blob(int gpu, uint64_t blob_id)
{
	struct blob blob;
	char *before, *after;

	if (gpu_blob_create(gpu, blob_id, VIRTGPU_BLOB_FLAG_USE_MAPPABLE, &blob) < 0) {
		refused("blob-create");
		return;
	}
	before = memtypes();
	if (gpu_blob_map(gpu, &blob) < 0) {
		refused("blob-map");
		gpu_blob_close(gpu, &blob);
		free(before);
		return;
	}
	report_bytes("tag", blob_id, blob.memory);
	after = memtypes();
	report_new_memtypes(blob_id, before, after);
	greet(blob_id, &blob);
	gpu_blob_close(gpu, &blob);
	free(before);
	free(after);
}

/* ids: "1,2,11:1": blobs by their ids; after a colon the kind of exporter that allocates the memory first. */
void look_at_blobs(int gpu, const char *ids)
{
	const char *next;
	char *end;

	for (next = ids; *next != '\0'; next = *end == ',' ? end + 1 : end) {
		uint64_t blob_id = strtoull(next, &end, 10);

		if (end == next)
			break;
		if (*end == ':' && gpu_allocate(gpu, strtoul(end + 1, &end, 10), blob_id) < 0)
			refused("allocate");
		else
			look_at_blob(gpu, blob_id);
	}
}
