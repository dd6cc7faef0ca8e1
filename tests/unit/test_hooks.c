/* Lua code of the description: what it may change, and that nothing it does gets past the rules. */
#include "kit/parse_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hooks.h"
#include "corelib/base/lines.h"
#include "handlers/lua/lua_state.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/fake_host.h"
#include "tests/unit/kit/told.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/jobkit.h"
#include "tests/unit/kit/luajob.h"

#define HASH  "sha256 = \"" H64 "\"; "
#define ENTRY "images = ({ filename = \"a\"; device = \"/dev/x\"; " HASH "hook = \"f\"; });\n"

static const struct manifest_options signed_bundle = {.hash_required = true};

struct run {
	struct parse_manifest p;
	struct hooks *h;
	struct err e;
	struct session session;
	struct told told;
	struct fake_host host;
	int rc;
};

static void apply(struct run *r, const char *lua, const char *body, const struct settings *cfg)
{
	char text[8192];

	memset(r, 0, sizeof(*r));
	fake_host_init(&r->host);
	told_open(&r->told);
	r->session.cfg = cfg;
	r->session.host = &r->host.h;
	r->session.reporter = r->told.reporter;
	snprintf(text, sizeof(text), "embedded-script = \"%s\";\n%s", lua, body);
	r->p = parse_body(text);
	if (r->p.rc < 0)
		fail_msg("%s: %s", text, r->p.err.why);
	r->rc = hooks_open(&r->h, r->p.m, &r->session, &r->e);
	if (r->rc == 0)
		r->rc = hooks_apply(r->h, &r->p.m, &signed_bundle, &r->e);
}

static void done(struct run *r)
{
	hooks_free(r->h);
	manifest_free(r->p.m);
	told_close(&r->told);
}

static const struct settings confined;
static const struct settings full = {.lua_trust = LUA_FULL, .has_lua_trust = true};
static const struct settings theirs = {.compat = true};

/* each attribute: what Lua sets and what the entry says then */
static void a_hook_changes_each_attribute(void **state)
{
	struct run r;
	const struct entry *t;

	(void)state;
	apply(&r,
	      "function f(i) i.device='/dev/y'; i.name='n'; i.version='3'; i.volume='v'; "
	      "i.mtdname='m'; i.path='/p'; i.filesystem='ext4'; i.data='d'; i.type='dummy'; "
	      "i.offset=4096; i.size=12.0; i.compressed='zstd'; i.encrypted=true; "
	      "i.ivt=string.rep('0f',16); i['aes-key']=string.rep('aa',24); "
	      "i.installed_directly=true; i.install_if_different=true; "
	      "i.install_if_higher=true; i.preserve_attributes=true; "
	      "i.properties={one='1', many={'a','b'}, flag=true, n=7}; i.filename='b'; "
	      "i.sha256=string.rep('ab',32); i.postinstall='g'; return true, i end",
	      ENTRY, &confined);
	if (r.rc < 0)
		fail_msg("%s (%s)", r.e.why, r.e.where);
	t = r.p.m->entries;
	assert_string_equal(t->device, "/dev/y");
	assert_string_equal(t->name, "n");
	assert_string_equal(t->version, "3");
	assert_string_equal(t->volume, "v");
	assert_string_equal(t->mtdname, "m");
	assert_string_equal(t->path, "/p");
	assert_string_equal(t->filesystem, "ext4");
	assert_string_equal(t->data, "d");
	assert_string_equal(t->type, "dummy");
	assert_string_equal(t->filename, "b");
	assert_string_equal(t->postinstall, "g");
	assert_true(t->has_offset && t->offset == 4096 && t->has_size && t->size == 12);
	assert_int_equal(t->compressed, CODEC_ZSTD);
	assert_int_equal(t->encrypted, 1);
	assert_true(t->has_ivt && t->ivt[0] == 0x0f && t->aes_key_len == 24);
	assert_true(t->installed_directly && t->install_if_different && t->install_if_higher &&
		    t->preserve_attributes);
	assert_int_equal(t->sha256[31], 0xab);
	assert_string_equal(entry_property(t, "one"), "1");
	assert_string_equal(entry_property(t, "many"), "b");
	assert_string_equal(entry_property(t, "flag"), "true");
	assert_string_equal(entry_property(t, "n"), "7");
	assert_int_equal(t->prop_count, 4);
	done(&r);
}

