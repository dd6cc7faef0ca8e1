#include "core/state/journal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/state/statedir.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define JOURNAL_NAME "journal"
#define JOURNAL_MAX  (64 * 1024 * 1024)
#define PAYLOAD_MAX  (1024 * 1024)
#define MAGIC	     0x4c4a5753u /* "SWJL" */
#define VERSION	     2		 /* 1 knows types up to DONE, and is what records of those say */
#define TXN_LEN	     16

/*
 * On the medium, little endian; behind it the payload, a NUL and the CRC32C of all before it. This
 * frame is the same in every version, so that an older program knows a whole record of a newer one.
 */
struct head {
	uint32_t magic;
	uint16_t version, type;
	uint32_t length;
	char txn[TXN_LEN];
};
#define TAIL 5 /* NUL and CRC */

struct journal {
	int fd;
	uint64_t end; /* of the last whole record */
	char txn[TXN_LEN + 1];
	bool open;   /* begun and not DONE */
	bool broken; /* what is on the medium is not known any more */
	struct journal_record *records;
	size_t count, room;
};

/* ---- records in memory ---- */

static void drop_records(struct journal *j)
{
	for (size_t i = 0; i < j->count; i++)
		free((char *)j->records[i].payload);
	j->count = 0;
}

static int keep_record(struct journal *j, enum journal_type type, const char *payload,
		       uint32_t length)
{
	struct journal_record *r;
	char *copy;

	if (j->count == j->room) {
		size_t room = j->room ? j->room * 2 : 16;

		r = reallocarray(j->records, room, sizeof(*r));
		if (!r)
			return -ENOMEM;
		j->records = r;
		j->room = room;
	}
	copy = malloc((size_t)length + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, payload, length);
	copy[length] = '\0';
	r = &j->records[j->count++];
	*r = (struct journal_record){.type = type, .length = length, .payload = copy};
	text_copy(r->txn, sizeof(r->txn), j->txn);
	return 0;
}

static int no_memory(struct err *e)
{
	return err_set(e, E_MEMORY, ENOMEM, "no memory for the journal");
}

/* ---- reading ---- */

static uint32_t crc_of(const char *record, size_t length)
{
	return crc32c(0, record, sizeof(struct head) + length + 1);
}

/* the whole record at 'at' of 'left' bytes: its size, 0 when there is none */
static size_t whole_record(const char *at, size_t left, struct head *h)
{
	uint32_t crc;

	if (left < sizeof(*h) + TAIL)
		return 0;
	memcpy(h, at, sizeof(*h));
	h->version = le16toh(h->version);
	h->type = le16toh(h->type);
	h->length = le32toh(h->length);
	if (le32toh(h->magic) != MAGIC || !h->version || h->length > PAYLOAD_MAX ||
	    h->length > left - sizeof(*h) - TAIL)
		return 0;
	memcpy(&crc, at + sizeof(*h) + h->length + 1, sizeof(crc));
	if (le32toh(crc) != crc_of(at, h->length) || at[sizeof(*h) + h->length] != '\0')
		return 0;
	return sizeof(*h) + h->length + TAIL;
}

/* records behind a damaged one: not a torn tail, and not ours to throw away */
static bool more_behind(const char *at, size_t left)
{
	struct head h;

	for (size_t i = 1; i < left; i++)
		if (at[i] == (char)(MAGIC & 0xff) && whole_record(at + i, left - i, &h))
			return true;
	return false;
}

/* of a type that this version knows, and part of the transaction that is open */
static bool belongs(const struct journal *j, const struct head *h)
{
	if (h->type == JOURNAL_BEGIN)
		return true;
	return h->type <= JOURNAL_VARIABLES && j->open && memcmp(h->txn, j->txn, TXN_LEN) == 0;
}

static int take_record(struct journal *j, const struct head *h, const char *payload)
{
	if (h->type == JOURNAL_BEGIN) {
		drop_records(j);
		memcpy(j->txn, h->txn, TXN_LEN);
	}
	j->open = h->type != JOURNAL_DONE;
	if (!j->open) {
		drop_records(j);
		return 0;
	}
	return keep_record(j, h->type, payload, h->length);
}

static int newer(struct err *e)
{
	int rc =
		err_set(e, E_JOURNAL, ENOTSUP, "it was written by a newer version of this program");

	err_fix(e,
		"let the newer version end what it began (swctl recover), or give that up: swctl "
		"recover --forget");
	return rc;
}

static int damaged(uint64_t at, const char *how, struct err *e)
{
	int rc = err_set(e, E_JOURNAL, EBADMSG, "the record at byte %llu %s",
			 (unsigned long long)at, how);

	err_fix(e,
		"what was interrupted cannot be undone: look at the files that were to be changed, "
		"then put the journal aside with swctl recover --forget");
	return rc;
}

/* one file holds one transaction: whatever lies before it, DONE at the end says that nothing is
 * left */
