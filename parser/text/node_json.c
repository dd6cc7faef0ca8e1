/* jansson behind the guard: its tree is copied and compared with the guard's notes. */
#include <errno.h>
#include <jansson.h>

#include "parser/text/guard.h"

static void value_of(const json_t *j, const char *name, struct node_value *v)
{
	v->name = name;
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		v->type = NODE_GROUP;
		break;
	case JSON_ARRAY:
		v->type = NODE_LIST;
		break;
	case JSON_STRING:
		v->type = NODE_STRING;
		v->string = json_string_value(j);
		break;
	case JSON_INTEGER:
		v->type = NODE_INT;
		v->integer = json_integer_value(j);
		break;
	case JSON_REAL:
		v->type = NODE_FLOAT;
		v->real = json_real_value(j);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		v->type = NODE_BOOL;
		v->integer = json_is_true(j);
		break;
	case JSON_NULL:
		v->type = NODE_NULL;
		break;
	}
}

static int copy_json(json_t *j, const char *name, struct node_builder *b, struct err *e);

static int copy_children(json_t *j, struct node_builder *b, struct err *e)
{
	const char *key;
	json_t *child;
	size_t i;
	int rc = 0;

	if (json_is_array(j)) {
		json_array_foreach(j, i, child) if (rc == 0) rc = copy_json(child, NULL, b, e);
		return rc;
	}
	/* jansson walks an object in the order of its text */
	json_object_foreach(j, key, child) if (rc == 0) rc = copy_json(child, key, b, e);
	return rc;
}

/* the guard has bounded the depth */
static int copy_json(json_t *j, const char *name, struct node_builder *b, struct err *e)
{
	struct node *parent = b->parent, *n;
	struct node_value v = {0};
	int rc = 0;

	value_of(j, name, &v);
	n = node_add(b, &v, e);
	if (!n)
		return -e->sys;
	if (v.type != NODE_GROUP && v.type != NODE_LIST)
		return 0;
	b->parent = n;
	b->last = NULL;
	rc = copy_children(j, b, e);
	b->parent = parent;
	b->last = n;
	return rc;
}

int node_from_json(struct node_builder *b, struct err *e)
{
	json_error_t why;
	json_t *j;
	int rc;

	errno = 0;
	j = json_loadb(b->seen->text, b->seen->length, JSON_REJECT_DUPLICATES, &why);
	/*
	 * Where malloc fails, jansson 2.14 speaks of wrong syntax, or drops a byte of a long key
	 * without a word: node_add() finds that.
	 */
	if (!j && errno == ENOMEM)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to read the text");
	if (!j)
		return err_at(e, err_set(e, E_DESC_SYNTAX, 0, "%s", why.text), "line %d", why.line);
	rc = copy_json(j, NULL, b, e);
	json_decref(j);
	return rc;
}