/* what existing hooks read: keys, types, "" for what is absent */
static void the_table_has_the_documented_keys_and_types(void **state)
{
	struct run r;

	(void)state;
	apply(&r,
	      "function f(i) local t = { name='string', version='string', filename='string', "
	      "volume='string', type='string', device='string', path='string', mtdname='string', "
	      "data='string', filesystem='string', ivt='string', ['aes-key']='string', "
	      "sha256='string', installed_directly='boolean', install_if_different='boolean', "
	      "install_if_higher='boolean', encrypted='boolean', partition='boolean', "
	      "script='boolean', preserve_attributes='boolean', offset='number', size='number', "
	      "checksum='number', skip='number', compressed='boolean', properties='table' } "
	      "for k, v in pairs(t) do assert(type(i[k]) == v, k .. ' ' .. type(i[k])) end "
	      "assert(i.path == '' and i.size == 0 and #i.sha256 == 64 and i.type == 'raw') "
	      "return true, i end",
	      ENTRY, &confined);
	if (r.rc < 0)
		fail_msg("%s (%s)", r.e.why, r.e.where);
	assert_false(r.p.m->entries[0].has_size || r.p.m->entries[0].has_offset);
	assert_false(r.p.m->entries[0].has_ivt || r.p.m->entries[0].has_aes_key);
	assert_string_equal(r.p.m->entries[0].device, "/dev/x");
	assert_int_equal(r.p.m->entries[0].sha256[0], 1);
	done(&r);
}

static void a_table_of_a_few_keys_keeps_the_others(void **state)
{
	struct run r;

	(void)state;
	apply(&r, "function f(i) return true, { device = '/dev/y' } end", ENTRY, &confined);
	assert_int_equal(r.rc, 0);
	assert_string_equal(r.p.m->entries[0].device, "/dev/y");
	assert_string_equal(r.p.m->entries[0].filename, "a");
	assert_true(r.p.m->entries[0].has_sha256);
	done(&r);
}

static void nil_and_skip_leave_the_entry_out(void **state)
{
	static const char *const codes[] = {"function f() return true, nil end",
					    "function f() return true end",
					    "function f(i) i.skip = 1 return true, i end",
					    "function f(i) i.skip = true return true, i end"};
	struct run r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		apply(&r, codes[i], ENTRY "bootenv = ({ name = \"x\"; value = \"1\"; });",
		      &confined);
		assert_int_equal(r.rc, 0);
		assert_int_equal(r.p.m->entry_count, 0);
		done(&r);
	}
	apply(&r, codes[0], ENTRY, &confined);
	assert_int_equal(r.e.code, E_DESC_EMPTY);
	assert_non_null(strstr(r.e.why, "hooks left out"));
	assert_non_null(strstr(err_fix_text(&r.e), "hooks"));
	done(&r);
}

static void a_variable_of_bootenv_has_hooks_too(void **state)
{
	struct run r;

	(void)state;
	apply(&r,
	      "function f(v) assert(v.name == 'x' and v.value == '1') return true, { value = '2' } "
	      "end function g() return true, nil end",
	      "bootenv = ({ name = \"x\"; value = \"1\"; hook = \"f\"; }, "
	      "{ name = \"y\"; value = \"1\"; hook = \"g\"; });",
	      &confined);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.p.m->bootenv_count, 1);
	assert_string_equal(r.p.m->bootenv[0].value, "2");
	done(&r);
}

