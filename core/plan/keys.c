#include "core/plan/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/secret.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/keyfile.h"

enum { KEY_FILE_MAX = 4096 };

/* only root, or we, may change it. Existing devices have key files that everybody can read: that is
 * the caller's to judge */
static int check_owner(int fd, const char *path, bool *readable, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, E_KEY_AES, errno, "looking at the key file %s", path);
	if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & 022))
		return err_set(e, E_KEY_AES, EPERM,
			       "%s must be a file that only its owner, root, "
			       "can change (chmod 600)",
			       path);
	*readable = st.st_mode & 044;
	return 0;
}

static int read_key(struct aes_key *k, const char *path, bool *readable, struct err *e)
{
	/* a FIFO must not make the job wait (L4) */
	AUTO_CLOSE int fd =
		sys_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	ssize_t n;
	int rc;

	if (fd < 0)
		return err_sys(e, E_KEY_AES, -fd, "opening the key file %s", path);
	rc = check_owner(fd, path, readable, e);
	if (rc < 0)
		return rc;
	char *text = secret_new(KEY_FILE_MAX);

	if (!text)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a key");
	n = sys_read(fd, text, KEY_FILE_MAX);
	rc = n < 0 ? err_sys(e, E_KEY_AES, (int)-n, "reading the key file")
		   : keyfile_parse(k, text, (size_t)n, e);
	secret_free(text);
	return err_at(e, rc, "%s", path);
}

/* "aes-cbc" takes whatever the key's length says; "aes-cbc-256" takes only that */
static int check_bits(const struct aes_key *k, const struct cipher_row *row, struct err *e)
{
	if (k->bits == 0)
		return err_set(e, E_KEY_AES, ENOKEY,
			       "the payload is encrypted and no key is known: "
			       "set aes-key-file or use -K");
	if (row->bits && row->bits != k->bits)
		return err_set(e, E_KEY_AES, EINVAL,
			       "the payload is encrypted with %s; the key has %u "
			       "bits",
			       row->name, k->bits);
	return 0;
}

/* A wrong key makes garbage of a payload, and its hash is right all the same: the description says
 * which key it is. The padding of CBC notices most wrong keys when it is too late; nothing else
 * notices any in CTR. */
static int check_key(const struct aes_key *k, const struct settings *cfg, const struct entry *t,
		     struct err *e)
{
	const char *told = entry_property(t, KEY_CHECK);
	uint8_t want[KEY_CHECK_LEN], is[KEY_CHECK_LEN];
	int rc;

	if (!told && (k->cipher != CIPHER_AES_CTR || cfg->allow_unchecked_key))
		return 0;
	if (!told) {
		err_fix(e, "build the bundle by swbundle build -K, which writes it, or set "
			   "allow-unchecked-key in the configuration");
		return err_set(e, E_KEY_AES, ENOKEY,
			       "the payload is encrypted with %s, and the description has no "
			       "'" KEY_CHECK "': a wrong key would not be noticed",
			       entry_cipher(t)->name);
	}
	if (text_unhex(told, strlen(told), want, sizeof(want)) < 0)
		return err_set(e, E_PROPERTY, EINVAL,
			       "'" KEY_CHECK "' must have %d hexadecimal digits",
			       2 * KEY_CHECK_LEN);
	rc = aes_key_check(k, is, e);
	if (rc < 0 || memcmp(is, want, sizeof(is)) == 0)
		return rc;
	err_fix(e, "give the device the key that the bundle was built with, or build the bundle "
		   "with the key of the device");
	return err_set(e, E_KEY_AES, EKEYREJECTED,
		       "the payload was encrypted with another key or initial vector than %s",
		       t->has_aes_key ? "those of its entry" : cfg->aes_key_file);
}

static int fill(struct aes_key *k, bool *readable, const struct settings *cfg,
		const struct entry *t, struct err *e)
{
	const struct cipher_row *row = entry_cipher(t);
	int rc;

	if (!row)
		return err_set(e, E_INTERNAL, EINVAL, "no cipher for an encrypted payload");
	k->cipher = row->cipher;
	if (cfg->aes_key_file) {
		rc = read_key(k, cfg->aes_key_file, readable, e);
		if (rc < 0)
			return rc;
	}
	if (t->has_aes_key) {
		memcpy(k->key, t->aes_key, t->aes_key_len);
		k->bits = t->aes_key_len * 8;
	}
	if (t->has_ivt)
		memcpy(k->iv, t->ivt, sizeof(k->iv));
	rc = check_bits(k, row, e);
	if (rc < 0)
		return rc;
	if (!t->has_ivt && !cfg->aes_key_file)
		return err_set(e, E_KEY_AES, ENOKEY,
			       "the payload is encrypted with a key of its own "
			       "but has no ivt");
	return check_key(k, cfg, t, e);
}

int keys_find(struct aes_key **out, const struct settings *cfg, const struct entry *t,
	      struct err *e)
{
	struct aes_key *k = secret_new(sizeof(*k));
	bool readable = false;
	int rc;

	*out = NULL;
	if (!k)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a key");
	rc = fill(k, &readable, cfg, t, e);
	if (rc == 0 && readable && cfg->strict)
		rc = err_set(e, E_KEY_AES, EPERM, "others than its owner can read %s (chmod 600)",
			     cfg->aes_key_file);
	if (rc < 0) {
		keys_free(k);
		return rc;
	}
	*out = k;
	return readable;
}

void keys_free(struct aes_key *k)
{
	secret_free(k);
}
