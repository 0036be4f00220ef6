/*
 * What system calls have written into engine memory, from a recording back into it
 * (src/replay/receives.ts).
 */
#ifndef SLIRP_RECEIVES_H
#define SLIRP_RECEIVES_H

#include "engine.h"
#include "recording.h"

/* Writes result and octets of the operation at offset `at`, which is the one that was recorded. */
void restore(struct memory *memory, struct recording *recording, uint32_t at);

#endif