static void t43_a_hook_gets_nothing_past_the_rules(void **state)
{
	static const struct {
		const char *lua;
		enum errcode code;
	} rows[] = {
		{"function f(i) i.sha256 = '' return true, i end", E_DESC_HASH},
		{"function f(i) i.sha256 = 'zz' return true, i end", E_DESC_HASH},
		{"function f(i) i.sha256 = false return true, i end", E_DESC_HASH},
		{"function f(i) i.sha256 = string.rep('0', 64) return true, i end", E_DESC_HASH},
		{"function f(i) i.filename = '../x' return true, i end", E_DESC_VALUE},
		{"function f(i) i.slot = 'rootfs' return true, i end", E_DESC_VALUE},
		{"function f(i) i.offset = -1 return true, i end", E_DESC_NUMBER},
		{"function f(i) i.offset = 0.5 return true, i end", E_DESC_NUMBER},
		{"function f(i) i.device = {} return true, i end", E_DESC_TYPE},
		{"function f(i) i.compressed = 'rar' return true, i end", E_DESC_VALUE},
		{"function f(i) i.name = string.rep('n', 300) return true, i end", E_DESC_VALUE},
		{"function f(i) i.properties = 5 return true, i end", E_DESC_TYPE},
		{"function f(i) i.device = '/dev/' .. string.char(0) .. 'x' return true, i end",
		 E_LUA},
		{"function f(i) i.device = string.char(255) return true, i end", E_LUA},
		{"function f(i) return true, 5 end", E_LUA},
		{"function f(i) return 1, i end", E_LUA},
		{"function f(i) return false, 'not today' end", E_LUA},
		{"function f(i) end", E_LUA},
		{"function f(i) error('oh no') end", E_LUA},
		{"function f(i) os.execute('touch PWN') end", E_LUA},
		{"function f(i) io.open('PWN', 'w') end", E_LUA},
		{"function g(i) end", E_LUA},
		{"syntax error", E_LUA},
		{"while true do end", E_DEADLINE},
		{"function f(i) while true do pcall(function() while true do end end) end end",
		 E_DEADLINE},
		{"function f(i) local s = 'x' while true do s = s .. s end end", E_LUA},
		{"function f(i) i.data = string.rep('x', 1e9) return true, i end", E_LUA},
	};
	struct run r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct manifest *old;

		apply(&r, rows[i].lua, ENTRY, &confined);
		old = r.p.m;
		if (r.rc >= 0 || r.e.code != rows[i].code)
			fail_msg("%s: %d %s (%s)", rows[i].lua, r.rc, r.e.why, r.e.where);
		assert_string_equal(old->entries[0].device, "/dev/x");
		done(&r);
	}
}

static void many_hooks_share_one_budget_of_time(void **state)
{
	char body[8192] = "images = (";
	struct run r;

	(void)state;
	for (int i = 0; i < 8; i++)
		strcat(body, "{ filename = \"a\"; device = \"/dev/x\"; " HASH "hook = \"f\"; }, ");
	body[strlen(body) - 2] = '\0';
	strcat(body, ");");
	/* each one is far below the limit of one call */
	apply(&r, "n = 0 function f(i) n = n + 1 for k = 1, 4e7 do end return true, i end", body,
	      &confined);
	if (r.rc == 0) /* a machine that does it all within the budget */
		assert_true(lua_state_used_ms(hooks_state(r.h)) <= 2500);
	else
		assert_int_equal(r.e.code, E_DEADLINE);
	done(&r);
}

static void a_full_state_is_roots_choice_and_warned_of_otherwise(void **state)
{
	static const char *const lua = "function f(i) assert(io and os.execute) return true, i end";
	struct run r;

	(void)state;
	apply(&r, lua, ENTRY, &full);
	assert_int_equal(r.rc, 0);
	assert_string_equal(told_lines(&r.told), "");
	done(&r);
	apply(&r, lua, ENTRY, &theirs);
	assert_int_equal(r.rc, 0);
	assert_non_null(strstr(told_lines(&r.told), "W_LUA_FULL"));
	done(&r);
	apply(&r, lua, ENTRY, &confined);
	assert_int_equal(r.e.code, E_LUA);
	done(&r);
}

static void what_code_prints_is_told_as_lines(void **state)
{
	struct run r;

	(void)state;
	apply(&r, "print('hello', 5)", ENTRY, &confined);
	assert_string_equal(r.host.said[0], "3 hello 5");
	done(&r);
}

/* T120: 58 MB in two seconds came of the first one */
static void t120_what_code_of_the_description_prints_is_bounded(void **state)
{
	static const char *const codes[] = {
		"local x = ('x'):rep(511) for i = 1, 5000 do print(x) end",
		"local x = ('x'):rep(511) for i = 1, 5000 do swupdate.error(x) end",
		"local x = ('x'):rep(511) for i = 1, 2500 do swupdate.notify(1, 0, x) print(x) end"};
	struct run r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		apply(&r, codes[i], "bootenv = ({ name = \"x\"; value = \"1\"; });", &full);
		if (r.rc < 0)
			fail_msg("%s", r.e.why);
		assert_int_equal(r.host.said_count, LINES_TOTAL / 512 + 1);
		done(&r);
	}
	apply(&r, "while true do print(('x'):rep(1000)) end", ENTRY, &confined);
	assert_int_equal(r.e.code, E_DEADLINE);
	assert_true(r.host.said_count <= LINES_TOTAL / 1000 + 1);
	done(&r);
}

