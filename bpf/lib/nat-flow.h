/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Translated flows: whose a tuple is, and their entries in the map translations. A flow owns the tuple of what goes on
 * for as long as conntrack knows it. What it would go on as is the scratch's `to`, for which the stack has no room.
 */
#pragma once
#include "nat.h"

/* Whether a flow may have this tuple: nobody has it, or a flow that is over. */
static __always_inline bool nat_is_free(const struct tuple *t)
{
	const struct ct_value *entry = ct_find(t);

	return !ct_live(entry) || ct_closed(entry->flags);
}

/* Whether an entry for replies is one of a flow that comes as `from`. */
static __always_inline bool nat_replies_to(const struct nat_value *reply, const struct tuple *from)
{
	return reply && address_equal(&reply->destination, &from->source) &&
	       address_equal(&reply->source, &from->destination) && reply->destination_port == from->source_port &&
	       reply->source_port == from->destination_port;
}

enum nat_claim {
	NAT_TAKEN,
	NAT_HELD, /* a connection had it that is over, and its server would take this segment for one of that */
	NAT_FREE,
	NAT_OVER,       /* a connection had it that is over, and its server knows nothing of it any more */
	NAT_REMEMBERED, /* likewise, but the server remembers it, and will take this segment for a new one's all the
			   same */
};

/*
 * What another flow would find with the tuple of one that conntrack knows. A server that remembers a connection takes
 * the next one's first segment if its sequence number is beyond all that the old one sent, or its timestamp is: those
 * of two clients, or of one that believes to speak to two services, have nothing to do with each other (RFC 9293
 * section 3.10.7.4, RFC 6191; Linux: tcp_timewait_state_process).
 */
static __always_inline enum nat_claim nat_claim_over(const struct ct_value *entry, __u8 protocol,
						     const struct scratch *own)
{
	if (protocol != IPPROTO_TCP || !own->opens || !ct_closed(entry->flags) || !(entry->flags & CT_TRANSLATED))
		return NAT_TAKEN;
	if (!(entry->flags & CT_WAITS) || entry->flags & CT_RST)
		return NAT_OVER;
	return (__s32)(own->sequence - entry->end) > 0 ? NAT_REMEMBERED : NAT_HELD;
}

/* How long a tuple that has been given waits for its flow to be known to conntrack. */
#define NAT_GIVEN_NS SECOND

static __always_inline bool nat_is_refused(enum nat_claim claim)
{
	return claim <= NAT_HELD;
}

/* What a flow that comes as `from` would find with the scratch's `to`; notes who had it. */
static __always_inline enum nat_claim nat_claim(const struct tuple *from, struct scratch *own)
{
	const struct ct_value *entry;
	const struct nat_value *former;

	ct_key_set(&own->key, &own->to, ct_from_a(&own->to));
	entry = bpf_map_lookup_elem(&conntrack, &own->key);
	nat_key_set_against(&own->against, &own->to);
	former = bpf_map_lookup_elem(&translations, &own->against);
	own->former = former ? former->created : 0;
	if (nat_replies_to(former, from))
		return NAT_FREE;
	if (ct_live(entry))
		return nat_claim_over(entry, own->to.protocol, own);
	/* Of one that has just been made the first packet may still be on its way to conntrack. */
	return own->former + NAT_GIVEN_NS > bpf_ktime_get_coarse_ns() ? NAT_TAKEN : NAT_FREE;
}

/* A packet with this tuple is no longer translated. */
__outlined int nat_forget(const struct tuple *t)
{
	struct nat_key key;

	if (!t)
		return 0;
	key = nat_key_of(t);
	bpf_map_delete_elem(&translations, &key);
	return 0;
}

/* Whether what a packet goes on as is that tuple. */
static __always_inline bool nat_leads_to(const struct nat_value *value, const struct tuple *to)
{
	return value->source_port == to->source_port && value->destination_port == to->destination_port &&
	       address_equal(&value->source, &to->source) && address_equal(&value->destination, &to->destination);
}

