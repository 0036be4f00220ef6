/* Replays a recording on the engine and compares what comes out, call by call. */
#ifndef SLIRP_REPLAY_H
#define SLIRP_REPLAY_H

#include "engine.h"
#include "recording.h"

struct replay_result {
  uint64_t calls;
  uint64_t turns;
  /* That came from the guest, and that went to it. */
  uint64_t frames_in;
  uint64_t frames_out;
  uint64_t operations;
  /* Microseconds from the first to the last call with a time. */
  double elapsed;
  /* How the recording ends, "" = it was closed. */
  const char *ending;
  /* Of all that was given out: src/replay/output-digest.ts. */
  struct hash64 digest;
};

/* Returns when all was equal. At the first difference it prints both sides and exits with
 * EXIT_DIFFERENT: what comes after one follows from it. */
struct replay_result replay(struct recording *recording, struct memory *memory);

#endif
