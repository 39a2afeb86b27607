/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services: what a client speaks to, and the backend it gets. The slots of a service hold those that take new flows; a
 * Maglev table, where it has one, says how many of its places each of them has. A client with an affinity is given its
 * former backend while that one is still there.
 */
#pragma once
#include "address.h"
#include "maps.h"

static __always_inline const struct service_value *service_find(const struct address *address, __be16 port,
								__u8 protocol, __u8 scope)
{
	struct service_key key = {.address = *address, .port = port, .protocol = protocol, .scope = scope};

	return bpf_map_lookup_elem(&services, &key);
}

/* Whether a client may use a service (Service, loadBalancerSourceRanges). */
static __always_inline bool service_admits(const struct service_value *service, const struct address *client)
{
	struct source_range_key key = {.prefix_length = 160, .service = service->id, .address = *client};

	return !(service->flags & SERVICE_RANGES) || bpf_map_lookup_elem(&source_ranges, &key);
}

/*
 * What a place of a service's Maglev table holds, an index of its slots; -1 where there is no table. A table that has
 * just been given up may hold anything.
 */
static __always_inline int maglev_at(const struct service_value *service, __u32 number)
{
	__u32 place = number % service->table_size;
	__u32 block = service->table + place / MAGLEV_BLOCK;
	__u32 segment_index = block / MAGLEV_SEGMENT_BLOCKS, index = block % MAGLEV_SEGMENT_BLOCKS;
	void *segment = bpf_map_lookup_elem(&maglev_segments, &segment_index);
	const struct maglev_block *found;

	if (!segment)
		return -1;
	found = bpf_map_lookup_elem(segment, &index);
	return found ? found->slots[place % MAGLEV_BLOCK] : -1;
}

/* The backend that a number chooses, by table where the service has one; null when nobody serves it. */
static __always_inline const struct backend *service_slot(const struct service_value *service, __u32 number)
{
	struct slot_key key = {.service = service->id};
	int slot;

	if (!service->count)
		return 0;
	key.index = number % service->count;
	slot = service->table_size ? maglev_at(service, number) : -1;
	if (slot >= 0 && (__u32)slot < service->count)
		key.index = (__u32)slot;
	return bpf_map_lookup_elem(&service_slots, &key);
}

/* The flows of a slot's backend; null where nobody counts them. */
static __always_inline struct load *service_load(__u32 service, __u32 index, __u8 protocol)
{
	struct slot_key slot = {.service = service, .index = index};
	const struct backend *backend = bpf_map_lookup_elem(&service_slots, &slot);
	struct load_key key = {.protocol = protocol};

	if (!backend)
		return 0;
	key.address = backend->address;
	key.port = backend->port;
	return bpf_map_lookup_elem(&loads, &key);
}

/*
 * Of two slots by chance the one whose backend has fewer flows, which counts as having one more ("The power of two
 * choices in randomized load balancing", Mitzenmacher 2001).
 */
__outlined __u32 service_least(__u32 service, __u32 count, __u8 protocol)
{
	__u32 one, other;
	struct load *first, *second;

	if (count < 2)
		return 0;
	one = bpf_get_prandom_u32() % count;
	other = (one + 1 + bpf_get_prandom_u32() % (count - 1)) % count;
	first = service_load(service, one, protocol);
	second = service_load(service, other, protocol);
	/* One that is not counted yet has just come. */
	if (first && (!second || second->live < first->live)) {
		one = other;
		first = second;
	}
	if (first)
		__sync_fetch_and_add(&first->live, 1);
	return one;
}

/* What chooses a slot where no flow does. */
static __always_inline __u32 service_number(const struct service_value *service, __u8 protocol, __u32 number)
{
	return service->flags & SERVICE_LEAST ? service_least(service->id, service->count, protocol) : number;
}

/* The backend a client was given before, if its time is not over and the backend is there; it then counts as used. */
static __always_inline const struct backend *service_affine(const struct service_value *service,
							    const struct affinity_key *client, __u64 now)
{
	struct affinity_value *last = bpf_map_lookup_elem(&affinities, client);
	const struct backend *backend;

	if (!last || now - last->used > service->affinity_seconds * SECOND)
		return 0;
	backend = bpf_map_lookup_elem(&backends, &last->backend);
	if (backend)
		last->used = now;
	return backend;
}

static __always_inline void service_count(const struct service_value *service)
{
	/* Linux 6.1 takes no key from a global function's argument. */
	__u32 id = service->id;
	__u64 *hits = bpf_map_lookup_elem(&service_hits, &id), first = 1;

	/* Of two that are the first at the same moment one may go uncounted. */
	if (hits)
		__sync_fetch_and_add(hits, 1);
	else
		bpf_map_update_elem(&service_hits, &id, &first, BPF_NOEXIST);
}

/* A backend for a new flow of a client: its former one, else the one a number chooses. */
static __always_inline const struct backend *service_pick(const struct service_value *service,
							  const struct affinity_key *client, __u32 number)
{
	struct affinity_value given = {.used = bpf_ktime_get_coarse_ns()};
	const struct backend *backend;

	service_count(service);
	if (!service->affinity_seconds)
		return service_slot(service, number);
	backend = service_affine(service, client, given.used);
	if (backend)
		return backend;
	backend = service_slot(service, number);
	if (!backend)
		return 0;
	given.backend = backend->id;
	bpf_map_update_elem(&affinities, client, &given, BPF_ANY);
	return backend;
}
