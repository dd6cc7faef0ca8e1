/* Checksums that find accidents, not attackers: for the journal, lists of moves, and cpio. */
#ifndef CORELIB_CRC32C_H
#define CORELIB_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *buf, size_t n); /* start with 0 */
/* the same by a table alone, for tests of the one by instruction */
uint32_t crc32c_portable(uint32_t crc, const void *buf, size_t n);
/* the checksum of cpio's crc format: a sum of bytes, many at a time */
uint32_t bytesum(uint32_t sum, const void *buf, size_t n);

#endif
