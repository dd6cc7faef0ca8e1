/* The keys of the groups that parts with doors read. */
#include "parser/settings_draft.h"

enum { ALWAYS = 1 };

/* a row is read as a row */
/* clang-format off */
#define ROW(key, kind, of, field, text) \
	{ .name = key, .type = kind, .where = ALWAYS, .code = E_CONFIG, .at = offsetof(of, field), .help = text }
#define FLAG(key, kind, of, field, text) \
	{ .name = key, .type = kind, .where = ALWAYS, .code = E_CONFIG, .at = offsetof(of, field), \
	  .has = offsetof(of, has_##field), .help = text }
#define TABLE(group, title) \
	const struct schema settings_##group = { .name = title, .rows = group, .count = ARRAY_SIZE(group), \
						 .where = ALWAYS, .unknown = E_CONFIG }

#define CHANNEL_ROWS(of) \
	ROW("retry", ATTR_INT, of, channel.retry, "attempts of a download"), \
	ROW("max-download-speed", ATTR_SIZE, of, channel.max_download_speed, "bytes in a second"), \
	ROW("retrywait", ATTR_INT, of, channel.retrywait, "seconds between attempts"), \
	ROW("nocheckcert", ATTR_SWITCH, of, channel.nocheckcert, "do not check the server's certificate"), \
	ROW("cafile", ATTR_STRING, of, channel.cafile, "authorities for the server's certificate"), \
	ROW("sslkey", ATTR_STRING, of, channel.sslkey, "client key, a file or pkcs11: URI"), \
	ROW("sslkeypassword", ATTR_STRING, of, channel.sslkeypassword, "password of the client key"), \
	ROW("ciphers", ATTR_STRING, of, channel.ciphers, "ciphers for TLS"), \
	ROW("sslcert", ATTR_STRING, of, channel.sslcert, "client certificate, a file or pkcs11: URI"), \
	ROW("proxy", ATTR_STRING, of, channel.proxy, "address of the proxy"), \
	ROW("interface", ATTR_STRING, of, channel.interface, "network interface to use"), \
	ROW("api_key_header", ATTR_STRING, of, channel.api_key_header, "name of the header with the API key"), \
	ROW("api_key", ATTR_STRING, of, channel.api_key, "the API key")

#define AS_ROWS(of) \
	{ .name = "userid", .type = ATTR_INT, .where = ALWAYS, .code = E_CONFIG, .at = offsetof(of, as.userid), \
	  .has = offsetof(of, as.has_userid), .help = "user that the part runs as" }, \
	{ .name = "groupid", .type = ATTR_INT, .where = ALWAYS, .code = E_CONFIG, .at = offsetof(of, as.groupid), \
	  .has = offsetof(of, as.has_groupid), .help = "group that the part runs as" }, \
	ROW("user", ATTR_STRING, of, as.user, "user that the part runs as, by name"), \
	ROW("group", ATTR_STRING, of, as.group, "group that the part runs as, by name")

#define S struct suricatta_settings
static const struct attr suricatta[] = {
	FLAG("enable", ATTR_SWITCH, S, enable, "ask the server for updates"),
	ROW("server", ATTR_STRING, S, server, "hawkbit, general or lua"),
	ROW("tenant", ATTR_STRING, S, tenant, "tenant of the device"),
	ROW("id", ATTR_STRING, S, id, "name of the device at the server"),
	ROW("url", ATTR_STRING, S, url, "address of the server"),
	ROW("polldelay", ATTR_INT, S, polldelay, "seconds between questions"),
	ROW("initial-report-resend-period", ATTR_INT, S, resend_period,
	    "seconds between attempts to report the first state"),
	ROW("usetokentodwl", ATTR_SWITCH, S, usetokentodwl, "send the token when downloading"),
	ROW("connection-timeout", ATTR_INT, S, connection_timeout, "seconds to wait for the server"),
	ROW("targettoken", ATTR_STRING, S, targettoken, "token of the device"),
	ROW("gatewaytoken", ATTR_STRING, S, gatewaytoken, "token of the gateway"),
	ROW("loglevel", ATTR_INT, S, loglevel, "1 errors to 5 all, of this part"),
	FLAG("confirm", ATTR_INT, S, confirm, "state of the last update that is reported at the start"),
	ROW("max_artifacts", ATTR_SIZE, S, max_artifacts, "most artifacts of one deployment"),
	CHANNEL_ROWS(S),
	AS_ROWS(S),
};
TABLE(suricatta, "suricatta");
const struct schema settings_hawkbit = {
	.name = "hawkbit", .rows = suricatta, .count = ARRAY_SIZE(suricatta), .where = ALWAYS,
	.unknown = E_CONFIG,
};
#undef S

#define S struct gservice_settings
static const struct attr gservice[] = {
	ROW("url", ATTR_STRING, S, url, "address of the server"),
	ROW("logurl", ATTR_STRING, S, logurl, "address that results are sent to"),
	ROW("polldelay", ATTR_INT, S, polldelay, "seconds between questions"),
	ROW("logevent", ATTR_LIST, S, logevent, "which events are sent, and how: groups of event and format"),
	CHANNEL_ROWS(S),
};
TABLE(gservice, "gservice");
#undef S

#define S struct download_settings
static const struct attr download[] = {
	ROW("url", ATTR_STRING, S, url, "address of the bundle"),
	ROW("authentication", ATTR_STRING, S, authentication, "user:password"),
	ROW("retries", ATTR_INT, S, retries, "attempts of the download"),
	ROW("timeout", ATTR_INT, S, timeout, "seconds without data"),
	CHANNEL_ROWS(S),
	AS_ROWS(S),
};
TABLE(download, "download");
#undef S

#define S struct delta_settings
static const struct attr delta[] = {
	ROW("targettoken", ATTR_STRING, S, targettoken, "token of the device"),
	ROW("gatewaytoken", ATTR_STRING, S, gatewaytoken, "token of the gateway"),
	CHANNEL_ROWS(S),
};
TABLE(delta, "delta");
#undef S

#define S struct webserver_settings
static const struct attr webserver[] = {
	ROW("document_root", ATTR_STRING, S, document_root, "folder of the web page"),
	ROW("enable_directory_listing", ATTR_SWITCH, S, directory_listing, "list folders"),
	ROW("listening_ports", ATTR_STRING, S, listening_ports, "ports of the web server"),
	ROW("port", ATTR_SIZE, S, port, "port of the web server, as a number"),
	ROW("ssl_certificate", ATTR_STRING, S, ssl_certificate, "certificate of the web server"),
	ROW("ssl_certificate_key", ATTR_STRING, S, ssl_certificate_key, "key of the web server"),
	ROW("global-auth-file", ATTR_STRING, S, auth_file, "users and passwords"),
	ROW("auth-domain", ATTR_STRING, S, auth_domain, "realm of the passwords"),
	FLAG("run-postupdate", ATTR_SWITCH, S, run_postupdate, "run postupdatecmd after an upload"),
	ROW("timeout", ATTR_INT, S, timeout, "seconds without data"),
	AS_ROWS(S),
};
TABLE(webserver, "webserver");
#undef S

#define S struct color_settings
static const struct attr logcolors[] = {
	ROW("error", ATTR_STRING, S, error, "COLOR or COLOR:ATTRIBUTE of errors"),
	ROW("warning", ATTR_STRING, S, warning, "of warnings"),
	ROW("info", ATTR_STRING, S, info, "of information"),
	ROW("debug", ATTR_STRING, S, debug, "of details"),
	ROW("trace", ATTR_STRING, S, trace, "of all the rest"),
};
TABLE(logcolors, "logcolors");
#undef S

#define S struct named_value
static const struct attr identify[] = {
	ROW("name", ATTR_STRING, S, name, "its name"),
	ROW("value", ATTR_STRING, S, value, "its value"),
};
TABLE(identify, "identify");
const struct schema settings_headers = {
	.name = "custom-http-headers", .rows = identify, .count = ARRAY_SIZE(identify),
	.where = ALWAYS, .unknown = E_CONFIG,
};
#undef S

#define S struct process_setting
static const struct attr processes[] = {
	ROW("name", ATTR_STRING, S, name, "its name"),
	ROW("exec", ATTR_STRING, S, exec, "program to start"),
};
TABLE(processes, "processes");

/* of the group that bears the name of a process */
static const struct attr process[] = { AS_ROWS(S) };
TABLE(process, "process");
#undef S
/* clang-format on */