static bool ends_done(const char *text, size_t n)
{
	struct head h, last = {0};

	for (size_t i = 0, size; i < n; i += size ? size : 1) {
		size = text[i] == (char)(MAGIC & 0xff) ? whole_record(text + i, n - i, &h) : 0;
		if (size)
			last = h;
	}
	return last.type == JOURNAL_DONE;
}

static int parse_records(struct journal *j, const char *text, size_t n, struct err *e)
{
	struct head h;
	size_t size;

	while ((size = whole_record(text + j->end, n - j->end, &h)) > 0) {
		if (h.version > VERSION)
			return newer(e);
		if (!belongs(j, &h))
			return damaged(j->end, "is not of its transaction", e);
		if (take_record(j, &h, text + j->end + sizeof(h)) < 0)
			return no_memory(e);
		j->end += size;
	}
	if (more_behind(text + j->end, n - j->end))
		return damaged(j->end, "is damaged and others follow it", e);
	return 0;
}

/* after a return to an older release its program finds what a newer one ended: that is no hindrance
 */
static int parse(struct journal *j, const char *text, size_t n, struct err *e)
{
	int rc = parse_records(j, text, n, e);

	if (rc == 0 || e->code != E_JOURNAL || !ends_done(text, n))
		return rc;
	err_clear(e);
	drop_records(j);
	j->open = false;
	j->end = n; /* emptied when the next transaction begins */
	return 0;
}

static int cut_tail(struct journal *j, struct err *e)
{
	int rc = sys_ftruncate(j->fd, j->end);

	if (rc == 0)
		rc = sys_fdatasync(j->fd);
	return rc < 0 ? err_sys(e, E_JOURNAL, -rc, "cutting off a torn record") : 0;
}

/* by the descriptor that is written to later, never by the name again (L2) */
static int read_whole(int fd, char **text, size_t *n)
{
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > JOURNAL_MAX)
		return -EFBIG;
	*text = malloc((size_t)st.st_size + 1);
	if (!*text)
		return -ENOMEM;
	got = sys_pread(fd, *text, (size_t)st.st_size, 0);
	*n = got < 0 ? 0 : (size_t)got;
	return got < 0 ? (int)got : 0;
}

static int read_in(struct journal *j, size_t *n, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int rc = read_whole(j->fd, &text, n);

	if (rc < 0)
		return err_sys(e, rc == -ENOMEM ? E_MEMORY : E_JOURNAL, -rc, "reading it");
	return parse(j, text, *n, e);
}

static int load(struct journal *j, int dirfd, struct err *e)
{
	size_t n = 0;
	int rc;

	j->fd = statedir_file(dirfd, JOURNAL_NAME, E_JOURNAL, e);
	if (j->fd < 0)
		return j->fd;
	rc = sys_fsync(dirfd);
	if (rc < 0)
		return err_sys(e, E_JOURNAL, -rc, "flushing its folder");
	rc = read_in(j, &n, e);
	return rc == 0 && j->end < n ? cut_tail(j, e) : rc;
}

/* ---- what it says where it cannot be written ---- */

static int look(const char *state_dir, struct journal *j, struct err *e)
{
	AUTO_CLOSE int dirfd = sys_openat(AT_FDCWD, state_dir, O_PATH | O_DIRECTORY, 0);
	struct stat st;
	size_t n = 0;

	j->fd = dirfd < 0 ? dirfd
			  : sys_openat(dirfd, JOURNAL_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (j->fd == -ENOENT)
		return 0;
	if (j->fd < 0 || fstat(j->fd, &st) < 0)
		return err_sys(e, E_JOURNAL, j->fd < 0 ? -j->fd : errno, "opening it");
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_JOURNAL, EINVAL, "it is not a plain file");
	return read_in(j, &n, e);
}

int journal_is_settled(const char *state_dir, struct err *e)
{
	struct journal *j = state_dir ? calloc(1, sizeof(*j)) : NULL;
	int rc;

	if (!state_dir)
		return 1;
	if (!j)
		return no_memory(e);
	rc = look(state_dir, j, e);
	if (rc == 0)
		rc = !j->open;
	journal_close(j);
	err_at(e, rc, "%s/" JOURNAL_NAME, state_dir);
	return err_while(e, rc, "looking into the journal");
}

int journal_put_aside(const char *state_dir, struct err *e)
{
	AUTO_CLOSE int dirfd = statedir_open(state_dir, e);
	int rc;

	if (dirfd < 0)
		return dirfd;
	rc = sys_renameat(dirfd, JOURNAL_NAME, dirfd, JOURNAL_ASIDE, 0);
	if (rc == 0)
		rc = sys_fsync(dirfd);
	return rc < 0 ? err_sys(e, E_JOURNAL, -rc, "renaming it") : 0;
}

