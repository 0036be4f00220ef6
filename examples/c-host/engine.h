/*
 * The engine: the module that wasm2c has translated, its memory, and calls of its functions.
 *
 * Only engine.c knows the names that wasm2c gives (those of wabt 1.0.32; later versions write
 * w2c_engine_step for Z_engineZ_step).
 */
#ifndef SLIRP_ENGINE_H
#define SLIRP_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"

/*
 * Engine memory as a host sees it. It never grows or moves. Records hold addresses: `host_base`
 * (what CONFIG says of where the memory lies) and an offset; whatever does not lie in the memory
 * counts as offset 0, at which nothing is.
 */
struct memory {
  uint8_t *octets;
  uint32_t size;
  /* Offsets of the regions, by REGION_*. */
  uint32_t regions[REGION_COUNT];
  uint64_t host_base;
};

/* A part of the memory; offset 0 = none. */
struct part {
  uint32_t offset;
  uint32_t length;
};

/* Words outside of the memory are 0, and stores to them do nothing. */
uint32_t memory_load(const struct memory *memory, uint64_t offset);
void memory_store(struct memory *memory, uint64_t offset, uint32_t word);
/* The offset itself if all of that length lies in the memory, else 0. */
uint32_t memory_inside(const struct memory *memory, uint64_t offset, uint64_t length);
/* Offset of what the 64-bit pointer at `record + field` refers to; 0: not all is in the memory. */
uint32_t memory_referred(const struct memory *memory, uint32_t record, uint32_t field,
                         uint32_t length);
/* Takes `host_base` from CONFIG, to be called when that has been written. */
void memory_locate(struct memory *memory);

/* Number of pieces of payload memory of the msghdr at offset `message`, and piece i of them. */
uint32_t message_piece_count(const struct memory *memory, uint32_t message);
struct part message_piece(const struct memory *memory, uint32_t message, uint32_t i);
/* Piece at an iovec. */
struct part memory_iovec(const struct memory *memory, uint32_t iovec);

/* Frames that wait for the guest. */
uint32_t engine_frame_count(const struct memory *memory);
/* Operations that wait for the host, and the offset of the first. */
uint32_t engine_operation_count(const struct memory *memory);
uint32_t engine_operations(const struct memory *memory);

/* What to call: the kind of its record, RECORD_*; arguments as the module has them. */
struct engine_call {
  int function;
  uint32_t words[4];
  double now;
};

/* What a call has returned; `trap` says why there is nothing, else NULL. */
struct engine_answer {
  const char *trap;
  uint32_t word;
  double number;
};

/* Makes the one instance of this program, checks it, and fills `memory`. Exits where it is not as
 * the ABI says. */
void engine_open(struct memory *memory);
void engine_close(void);
void engine_call(const struct engine_call *call, struct engine_answer *answer);
/* Seconds that calls have taken. */
double engine_seconds(void);
/* Name of the function, "" = none. */
const char *engine_function_name(int function);

#endif
