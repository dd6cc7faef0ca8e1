/*
 * The tokens of both syntaxes, with the line of each.
 *
 * Texts are decoded here: what arrives is valid UTF-8 without NUL and without control bytes other
 * than tab, LF and CR (T36); adjacent libconfig strings are one token. Numbers are exact or
 * refused.
 */
#ifndef PARSER_GUARD_LEX_H
#define PARSER_GUARD_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

enum token {
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_STRING,
	TOKEN_INT,
	TOKEN_FLOAT,
	TOKEN_BOOL,
	TOKEN_NULL,
	TOKEN_PUNCT
};

struct lexer {
	const char *at, *end;
	unsigned line; /* of the byte at 'at' */
	bool json;
	size_t max_string;
	char *text; /* of a name or string: max_string + 1 bytes, the caller's */
	size_t length;
	enum token token; /* the current one, and the line where it begins */
	unsigned token_line;
	char punct;
	int64_t integer; /* also of TOKEN_BOOL */
	double real;
};

/* step to the next token */
int lexer_next(struct lexer *l, struct err *e);

/* an error with its line as place */
#define LINE_ERROR(line_, code_, e_, ...)                                                          \
	err_at(e_, err_set(e_, code_, 0, __VA_ARGS__), "line %u", line_)

#endif