static void a_text_behind_true_is_ignored_and_the_entry_stays_as_it_is(void **state)
{
	struct run r;

	(void)state;
	apply(&r, "function f(i) i.device = '/dev/y' return true, 'all is well' end", ENTRY,
	      &confined);
	if (r.rc < 0)
		fail_msg("%s", r.e.why);
	assert_int_equal(r.p.m->entry_count, 1);
	assert_string_equal(r.p.m->entries[0].device, "/dev/x");
	assert_non_null(strstr(told_lines(&r.told), "function 'f' returned is ignored"));
	done(&r);
	/* it is no excuse for false */
	apply(&r, "function f(i) return false, 'not today' end", ENTRY, &confined);
	assert_non_null(strstr(r.e.why, "not today"));
	assert_non_null(strstr(err_fix_text(&r.e), "refuses"));
	done(&r);
}

static void a_name_that_confinement_takes_away_leads_to_lua_trust(void **state)
{
	static const char *const codes[] = {"io.open('/etc/passwd')", "os.execute('true')",
					    "dofile('x')", "require('io')",
					    "swupdate.mount('a', 'b')"};
	struct run r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		apply(&r, codes[i], ENTRY, &confined);
		assert_int_equal(r.e.code, E_LUA);
		if (!strstr(r.e.fix, "lua-trust = \"full\""))
			fail_msg("%s: %s: %s", codes[i], r.e.why, r.e.fix);
		done(&r);
	}
	apply(&r, "nothing.here()", ENTRY, &confined);
	assert_string_equal(r.e.fix, "");
	done(&r);
}

static void memory_that_runs_out_is_an_error_at_every_call(void **state)
{
	struct run r;

	(void)state;
	if (!fail_malloc_works())
		return;
	for (unsigned n = 1;; n++) {
		apply(&r, "x = 1 function f(i) i.device = '/dev/y' return true, i end",
		      "bootenv = ({ name = \"x\"; value = \"1\"; });", &confined);
		done(&r);
		memset(&r, 0, sizeof(r));
		fake_host_init(&r.host);
		r.session.cfg = &confined;
		r.session.host = &r.host.h;
		r.p = parse_body("embedded-script = \"function f(i) i.device = '/dev/y' return "
				 "true, i end\";\n" ENTRY);
		fail_malloc_at(n);
		r.rc = hooks_open(&r.h, r.p.m, &r.session, &r.e);
		if (r.rc == 0)
			r.rc = hooks_apply(r.h, &r.p.m, &signed_bundle, &r.e);
		if (!fail_malloc_off()) {
			assert_int_equal(r.rc, 0);
			done(&r);
			break;
		}
		if (r.rc < 0 && r.e.code != E_MEMORY)
			fail_msg("allocation %u: %s", n, r.e.why);
		done(&r);
	}
}

/* ---- around an entry: a whole job ---- */

#define AROUND "preinstall = \"before\"; postinstall = \"after\";"

static void functions_around_an_entry_stop_the_install_when_they_fail(void **state)
{
	(void)state;
	luajob_install("function before(i) seen = i.filename return true end "
		       "function after(i) return seen == 'rootfs.img' end",
		       AROUND, E_NONE, true);
	luajob_install("function before(i) return false end function after(i) return true end",
		       AROUND, E_LUA, false);
	luajob_install("function before(i) return true end function after(i) error('no') end",
		       AROUND, E_LUA, true);
	luajob_install("function after(i) return true end", AROUND, E_LUA, false);
}

static void a_hook_that_sends_an_image_elsewhere_is_judged_like_the_description(void **state)
{
	(void)state;
	/* the running slot */
	luajob_install("function f(i) i.slot = '' i.device = '/dev/mem' return true, i end",
		       "hook = \"f\";", E_TARGET, false);
	luajob_install("function f(i) i.sha256 = string.rep('ab', 32) return true, i end",
		       "hook = \"f\";", E_PAYLOAD_HASH, false);
	luajob_install("function f(i) i.data = 'x' return true, i end", "hook = \"f\";", E_NONE,
		       true);
}

/* ---- handlers written in Lua ---- */

#define OWN	 LUAJOB_OWN
#define REGISTER LUAJOB_REGISTER

