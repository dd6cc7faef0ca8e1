/* libconfig behind the guard: its tree is copied and compared with the guard's notes. */
#include <errno.h>
#include <libconfig.h>
#include <stdlib.h>

#include "parser/text/guard.h"

static int value_of(const config_setting_t *s, struct node_value *v)
{
	v->name = config_setting_name(s);
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		v->type = NODE_GROUP;
		return 0;
	case CONFIG_TYPE_LIST:
	case CONFIG_TYPE_ARRAY:
		v->type = NODE_LIST;
		return 0;
	case CONFIG_TYPE_STRING:
		v->type = NODE_STRING;
		v->string = config_setting_get_string(s);
		return v->string ? 0 : -EINVAL;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		v->type = NODE_INT;
		v->integer = config_setting_get_int64(s);
		return 0;
	case CONFIG_TYPE_BOOL:
		v->type = NODE_BOOL;
		v->integer = config_setting_get_bool(s);
		return 0;
	case CONFIG_TYPE_FLOAT:
		v->type = NODE_FLOAT;
		v->real = config_setting_get_float(s);
		return 0;
	default:
		return -EINVAL;
	}
}

/* the guard has bounded the depth */
static int copy_setting(const config_setting_t *s, struct node_builder *b, struct err *e)
{
	struct node *parent = b->parent, *n;
	struct node_value v = {0};
	int rc = 0;

	if (value_of(s, &v) < 0)
		return err_set(e, E_DESC_SYNTAX, 0, "the library gives a value of unknown type");
	n = node_add(b, &v, e);
	if (!n)
		return -e->sys;
	if (v.type != NODE_GROUP && v.type != NODE_LIST)
		return 0;
	b->parent = n;
	b->last = NULL;
	for (int i = 0; rc == 0 && i < config_setting_length(s); i++)
		rc = copy_setting(config_setting_get_elem(s, (unsigned)i), b, e);
	b->parent = parent;
	b->last = n;
	return rc;
}

int node_from_config(struct node_builder *b, struct err *e)
{
	config_t c;
	int rc;

	config_init(&c);
	if (config_read_string(&c, b->seen->text))
		rc = copy_setting(config_root_setting(&c), b, e);
	else
		rc = err_at(e, err_set(e, E_DESC_SYNTAX, 0, "%s", config_error_text(&c)), "line %d",
			    config_error_line(&c));
	config_destroy(&c);
	return rc;
}
