/*
 * What the engine gives out, as marks that can be compared: what a recording keeps of a frame for
 * the guest and of an operation on a host socket (src/replay/outputs.ts).
 */
#ifndef SLIRP_OUTPUTS_H
#define SLIRP_OUTPUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"
#include "hash64.h"
#include "recording.h"

struct frame_mark {
  uint32_t length;
  struct hash64 hash;
  /* The first octets, at most HEAD_SIZE; valid until the next frame or record. */
  struct blob head;
};

struct operation_mark {
  /* Kind, handle, A, B, C, COUNT. */
  uint32_t words[6];
  /* Octets it sends or names. */
  uint32_t length;
  struct hash64 hash;
};

/* Frame i of those that wait. */
struct frame_mark output_frame(const struct memory *memory, uint32_t i);
/* The operation at an offset of the memory. */
struct operation_mark output_operation(const struct memory *memory, uint32_t at);

/* The same as the recording has them. */
struct frame_mark recorded_frame(struct recording *recording);
struct operation_mark recorded_operation(struct recording *recording);

bool is_same_frame(const struct frame_mark *one, const struct frame_mark *other);
bool is_same_operation(const struct operation_mark *one, const struct operation_mark *other);

#endif