/* whether it wrote is not asked: the handler has no place of its own */
static void own(const char *lua, enum errcode code)
{
	luajob_install(lua, OWN, code, false);
}

static void a_handler_in_lua_reads_its_proven_payload(void **state)
{
	(void)state;
	own(REGISTER
	    "function(i) local n = 0 "
	    "local rc = i:read(function(s) n = n + #s return 0 end) "
	    "assert(rc == 0 and n == 102400 and i.properties.anything == 'x') return 0 end)",
	    E_NONE);
	/* the documented example returns nothing from the callback */
	own(REGISTER "function(i) return (i:read(function(s) end)) end)", E_NONE);
	own(REGISTER "function(i) return 0 end)", E_NONE);
	own(REGISTER "function(i) local f = swupdate.tmpdirscripts() .. '/copy' "
		     "local rc, text = i:copy2file(f) assert(rc == 0, text) return 0 end)",
	    E_NONE);
}

static void a_handler_in_lua_that_fails_stops_the_install(void **state)
{
	(void)state;
	own(REGISTER "function(i) return 1, 'no' end)", E_LUA);
	own(REGISTER "function(i) end)", E_LUA);
	own(REGISTER "function(i) error('no') end)", E_LUA);
	own(REGISTER "function(i) return (i:read(function(s) return 1 end)) end)", E_LUA);
	own(REGISTER "function(i) i:copy2file('/etc/PWN') return 0 end)", E_LUA);
	own(REGISTER "function(i) i:copy2file(swupdate.tmpdirscripts() .. '/../x') return 0 end)",
	    E_LUA);
	own(REGISTER "function(i) local f = swupdate.tmpdirscripts():gsub('/+$', '') "
		     "i:copy2file(f .. 'x') return 0 end)",
	    E_LUA);
	own(REGISTER "function(i) i:copy2file(swupdate.tmpdirscripts()) return 0 end)", E_LUA);
	own(REGISTER "function(i) swupdate.register_handler('x', print) return 0 end)", E_LUA);
	own("x = 1", E_HANDLER);
}

static void a_registration_that_makes_no_sense_is_refused(void **state)
{
	static const char *const codes[] = {
		"swupdate.register_handler('raw', print)",
		"swupdate.register_handler('', print)",
		"swupdate.register_handler(string.rep('x', 64), print)",
		"swupdate.register_handler('x', 5)",
		"swupdate.register_handler('x', print, 0)",
		"swupdate.register_handler('x', print, 64)",
		"swupdate.register_handler('x', print, swupdate.HANDLER_MASK.NO_DATA_HANDLER)",
		"swupdate.register_handler('x', print, swupdate.HANDLER_MASK.ANY_HANDLER)",
		"for i = 1, 2 do swupdate.register_handler('x', print) end",
		"for i = 1, 65 do swupdate.register_handler('x' .. i, print) end",
	};
	struct run r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		apply(&r, codes[i], "bootenv = ({ name = \"x\"; value = \"1\"; });", &confined);
		if (r.e.code != E_LUA)
			fail_msg("%s: %s", codes[i], r.e.why);
		done(&r);
	}
}

static void the_mask_says_where_a_handler_belongs(void **state)
{
	struct run r;
	struct handler_rows rows;

	(void)state;
	apply(&r,
	      "local m = swupdate.HANDLER_MASK swupdate.register_handler('a', print) "
	      "swupdate.register_handler('b', print, m.IMAGE_HANDLER) "
	      "swupdate.register_handler('c', print, m.SCRIPT_HANDLER | m.NO_DATA_HANDLER) "
	      "assert(swupdate.handler.c == 1 and not swupdate.handler.d)",
	      "bootenv = ({ name = \"x\"; value = \"1\"; });", &confined);
	assert_int_equal(r.rc, 0);
	rows = hooks_handlers(r.h);
	assert_int_equal(rows.count, 3);
	assert_int_equal(rows.at[0].handler.sections,
			 SECTION_IMAGES | SECTION_FILES | SECTION_BOOTENV | SECTION_PARTITIONS);
	assert_true(rows.at[0].handler.data_optional);
	assert_int_equal(rows.at[1].handler.sections, SECTION_IMAGES);
	assert_false(rows.at[1].handler.data_optional);
	assert_int_equal(rows.at[2].handler.sections, SECTION_SCRIPTS);
	assert_int_equal(rows.at[2].handler.kind, HANDLER_ACTION);
	done(&r);
}

