// SPDX-License-Identifier: Apache-2.0
/* `check icmp`: echo requests over a raw socket, payload verified; a large payload leaves in
 * fragments. */
#include "probe.h"
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Both families' echo messages share this layout; only the type numbers and the checksum differ. */
struct echo {
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	uint16_t id;
	uint16_t sequence;
	uint8_t payload[DATAGRAM_MAX];
};

#define ECHO_HEADER offsetof(struct echo, payload)

struct pinger {
	int fd;
	int family;
	uint64_t seed;
	uint16_t id;
	uint16_t sequence;
};

static uint16_t internet_checksum(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i += 2)
		sum += (uint32_t)bytes[i] << 8 | (i + 1 < length ? bytes[i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Lets only echo replies through, so that a busy namespace's other ICMP does not fill the socket.
 */
static int open_socket(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
			family == AF_INET ? IPPROTO_ICMP : (int)IPPROTO_ICMPV6);

	if (fd < 0)
		return -1;
	enlarge_receive_buffer(fd);
	if (family == AF_INET) {
		struct icmp_filter {
			uint32_t data;
		} filter = {.data = ~(1u << ICMP_ECHOREPLY)};

		setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &filter, sizeof(filter));
	} else {
		struct icmp6_filter filter;

		ICMP6_FILTER_SETBLOCKALL(&filter);
		ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
		setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
	}
	return fd;
}

static bool send_request(const struct pinger *p, const struct endpoint_address *to, size_t length)
{
	static struct echo request;

	request = (struct echo){
	    .type = p->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
	    .id = p->id,
	    .sequence = htons(p->sequence),
	};
	fill_pattern(p->seed, p->sequence, request.payload, length);
	if (p->family == AF_INET) /* the kernel fills in ICMPv6's own */
		request.checksum = internet_checksum(&request, ECHO_HEADER + length);
	return sendto(p->fd, &request, ECHO_HEADER + length, 0, (const struct sockaddr *)&to->storage, to->length) >= 0;
}

/* A raw IPv4 socket delivers the IP header too. */
static bool is_answer(const struct pinger *p, const uint8_t *packet, size_t received, size_t length)
{
	size_t skip = p->family == AF_INET ? (size_t)(packet[0] & 0xf) * 4 : 0;
	struct echo header;

	if (received != skip + ECHO_HEADER + length)
		return false;
	memcpy(&header, packet + skip, ECHO_HEADER);
	if (header.type != (p->family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
		return false;
	return header.id == p->id && ntohs(header.sequence) == p->sequence &&
	       match_pattern(p->seed, p->sequence, packet + skip + ECHO_HEADER, length) == length;
}

static bool await_answer(const struct pinger *p, size_t length, double deadline)
{
	static uint8_t packet[65536];

	while (wait_for(p->fd, POLLIN, deadline)) {
		ssize_t n = recv(p->fd, packet, sizeof(packet), 0);

		if (n > 0 && is_answer(p, packet, (size_t)n, length))
			return true;
	}
	errno = ETIMEDOUT;
	return false;
}

int check_icmp(const struct endpoint_address *to, size_t bytes, const struct options *options)
{
	struct attempt attempt = start_attempt(options);
	struct pinger p = {.family = to->family, .seed = new_seed(), .fd = open_socket(to->family)};
	size_t done = 0;

	if (p.fd < 0)
		return report_errno(&attempt, "raw socket");
	if (bind_source(p.fd, p.family, options) < 0)
		return report_errno(&attempt, "bind");
	p.id = (uint16_t)p.seed;
	do {
		size_t length = bytes - done < options->size ? bytes - done : options->size;

		p.sequence++;
		if (!send_request(&p, to, length))
			return report_errno(&attempt, "echo request");
		if (!await_answer(&p, length, attempt.deadline_ms)) {
			char text[96];

			snprintf(text, sizeof(text), "no echo reply; %zu of %zu bytes came back", done, bytes);
			return report(&attempt, text);
		}
		done += length;
	} while (done < bytes);
	return report(&attempt, NULL);
}
