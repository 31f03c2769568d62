/*
 * Both sides of a split virtqueue in the words of the kernel's linux/virtio_ring.h, as small as they can be.
 * The queue starts at `guest`, which is address `base` for the guest, and is laid out by vring_init with align 4.
 */
#include <linux/virtio_ring.h>

#define PART(guest, base, address) ((unsigned char *)(guest) + ((address) - (base)))

static struct vring ring(void *guest, unsigned num)
{
	struct vring vr;

	vring_init(&vr, num, guest, VRING_USED_ALIGN_SIZE);
	return vr;
}

int peer_need_event(unsigned event, unsigned new_idx, unsigned old)
{
	return vring_need_event(event, new_idx, old);
}

/* Offsets of desc, avail, used, used_event and avail_event. */
void peer_places(void *guest, unsigned num, uint64_t *places)
{
	struct vring vr = ring(guest, num);

	places[0] = (unsigned char *)vr.desc - (unsigned char *)guest;
	places[1] = (unsigned char *)vr.avail - (unsigned char *)guest;
	places[2] = (unsigned char *)vr.used - (unsigned char *)guest;
	places[3] = (unsigned char *)&vring_used_event(&vr) - (unsigned char *)guest;
	places[4] = (unsigned char *)&vring_avail_event(&vr) - (unsigned char *)guest;
}

/* A device: answers each chain with its request, every byte inverted, as far as there is room. Whether to interrupt. */
int peer_serve(void *guest, uint64_t base, unsigned num, uint16_t *seen)
{
	struct vring vr = ring(guest, num);
	uint16_t old = vr.used->idx;
	unsigned char request[4096];

	for (; *seen != vr.avail->idx; ++*seen) {
		uint16_t head = vr.avail->ring[*seen % num], index = head;
		struct vring_desc *table = vr.desc;
		uint32_t size = 0, written = 0;

		for (;;) {
			struct vring_desc *desc = &table[index];
			unsigned char *buffer = PART(guest, base, desc->addr);

			if (desc->flags & VRING_DESC_F_INDIRECT) {
				table = (struct vring_desc *)buffer;
				index = 0;
				continue;
			}
			for (uint32_t i = 0; i < desc->len; i++) {
				if (!(desc->flags & VRING_DESC_F_WRITE))
					request[size++] = buffer[i];
				else if (written < size)
					buffer[i] = ~request[written], written++;
			}
			if (!(desc->flags & VRING_DESC_F_NEXT))
				break;
			index = desc->next;
		}
		vr.used->ring[vr.used->idx % num] = (struct vring_used_elem){ head, written };
		vr.used->idx++;
	}
	vring_avail_event(&vr) = vr.avail->idx;
	return vring_need_event(vring_used_event(&vr), vr.used->idx, old);
}

/* A driver: one chain in `count` descriptors from `head` on, the last `answers` of them device-writable. Whether to kick. */
int peer_add(void *guest, unsigned num, uint16_t head, unsigned count, unsigned answers, const uint64_t *addresses,
	     const uint32_t *lengths)
{
	struct vring vr = ring(guest, num);
	uint16_t old = vr.avail->idx;

	for (unsigned i = 0; i < count; i++)
		vr.desc[head + i] = (struct vring_desc){
			addresses[i], lengths[i],
			(i + 1 < count ? VRING_DESC_F_NEXT : 0) | (i + answers >= count ? VRING_DESC_F_WRITE : 0),
			i + 1 < count ? head + i + 1 : 0,
		};
	vr.avail->ring[old % num] = head;
	vr.avail->idx = old + 1;
	return vring_need_event(vring_avail_event(&vr), vr.avail->idx, old);
}

/* Whether the chain of `head` was used, and then its length; the driver wants to hear of the next one. */
int peer_used(void *guest, unsigned num, uint16_t *seen, uint16_t head, uint32_t *length)
{
	struct vring vr = ring(guest, num);

	if (*seen == vr.used->idx || vr.used->ring[*seen % num].id != head)
		return 0;
	*length = vr.used->ring[*seen % num].len;
	vring_used_event(&vr) = ++*seen;
	return 1;
}
