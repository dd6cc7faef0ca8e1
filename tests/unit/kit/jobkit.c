#include "tests/unit/kit/jobkit.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/marks.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/log.h"
#include "corelib/sign/sig.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/make_bundle.h"

#define NEED(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "jobkit: %s failed, line %d: %s\n", #x, __LINE__, k_why);  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static const char *k_why = "";

static void write_text(const char *path, const char *text)
{
	envkit_write_file(path, text, strlen(text));
	NEED(chmod(path, 0600) == 0);
}

static void make_key(struct jobkit *k)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *b = BIO_new(BIO_s_mem()), *pub = BIO_new(BIO_s_mem());
	char path[128], text[1024] = "";
	long n;
	char *p;

	NEED(key && b && pub);
	NEED(PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1);
	NEED(PEM_write_bio_PUBKEY(pub, key) == 1);
	n = BIO_get_mem_data(b, &p);
	k->key_pem = strndup(p, (size_t)n);
	n = BIO_get_mem_data(pub, &p);
	NEED(n > 0 && (size_t)n < sizeof(text));
	memcpy(text, p, (size_t)n);
	snprintf(path, sizeof(path), "%s/key.pem", k->dir);
	write_text(path, text);
	BIO_free(b);
	BIO_free(pub);
	EVP_PKEY_free(key);
}

static void fill_slot(const char *path, char with)
{
	char *old = malloc(JOBKIT_SLOT);

	NEED(old);
	memset(old, with, JOBKIT_SLOT);
	envkit_write_file(path, old, JOBKIT_SLOT);
	free(old);
}

static void make_env(struct jobkit *k, const char *bootloader)
{
	char block[1025] = "# GRUB Environment Block\nboot_slot=a\n";

	if (strcmp(bootloader, "grub") != 0) {
		write_text(k->env, "boot_slot=a\n");
		return;
	}
	memset(block + strlen(block), '#', 1024 - strlen(block));
	envkit_write_file(k->env, block, 1024);
}

void jobkit_configure(struct jobkit *k)
{
	char text[4096], env[2][64] = {"", ""};

	/* without a boot loader nothing reads what slots have in env */
	for (size_t i = 0; i < 2 && !strstr(k->globals, "\"none\""); i++)
		snprintf(env[i], sizeof(env[i]), "env = { boot_slot = \"%c\"; };", "ab"[i]);
	settings_free(k->cfg);
	job_free(k->job);
	snprintf(text, sizeof(text),
		 "globals : {\n"
		 "public-key-file = \"%s/key.pem\";\nstate-dir = \"%s\";\n%s\n"
		 "slots = ( { name = \"a\"; rootfs = \"%s\"; %s },\n"
		 "          { name = \"b\"; rootfs = \"%s\"; %s } );\n};\n",
		 k->dir, k->state, k->globals, k->slot[0], env[0], k->slot[1], env[1]);
	err_clear(&k->e);
	k_why = k->e.why;
	NEED(settings_new(&k->cfg, &k->e) == 0);
	NEED(settings_parse(k->cfg, text, strlen(text), NULL, NULL, &k->e) == 0);
	NEED(job_new(&k->job, k->cfg, &k->e) == 0);
}

