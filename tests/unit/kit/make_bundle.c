/* Bundles for tests, byte by byte. */
#include "tests/unit/kit/make_bundle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/stream/stream.h"

void make_bundle_bytes(struct make_bundle *b, const void *data, size_t n)
{
	if (n > b->room - b->n) {
		b->room = 2 * (b->room + n) + 4096;
		b->bytes = realloc(b->bytes, b->room);
		if (!b->bytes)
			abort();
	}
	if (n)
		memcpy(b->bytes + b->n, data, n);
	b->n += n;
}

static void pad_to(struct make_bundle *b, size_t unit, char pad)
{
	while (b->n % unit)
		make_bundle_bytes(b, &pad, 1);
}

static uint32_t sum_of(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	while (n--)
		sum += *p++;
	return sum;
}

size_t make_bundle_add_head(struct make_bundle *b, const char *name, const void *data, size_t n,
			    const struct make_head *head)
{
	static const struct make_head right;
	const struct make_head *h = head ? head : &right;
	size_t name_len = h->name ? h->name_len : strlen(name) + 1;
	uint32_t field[13] = {1,
			      0100644,
			      0,
			      0,
			      1,
			      0,
			      (uint32_t)n,
			      0,
			      0,
			      0,
			      0,
			      (uint32_t)name_len,
			      b->newc ? 0 : sum_of(data, n)};
	size_t start = b->n;
	char text[16];

	make_bundle_bytes(b, h->magic ? h->magic : b->newc ? "070701" : "070702", 6);
	for (size_t i = 0; i < 13; i++) {
		snprintf(text, sizeof(text), "%08" PRIX32, field[i]);
		make_bundle_bytes(b, h->field[i] ? h->field[i] : text, 8);
	}
	make_bundle_bytes(b, h->name ? h->name : name, name_len);
	pad_to(b, 4, h->pad);
	make_bundle_bytes(b, data, n);
	pad_to(b, 4, h->pad);
	return start;
}

size_t make_bundle_add(struct make_bundle *b, const char *name, const void *data, size_t n)
{
	return make_bundle_add_head(b, name, data, n, NULL);
}

void make_bundle_trailer(struct make_bundle *b)
{
	make_bundle_add(b, "TRAILER!!!", "", 0);
	pad_to(b, 512, 0);
}

void make_bundle_free(struct make_bundle *b)
{
	free(b->bytes);
	*b = (struct make_bundle){.newc = b->newc};
}

struct pipe_stream {
	struct stream s;
	const uint8_t *at;
	size_t left, chunk;
};

static ssize_t pipe_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct pipe_stream *p = (struct pipe_stream *)s;
	size_t k = p->left < p->chunk ? p->left : p->chunk;

	(void)e;
	*buf = p->at;
	p->at += k;
	p->left -= k;
	return (ssize_t)k;
}

static void pipe_close(struct stream *s)
{
	free(s);
}

static const struct stream_ops pipe_ops = {.name = "pipe", .next = pipe_next, .close = pipe_close};

struct stream *make_pipe_stream(const void *bytes, size_t n, size_t chunk)
{
	struct pipe_stream *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	stream_init(&p->s, &pipe_ops, NULL);
	p->at = bytes;
	p->left = n;
	p->chunk = chunk;
	return &p->s;
}