/* a flipped byte never reaches the function, from file or pipe (L1) */
static void t1_a_handler_in_lua_never_sees_a_byte_that_is_not_proven(void **state)
{
	(void)state;
	luajob_install("function f(i) i.sha256 = string.rep('ab', 32) return true, i end " REGISTER
		       "function(i) error('seen') end)",
		       OWN "hook = \"f\";", E_PAYLOAD_HASH, false);
	/* asking for one pass changes nothing: the place is not known */
	luajob_install("function f(i) i.sha256 = string.rep('ab', 32) return true, i end " REGISTER
		       "function(i) error('seen') end)",
		       OWN "hook = \"f\"; installed-directly = true;", E_PAYLOAD_HASH, false);
}

static void a_script_handler_in_lua_runs_before_and_after(void **state)
{
	static const char lua[] =
		"seen = '' swupdate.register_handler('mine', function(i, when) seen = seen .. when "
		"if when == 'postinst' then assert(seen == 'preinstpostinst') end return 0 end, "
		"swupdate.HANDLER_MASK.SCRIPT_HANDLER | swupdate.HANDLER_MASK.NO_DATA_HANDLER)";

	(void)state;
	luajob_install(lua, "}); scripts: ({ type = \"mine\";", E_NONE, true);
}

/* ---- global-state of a lua script ---- */

static void global(const char *script, enum errcode code)
{
	const struct jobkit_part part = {"s.lua", script, strlen(script)};
	struct jobkit k;

	jobkit_make(&k, "file");
	jobkit_bundle(
		&k,
		"software = {\nversion = \"2.0\";\nembedded-script = \"common = 7 function "
		"named() return common == 8 end\";\nscripts: ( { filename = \"s.lua\"; type = "
		"\"lua\"; sha256 = \"@s.lua@\"; properties = { global-state = \"true\"; "
		"postinstall = \"named\"; }; } );\n};\n",
		&part, 1);
	jobkit_install(&k, JOB_INSTALL);
	if (k.e.code != code)
		fail_msg("%s: %s (%s)", script, k.e.why, k.e.where);
	jobkit_remove(&k);
}

static void a_lua_script_with_global_state_sees_what_the_embedded_script_set(void **state)
{
	(void)state;
	global("function preinst() assert(common == 7) common = 8 return true end", E_NONE);
	global("function preinst() return common == 6 end", E_LUA);
	global("function preinst() common = 8 os.execute('true') return true end", E_LUA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hook_changes_each_attribute),
		cmocka_unit_test(the_table_has_the_documented_keys_and_types),
		cmocka_unit_test(a_table_of_a_few_keys_keeps_the_others),
		cmocka_unit_test(nil_and_skip_leave_the_entry_out),
		cmocka_unit_test(a_variable_of_bootenv_has_hooks_too),
		cmocka_unit_test(t43_a_hook_gets_nothing_past_the_rules),
		cmocka_unit_test(many_hooks_share_one_budget_of_time),
		cmocka_unit_test(a_full_state_is_roots_choice_and_warned_of_otherwise),
		cmocka_unit_test(what_code_prints_is_told_as_lines),
		cmocka_unit_test(t120_what_code_of_the_description_prints_is_bounded),
		cmocka_unit_test(a_text_behind_true_is_ignored_and_the_entry_stays_as_it_is),
		cmocka_unit_test(a_name_that_confinement_takes_away_leads_to_lua_trust),
		cmocka_unit_test(memory_that_runs_out_is_an_error_at_every_call),
		cmocka_unit_test(functions_around_an_entry_stop_the_install_when_they_fail),
		cmocka_unit_test(
			a_hook_that_sends_an_image_elsewhere_is_judged_like_the_description),
		cmocka_unit_test(a_handler_in_lua_reads_its_proven_payload),
		cmocka_unit_test(a_handler_in_lua_that_fails_stops_the_install),
		cmocka_unit_test(a_registration_that_makes_no_sense_is_refused),
		cmocka_unit_test(the_mask_says_where_a_handler_belongs),
		cmocka_unit_test(t1_a_handler_in_lua_never_sees_a_byte_that_is_not_proven),
		cmocka_unit_test(a_script_handler_in_lua_runs_before_and_after),
		cmocka_unit_test(a_lua_script_with_global_state_sees_what_the_embedded_script_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
