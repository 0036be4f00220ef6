/*
 * The hash of recordings and of their outputs, as src/lib/hash64.ts has it: two lanes of 32 bits.
 */
#ifndef SLIRP_HASH64_H
#define SLIRP_HASH64_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie in memory");

struct hash64 {
  uint32_t low;
  uint32_t high;
};

static inline void hash64_reset(struct hash64 *hash) {
  hash->low = 0x811c9dc5u;
  hash->high = 0x2545f491u;
}

static inline void hash64_mix(struct hash64 *hash, uint32_t word) {
  uint32_t low = (hash->low ^ word) * 0x01000193u;
  hash->low = low ^ (low >> 15);
  hash->high = ((hash->high + word) ^ (hash->high >> 13)) * 0x85ebca6bu;
}

/* Adds octets as whole words, the last one filled up with zeros. */
static inline void hash64_mix_octets(struct hash64 *hash, const uint8_t *octets, size_t length) {
  struct hash64 state = *hash;
  uint32_t word;
  size_t at = 0;
  for (; length - at >= sizeof word; at += sizeof word) {
    memcpy(&word, octets + at, sizeof word);
    hash64_mix(&state, word);
  }
  if (at < length) {
    word = 0;
    memcpy(&word, octets + at, length - at);
    hash64_mix(&state, word);
  }
  *hash = state;
}

#endif