int journal_open(struct journal **out, const char *state_dir, struct err *e)
{
	AUTO_CLOSE int dirfd = statedir_open(state_dir, e);
	struct journal *j;

	*out = NULL;
	if (dirfd < 0)
		return err_while(e, dirfd, "opening the journal");
	j = calloc(1, sizeof(*j));
	if (!j)
		return no_memory(e);
	j->fd = -1;
	int rc = load(j, dirfd, e);
	if (rc < 0) {
		journal_close(j);
		err_at(e, rc, "%s/" JOURNAL_NAME, state_dir);
		return err_while(e, rc, "opening the journal");
	}
	*out = j;
	return 0;
}

struct journal *journal_close(struct journal *j)
{
	if (j) {
		drop_records(j);
		free(j->records);
		sys_close(&j->fd);
		free(j);
	}
	return NULL;
}

const struct journal_record *journal_at(const struct journal *j, size_t i)
{
	return j->open && i < j->count ? &j->records[i] : NULL;
}

/* ---- writing ---- */

static char *make_record(const struct journal *j, enum journal_type type, const char *payload,
			 uint32_t length)
{
	struct head h = {.magic = htole32(MAGIC),
			 .version = htole16(type > JOURNAL_DONE ? VERSION : 1),
			 .type = htole16((uint16_t)type),
			 .length = htole32(length)};
	char *r = malloc(sizeof(h) + length + TAIL);
	uint32_t crc;

	if (!r)
		return NULL;
	memcpy(h.txn, j->txn, TXN_LEN);
	memcpy(r, &h, sizeof(h));
	memcpy(r + sizeof(h), payload, length);
	r[sizeof(h) + length] = '\0';
	crc = htole32(crc_of(r, length));
	memcpy(r + sizeof(h) + length + 1, &crc, sizeof(crc));
	return r;
}

/* a failed write leaves no half record behind that would hide later ones */
static int write_record(struct journal *j, const char *record, size_t n)
{
	int rc = sys_pwrite(j->fd, record, n, j->end);

	if (rc < 0) {
		j->broken = sys_ftruncate(j->fd, j->end) < 0;
		return rc;
	}
	rc = sys_fdatasync(j->fd);
	if (rc < 0)
		j->broken = true; /* the kernel forgets what it could not write */
	else
		j->end += n;
	return rc;
}

static int append(struct journal *j, enum journal_type type, const char *payload, struct err *e)
{
	size_t length = strlen(payload);
	AUTO_FREE char *record = NULL;

	if (j->broken)
		return err_set(e, E_JOURNAL, EIO, "an earlier record could not be written");
	if (length > PAYLOAD_MAX)
		return err_set(e, E_JOURNAL, E2BIG, "a record of %zu bytes is too large", length);
	record = make_record(j, type, payload, (uint32_t)length);
	if (!record || keep_record(j, type, payload, (uint32_t)length) < 0)
		return no_memory(e);
	int rc = write_record(j, record, sizeof(struct head) + length + TAIL);
	if (rc == 0)
		return 0;
	free((char *)j->records[--j->count].payload);
	return err_sys(e, E_JOURNAL, -rc, "writing a record of %zu bytes", length);
}

/* durable before anything is written: else a cut may leave the new first record before old ones */
static int start_anew(struct journal *j)
{
	int rc = j->end ? sys_ftruncate(j->fd, 0) : 0;

	if (rc == 0 && j->end)
		rc = sys_fdatasync(j->fd);
	if (rc == 0) {
		j->end = 0;
		drop_records(j);
	}
	return rc;
}

int journal_begin(struct journal *j, const char *version, char txn[17], struct err *e)
{
	uint8_t random[TXN_LEN / 2];

	*txn = '\0';
	if (j->open)
		return err_set(e, E_JOURNAL, EBUSY,
			       "an interrupted installation is not tidied up yet (swctl recover)");
	int rc = sys_random(random, sizeof(random));
	if (rc < 0)
		return err_sys(e, E_JOURNAL, -rc, "making a transaction number");
	rc = start_anew(j);
	if (rc < 0)
		return err_sys(e, E_JOURNAL, -rc, "emptying the journal");
	text_hex(random, sizeof(random), j->txn);
	rc = append(j, JOURNAL_BEGIN, version ? version : "", e);
	if (rc < 0)
		return rc;
	j->open = true;
	return text_copy(txn, TXN_LEN + 1, j->txn);
}

int journal_add(struct journal *j, enum journal_type type, const char *payload, struct err *e)
{
	if (!j->open)
		return err_set(e, E_INTERNAL, EINVAL, "a journal record outside of a transaction");
	return append(j, type, payload, e);
}

bool journal_is_broken(const struct journal *j)
{
	return j->broken;
}

/* on a full disk emptying the file says the same and needs no space */
int journal_finish(struct journal *j, struct err *e)
{
	struct err full = {0};

	if (!j->open)
		return 0;
	int rc = append(j, JOURNAL_DONE, "", &full);
	if (rc < 0 && !j->broken) {
		rc = start_anew(j);
		if (rc < 0)
			j->broken = true;
	}
	if (rc < 0) {
		if (full.code)
			*e = full;
		return rc;
	}
	drop_records(j);
	j->open = false;
	return 0;
}