void jobkit_make(struct jobkit *k, const char *bootloader)
{
	const struct log_config quiet = {.level = LOG_LEVEL_ERROR, .fd = 2};

	memset(k, 0, sizeof(*k));
	log_init(&quiet);
	/* memory where it can be had: a thousand installs sync often */
	snprintf(k->dir, sizeof(k->dir), "%s/swinstall-jobkit-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	NEED(mkdtemp(k->dir));
	snprintf(k->slot[0], sizeof(k->slot[0]), "%s/slot-a", k->dir);
	snprintf(k->slot[1], sizeof(k->slot[1]), "%s/slot-b", k->dir);
	snprintf(k->env, sizeof(k->env), "%s/env/bootenv", k->dir);
	snprintf(k->bundle, sizeof(k->bundle), "%s/bundle.swu", k->dir);
	snprintf(k->state, sizeof(k->state), "%s/state", k->dir);
	snprintf(k->app, sizeof(k->app), "%s/app", k->dir);
	NEED(mkdir(k->state, 0700) == 0 && mkdir(k->app, 0755) == 0);
	snprintf(k->globals, sizeof(k->globals), "%s/env", k->dir);
	NEED(mkdir(k->globals, 0755) == 0);
	snprintf(k->globals, sizeof(k->globals), "bootloader = \"%s\"; bootenv-path = \"%s\";",
		 bootloader, k->env);
	fill_slot(k->slot[0], 'a');
	fill_slot(k->slot[1], 'o');
	make_env(k, bootloader);
	make_key(k);
	jobkit_configure(k);
}

void jobkit_remove(struct jobkit *k)
{
	job_free(k->job);
	settings_free(k->cfg);
	free(k->key_pem);
	envkit_remove_tree(k->dir);
}

/* ---- bundles ---- */

static void replace(char **text, const char *what, const char *with)
{
	char *at, *fresh;

	while ((at = strstr(*text, what))) {
		fresh = NULL;
		NEED(asprintf(&fresh, "%.*s%s%s", (int)(at - *text), *text, with,
			      at + strlen(what)) >= 0);
		free(*text);
		*text = fresh;
	}
}

char *jobkit_filled(const struct jobkit *k, const char *with_names)
{
	char *text = strdup(with_names);

	replace(&text, "%DIR%", k->dir);
	return text;
}

static char *fill_in(const struct jobkit *k, const char *description,
		     const struct jobkit_part *parts, size_t count)
{
	char *text = jobkit_filled(k, description);

	for (size_t i = 0; i < count; i++) {
		char name[300], hex[65];
		uint8_t sum[32];
		struct err e = {0};

		NEED(sha256_once(parts[i].data, parts[i].n, sum, &e) == 0);
		text_hex(sum, sizeof(sum), hex);
		snprintf(name, sizeof(name), "@%s@", parts[i].name);
		replace(&text, name, hex);
	}
	return text;
}

void jobkit_bundle(struct jobkit *k, const char *description, const struct jobkit_part *parts,
		   size_t count)
{
	char *text = fill_in(k, description, parts, count);
	const struct sig_signer signer = {.key_pem = k->key_pem};
	struct make_bundle b = {.newc = true}; /* no checksum finds what the hash has to find */
	uint8_t *sig = NULL;
	size_t n = 0;

	err_clear(&k->e);
	NEED(sig_sign(&signer, text, strlen(text), &sig, &n, &k->e) == 0);
	make_bundle_add(&b, "sw-description", text, strlen(text));
	if (!k->no_signature)
		make_bundle_add(&b, "sw-description.sig", sig, k->empty_signature ? 0 : n);
	for (size_t i = 0; i < count; i++)
		make_bundle_add(&b, parts[i].name, parts[i].data, parts[i].n);
	make_bundle_trailer(&b);
	envkit_write_file(k->bundle, b.bytes, b.n);
	make_bundle_free(&b);
	free(sig);
	free(text);
}

void jobkit_flip(const struct jobkit *k, size_t at)
{
	size_t n;
	char *bytes = envkit_read_file(k->bundle, &n);

	NEED(at < n);
	bytes[at] ^= 1;
	envkit_write_file(k->bundle, bytes, n);
	free(bytes);
}

size_t jobkit_find(const struct jobkit *k, const char *text)
{
	size_t n;
	char *bytes = envkit_read_file(k->bundle, &n);
	char *at = memmem(bytes, n, text, strlen(text));
	size_t where = at ? (size_t)(at - bytes) : 0;

	free(bytes);
	NEED(where);
	return where;
}

void jobkit_cut(const struct jobkit *k, size_t size)
{
	NEED(truncate(k->bundle, (off_t)size) == 0);
}

/* ---- jobs ---- */

static void keep_notes(struct jobkit *k)
{
	uint64_t cursor = 0, lost;
	struct event ev;

	k->notes[0] = '\0';
	while (progress_get(job_progress(k->job), &cursor, &ev, &lost) > 0)
		if (ev.type == EVENT_LOG && ev.level == LOG_LEVEL_WARN &&
		    strlen(k->notes) + strlen(ev.text) + 2 < sizeof(k->notes))
			strcat(strcat(k->notes, ev.text), "\n");
}

static int submit(struct jobkit *k, int fd, enum job_mode mode)
{
	const struct job_request r = {.fd = fd, .name = "bundle.swu", .mode = mode};
	int rc;

	err_clear(&k->e);
	rc = job_submit(k->job, &r, &k->e);
	keep_notes(k);
	return rc;
}

int jobkit_install(struct jobkit *k, enum job_mode mode)
{
	int fd = open(k->bundle, O_RDONLY | O_CLOEXEC), rc;

	NEED(fd >= 0);
	rc = submit(k, fd, mode);
	close(fd);
	return rc;
}

struct feeding {
	int fd;
	char *bytes;
	size_t n;
	int (*feeder)(int fd, const uint8_t *bytes, size_t n);
};

static void *feed(void *arg)
{
	struct feeding *f = arg;

	if (f->feeder)
		f->feeder(f->fd, (uint8_t *)f->bytes, f->n);
	else
		for (size_t at = 0; at < f->n;) {
			ssize_t n =
				write(f->fd, f->bytes + at, f->n - at > 4099 ? 4099 : f->n - at);

			if (n <= 0)
				break;
			at += (size_t)n;
		}
	close(f->fd);
	return NULL;
}

int jobkit_install_pipe(struct jobkit *k, enum job_mode mode)
{
	struct feeding f = {.feeder = k->feeder};
	pthread_t thread;
	sigset_t pipe_signal;
	int fds[2], rc;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
	NEED(pipe2(fds, O_CLOEXEC) == 0);
	f.fd = fds[1];
	f.bytes = envkit_read_file(k->bundle, &f.n);
	NEED(pthread_create(&thread, NULL, feed, &f) == 0);
	rc = submit(k, fds[0], mode);
	close(fds[0]);
	pthread_join(thread, NULL);
	free(f.bytes);
	return rc;
}

/* ---- looking ---- */

const char *jobkit_var(struct jobkit *k, const char *name)
{
	static char text[1024];
	struct bootenv *env = NULL;
	struct err e = {0};
	char *value = NULL;

	text[0] = '\0';
	NEED(marks_env(k->cfg, &env, &e) == 0);
	if (bootenv_get(env, name, &value, &e) > 0)
		snprintf(text, sizeof(text), "%s", value);
	free(value);
	bootenv_close(env);
	return text;
}

bool jobkit_holds(const char *path, const void *data, size_t n)
{
	size_t size;
	char *bytes = envkit_read_file(path, &size);
	bool same = bytes && size >= n && memcmp(bytes, data, n) == 0;

	free(bytes);
	return same;
}

char *jobkit_text(const char *path)
{
	size_t n;

	return access(path, R_OK) == 0 ? envkit_read_file(path, &n) : NULL;
}

static unsigned strangers(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *f;
	unsigned n = 0;

	while (d && (f = readdir(d))) {
		if (strncmp(f->d_name, ".swinstall", 10) != 0 && !strstr(f->d_name, ".tmp") &&
		    !strstr(f->d_name, ".new"))
			continue;
		fprintf(stderr, "left over: %s/%s\n", folder, f->d_name);
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

unsigned jobkit_leftovers(const struct jobkit *k)
{
	char env[128];

	snprintf(env, sizeof(env), "%s/env", k->dir);
	return strangers(k->dir) + strangers(k->app) + strangers(k->state) + strangers(env);
}

static uint32_t sum_file(uint32_t sum, const char *path)
{
	size_t n;
	char *bytes = access(path, R_OK) == 0 ? envkit_read_file(path, &n) : NULL;

	if (bytes)
		sum = crc32c(sum, bytes, n);
	free(bytes);
	return sum;
}

uint32_t jobkit_sum(const struct jobkit *k)
{
	uint32_t sum = sum_file(sum_file(sum_file(0, k->slot[0]), k->slot[1]), k->env);
	struct dirent **names;
	int n = scandir(k->app, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", k->app, names[i]->d_name);
		if (names[i]->d_type == DT_REG)
			sum = sum_file(crc32c(sum, names[i]->d_name, strlen(names[i]->d_name)),
				       path);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return sum;
}
