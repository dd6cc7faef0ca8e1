/*
 * Groups of the configuration that are for the parts with doors: clients of servers, downloads, the
 * web page. Typed here, for whichever part reads them; a mistake in them is told and changes
 * nothing, because the file belongs to other programs too.
 *
 * Absent: NULL, 0, or the flag 'has'.
 */
#ifndef PARSER_SETTINGS_PARTS_H
#define PARSER_SETTINGS_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/text/node.h"

/* who a part runs as; names go before numbers */
struct run_as {
	int64_t userid, groupid;
	const char *user, *group;
	bool has_userid, has_groupid;
};

/* a connection to a server */
struct channel_settings {
	int64_t retry, retrywait;
	uint64_t max_download_speed;
	const char *cafile, *sslkey, *sslkeypassword, *sslcert, *ciphers;
	const char *proxy, *interface, *api_key_header, *api_key;
	bool nocheckcert;
};

struct suricatta_settings {
	struct channel_settings channel;
	struct run_as as;
	const char *server, *tenant, *id, *url, *targettoken, *gatewaytoken;
	int64_t polldelay, resend_period, connection_timeout, loglevel, confirm;
	uint64_t max_artifacts;
	bool enable, has_enable, has_confirm, usetokentodwl;
};

struct gservice_settings {
	struct channel_settings channel;
	const char *url, *logurl;
	int64_t polldelay;
	const struct node *logevent; /* list {event, format} */
};

struct download_settings {
	struct channel_settings channel;
	struct run_as as;
	const char *url, *authentication;
	int64_t retries, timeout;
};

struct delta_settings {
	struct channel_settings channel;
	const char *targettoken, *gatewaytoken;
};

struct webserver_settings {
	struct run_as as;
	const char *document_root, *listening_ports, *ssl_certificate, *ssl_certificate_key;
	const char *auth_file, *auth_domain;
	uint64_t port;
	int64_t timeout;
	bool directory_listing, run_postupdate, has_run_postupdate;
};

struct color_settings {
	const char *error, *warning, *info, *debug, *trace;
};

struct named_value {
	const char *name, *value;
};

struct process_setting {
	const char *name, *exec;
	struct run_as as; /* of the group that bears its name */
};

struct parts_settings {
	struct suricatta_settings suricatta, hawkbit; /* hawkbit: the same keys, read second */
	struct gservice_settings gservice;
	struct download_settings download;
	struct delta_settings delta;
	struct webserver_settings webserver;
	struct color_settings colors;
	struct named_value *identify, *headers;
	size_t identify_count, header_count;
	struct process_setting *processes;
	size_t process_count;
};

#endif
