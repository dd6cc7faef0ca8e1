/* builds without CONFIG_PARSER_JSON */
#include <errno.h>

#include "parser/text/guard.h"

int node_from_json(struct node_builder *b, struct err *e)
{
	(void)b;
	return err_set(e, E_NOT_BUILT, ENOTSUP,
		       "this text is JSON: it needs a build with CONFIG_PARSER_JSON");
}
