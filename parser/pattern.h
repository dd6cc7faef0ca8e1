/*
 * POSIX extended expressions, asked one question: does any part of the text match?
 *
 * They mean what they mean to glibc in the C locale, \w \s \b \< \> \` \' included. The time is
 * bounded by PATTERN_STEPS x the length of the text, whatever the pattern says (T44), and nothing
 * is allocated. What refers back (\1) is refused: it cannot be bounded so.
 */
#ifndef PARSER_PATTERN_H
#define PARSER_PATTERN_H

/* bytes of a pattern, and what it may unfold to: a{100} to 100 steps */
enum { PATTERN_LENGTH = 256, PATTERN_STEPS = 2048 };

/* 1 yes, 0 no, -EINVAL: *why says what the pattern does, "unfolds to ..." */
int pattern_matches(const char *pattern, const char *text, const char **why);

#endif
