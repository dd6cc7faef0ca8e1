#include "core/state/pending.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define NOTE	"switched"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* one line: boot id, transaction, name of the slot */
struct note {
	char boot[64], txn[17], slot[128];
};

static int read_boot_id(char *id, size_t n)
{
	AUTO_FREE char *text = NULL;
	char path[512];
	int rc = sys_path(BOOT_ID, path, sizeof(path));

	if (rc == 0)
		rc = sys_read_file(AT_FDCWD, path, n, &text, NULL);
	if (rc < 0)
		return rc;
	text[strcspn(text, " \n")] = '\0';
	return *text ? text_copy(id, n, text) : -ENODATA;
}

static bool read_note(const char *folder, struct note *out)
{
	AUTO_FREE char *text = NULL;
	char path[4096], *rest, *boot, *txn;

	if (!folder || text_print(path, sizeof(path), "%s/" NOTE, folder) < 0 ||
	    sys_read_file(AT_FDCWD, path, 1024, &text, NULL) < 0)
		return false;
	rest = text;
	boot = strsep(&rest, " ");
	txn = strsep(&rest, " ");
	if (!txn || !rest)
		return false;
	rest[strcspn(rest, "\n")] = '\0';
	return text_copy(out->boot, sizeof(out->boot), boot) == 0 &&
	       text_copy(out->txn, sizeof(out->txn), txn) == 0 &&
	       text_copy(out->slot, sizeof(out->slot), rest) == 0;
}

static int write_note(const char *folder, const struct note *n)
{
	char path[4096], text[256];

	if (!folder || text_print(path, sizeof(path), "%s/" NOTE, folder) < 0 ||
	    text_print(text, sizeof(text), "%s %s %s\n", n->boot, n->txn, n->slot) < 0)
		return -EINVAL;
	return sys_replace_file(path, text, strlen(text), 0644);
}

int pending_note(const char *folder, const char *slot, const char *txn, struct err *e)
{
	struct note n = {.boot = ""};
	int rc = read_boot_id(n.boot, sizeof(n.boot));

	if (rc < 0)
		return err_sys(e, E_SYS, -rc, "reading " BOOT_ID);
	if (text_copy(n.txn, sizeof(n.txn), txn) < 0 || text_copy(n.slot, sizeof(n.slot), slot) < 0)
		return err_set(e, E_SLOT, ENAMETOOLONG, "the name of slot '%s' is too long", slot);
	rc = write_note(folder, &n);
	return rc < 0 ? err_sys(e, E_STATE_DIR, -rc, "noting that slot '%s' boots next", slot) : 0;
}

int pending_forget(const struct settings *cfg, const char *txn)
{
	const char *const folders[] = {cfg->state_dir, cfg->run_dir};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct note n;
		char path[4096];

		if (!read_note(folders[i], &n) || strcmp(n.txn, txn) != 0 ||
		    text_print(path, sizeof(path), "%s/" NOTE, folders[i]) < 0)
			continue;
		int one = sys_unlinkat(AT_FDCWD, path, 0);
		rc = one < 0 ? one : rc;
	}
	return rc;
}

bool pending_find(const struct settings *cfg, char *slot, size_t n)
{
	const char *const folders[] = {cfg->state_dir, cfg->run_dir};
	char boot[64];

	if (read_boot_id(boot, sizeof(boot)) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct note found;

		if (read_note(folders[i], &found) && strcmp(found.boot, boot) == 0)
			return text_copy(slot, n, found.slot) == 0;
	}
	return false;
}
