/* Writing JSON: foreign text becomes a string that is valid UTF-8 and holds no control characters.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stddef.h>
#include <stdio.h>

/* a JSON string of foreign text, quotes and all; where 'n' is too small it ends earlier, but never
 * inside an escape */
void json_text(const char *s, char *out, size_t n);
/* the same to a file, whole */
void json_print(FILE *f, const char *s);
/* ,"name":"text"; nothing where the text is NULL or empty */
void json_member(FILE *f, const char *name, const char *text);

#endif
