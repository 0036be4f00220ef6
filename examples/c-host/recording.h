/*
 * Reads the records of a recording (src/replay/format.ts says what they are). The file may be
 * anything: each length is checked before it is believed. What is wrong is told with its place in
 * the file, and ends the program with EXIT_USELESS; so no function here returns an error.
 */
#ifndef SLIRP_RECORDING_H
#define SLIRP_RECORDING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "abi.h"
#include "hash64.h"

/* Exit codes besides 0: outputs differ; the file cannot be replayed, or wrong usage. */
enum { EXIT_DIFFERENT = 1, EXIT_USELESS = 2 };

struct recording {
  const char *name;
  FILE *file;
  /* Hash of the octets of the engine that was recorded, as text. */
  char build[HASH_SIZE + 1];
  /* Calls that were equal so far, for messages. */
  uint64_t calls;

  /* The record under way: header and body, what of it was taken, and its place in the file. */
  uint8_t *octets;
  uint32_t at;
  uint32_t end;
  uint64_t offset;
  uint64_t following;
  struct hash64 check;
};

/* Octets within the record under way; valid until recording_next. */
struct blob {
  const uint8_t *octets;
  uint32_t length;
};

/* Opens a file and checks its header. */
void recording_open(struct recording *recording, const char *name);
void recording_close(struct recording *recording);

/* Reads the next record and returns its kind, RECORD_*. */
int recording_next(struct recording *recording);
/* Octets of the record that were not taken. */
uint32_t recording_left(const struct recording *recording);
/* Takes content of the record, in order. */
uint32_t recording_word(struct recording *recording);
double recording_float(struct recording *recording);
struct blob recording_blob(struct recording *recording, uint32_t max);
/* Makes sure that nothing follows the last record. */
void recording_finish(struct recording *recording);

/* What the record under way holds makes no sense. */
_Noreturn void recording_wrong(const struct recording *recording, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