/*
 * The flow that had a tuple before loses what leads to it and back: of two that lead there one would be wrong. Of those
 * who want it, who changes the time at which its entry was made has it; `made` is that time, 0 if nobody else wants it.
 */
__outlined bool nat_release(const struct tuple *to, __u64 made)
{
	struct scratch *own = scratch();
	struct nat_value *former, *forward;

	if (!to || !own)
		return false;
	nat_key_set_against(&own->against, to);
	former = bpf_map_lookup_elem(&translations, &own->against);
	if (!former || !(former->flags & NAT_REPLY))
		return true;
	if (made && __sync_val_compare_and_swap(&former->created, made, bpf_ktime_get_coarse_ns()) != made)
		return false;
	own->came.source = former->destination;
	own->came.destination = former->source;
	own->came.source_port = former->destination_port;
	own->came.destination_port = former->source_port;
	own->came.protocol = nat_protocol(former, to->protocol);
	forward = bpf_map_lookup_elem(&translations, &own->came);
	/* It may have begun anew, and go on as something else by now. */
	if (forward && nat_leads_to(forward, to))
		bpf_map_delete_elem(&translations, &own->came);
	bpf_map_delete_elem(&translations, &own->against);
	return true;
}

/* Makes the scratch's entries those of a flow that comes as `from` and goes on as `to`. */
static __always_inline void nat_entries_set(struct scratch *own, const struct tuple *from, const struct tuple *to)
{
	struct nat_value *forward = &own->forward, *reply = &own->reply;

	forward->source = to->source;
	forward->source_port = to->source_port;
	forward->destination_port = to->destination_port;
	forward->created = bpf_ktime_get_coarse_ns();
	*reply = *forward;
	reply->source = from->destination;
	reply->destination = from->source;
	reply->source_port = from->destination_port;
	reply->destination_port = from->source_port;
	reply->flags |= NAT_REPLY;
	reply->ifindex = own->ingress;
}

/*
 * Takes the scratch's `to`, which was found free, for the flow that comes as `from`: who writes the entry for its
 * replies has it. Returns 0, or less an errno: EEXIST when another one was faster. Linux 6.1 takes no key for a map
 * from a global function's argument.
 */
__outlined long nat_take(const struct tuple *from)
{
	struct scratch *own = scratch();
	struct nat_key key;
	bool mine;
	long error;

	if (!from || !own)
		return -EINVAL;
	nat_key_set_against(&own->against, &own->to);
	mine = nat_replies_to(bpf_map_lookup_elem(&translations, &own->against), from);
	if (!mine && own->former && !nat_release(&own->to, own->former))
		return -EEXIST;
	nat_entries_set(own, from, &own->to);
	error = bpf_map_update_elem(&translations, &own->against, &own->reply, mine ? BPF_ANY : BPF_NOEXIST);
	if (error)
		return error;
	key = nat_key_of(from);
	return bpf_map_update_elem(&translations, &key, &own->forward, BPF_ANY);
}

/* What a flow that comes as `from` goes on as by the scratch's forward entry, but for the port that it is given. */
static __always_inline struct tuple nat_bare(const struct scratch *own, const struct tuple *from)
{
	struct tuple bare = nat_tuple(&own->forward, from->protocol);

	bare.source_port = from->source_port;
	return bare;
}

/* Whether the flow that had that tuple is over. */
__outlined bool nat_bare_is_free(const struct tuple *from)
{
	struct scratch *own = scratch();
	struct tuple bare;

	if (!from || !own)
		return false;
	bare = nat_bare(own, from);
	return nat_is_free(&bare);
}

/* Packets that come with that tuple go on as the forward entry says, too. */
__outlined enum drop_reason nat_open_bare(const struct tuple *from)
{
	struct scratch *own = scratch();
	struct tuple bare;
	struct nat_key key;

	if (!from || !own)
		return DROP_MALFORMED;
	bare = nat_bare(own, from);
	key = nat_key_of(&bare);
	return bpf_map_update_elem(&translations, &key, &own->forward, BPF_ANY) ? DROP_NAT_FULL : DROP_NONE;
}
