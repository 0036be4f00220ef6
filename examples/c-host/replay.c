/*
 * See replay.h.
 *
 * Theory of operation
 *   The engine imports nothing and knows neither clock nor randomness. All there is to its life are
 *   the calls of its functions and what the host writes into its memory before them; both are in
 *   the recording. So a replay is a host whose link, sockets and clock are a file:
 *
 *     START                 CONFIG is written, init is called
 *     GUEST_RX              frames go to where they lay in the receive slots, descriptors say so
 *     COMPLETE              each operation that waits is compared with the one that was carried
 *                           out then; its result, and what a receive brought, is written in place
 *     TX_DONE               each frame that waits for the guest is compared with the one then
 *     EVENT, STEP, …        arguments, and for some functions an address in the control block
 *     LIVE                  parts of CONFIG that a host may change between two calls
 *     TRAP                  the call before it must have trapped, as it did then
 *     END                   of a closed recording, the frames that still wait
 *
 *   Results of functions are compared as well. Addresses in records are those of the recorded
 *   process: CONFIG says where its memory lay, so offsets are what is left without that.
 */
#include "replay.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outputs.h"
#include "receives.h"

struct replay {
  struct recording *recording;
  struct memory *memory;
  struct replay_result result;
  /* The call under way, and what it has returned. */
  int function;
  struct engine_answer answer;
  /* Of the first call with a time and of the last, microseconds; 0 = there was none. */
  double first;
  double now;
  /* A trap was expected and has come; nothing but the end may follow. */
  bool is_trapped;
  bool is_over;
};

/* ---------------------------------------------------------------- differences */

/* The line of one side; its text follows. */
static void print_side(const char *side) { printf("  %s: ", side); }

static void print_difference(const struct replay *replay, const char *format, va_list arguments) {
  printf("differs at call %llu (%s), %.6f s after the start: ",
         (unsigned long long)replay->result.calls, engine_function_name(replay->function),
         replay->result.elapsed / 1e6);
  vprintf(format, arguments);
  putchar('\n');
}

__attribute__((format(printf, 2, 3))) static void differ(const struct replay *replay,
                                                         const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_difference(replay, format, arguments);
  va_end(arguments);
}

/* Two texts that differ. */
static _Noreturn void differ_in_words(const struct replay *replay, const char *what,
                                      const char *wanted, const char *actual) {
  differ(replay, "%s", what);
  printf("  recorded: %s\n  replayed: %s\n", wanted, actual);
  exit(EXIT_DIFFERENT);
}

static void print_frame(const char *side, const struct frame_mark *mark) {
  print_side(side);
  if (mark == NULL) {
    puts("nothing");
    return;
  }
  printf("%u octets, hash %08x%08x:", (unsigned)mark->length, (unsigned)mark->hash.low,
         (unsigned)mark->hash.high);
  for (uint32_t i = 0; i < mark->head.length; i++) {
    printf("%s%02x", i % 4 == 0 ? " " : "", mark->head.octets[i]);
  }
  putchar('\n');
}

static void print_operation(const char *side, const struct operation_mark *mark) {
  print_side(side);
  if (mark == NULL) {
    puts("nothing");
    return;
  }
  const uint32_t *words = mark->words;
  printf("kind %u, handle %x, A %x, B %x, C %x, COUNT %u, %u octets, hash %08x%08x\n",
         (unsigned)words[0], (unsigned)words[1], (unsigned)words[2], (unsigned)words[3],
         (unsigned)words[4], (unsigned)words[5], (unsigned)mark->length, (unsigned)mark->hash.low,
         (unsigned)mark->hash.high);
}

/* ---------------------------------------------------------------- what went in */

static void mix(struct replay *replay, uint32_t word) {
  hash64_mix(&replay->result.digest, word);
}

static uint32_t word(struct replay *replay) { return recording_word(replay->recording); }

/* Time of a call; it never goes back, and JavaScript's numbers hold it. */
static double take_time(struct replay *replay) {
  double now = recording_float(replay->recording);
  if (!(now > 0 && now >= replay->now && now < 9007199254740991.0)) {
    recording_wrong(replay->recording, "time %g after %g", now, replay->now);
  }
  if (replay->now == 0) replay->first = now;
  replay->now = now;
  replay->result.elapsed = now - replay->first;
  return now;
}

static void call(struct replay *replay, struct engine_call call) {
  call.function = replay->function;
  engine_call(&call, &replay->answer);
}

/* A call whose result is compared. */
static void call_for_answer(struct replay *replay, struct engine_call arguments) {
  uint32_t wanted = word(replay);
  call(replay, arguments);
  if (replay->answer.trap != NULL) return; /* the next record says whether it was meant to be */
  uint32_t actual = replay->answer.word;
  mix(replay, actual);
  if (actual == wanted) return;
  char texts[2][16];
  snprintf(texts[0], sizeof texts[0], "%u", (unsigned)wanted);
  snprintf(texts[1], sizeof texts[1], "%u", (unsigned)actual);
  differ_in_words(replay, "result", texts[0], texts[1]);
}

static void start(struct replay *replay) {
  struct memory *memory = replay->memory;
  struct blob config = recording_blob(replay->recording, CONFIG_SIZE);
  if (config.length != CONFIG_SIZE) {
    recording_wrong(replay->recording, "a configuration cut short");
  }
  memcpy(memory->octets + memory->regions[REGION_CONFIG], config.octets, CONFIG_SIZE);
  memory_locate(memory);
  call_for_answer(replay, (struct engine_call){.now = 0});
}

static void live(struct replay *replay) {
  static const struct part PARTS[] = LIVE_PARTS;
  uint8_t *config = replay->memory->octets + replay->memory->regions[REGION_CONFIG];
  for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
    bool is_old = PARTS[i].offset == CONFIG_LINK_FLAGS_OFFSET; /* recordings may end before it */
    if (is_old && recording_left(replay->recording) == 0) return;
    struct blob part = recording_blob(replay->recording, PARTS[i].length);
    if (part.length != PARTS[i].length) {
      recording_wrong(replay->recording, "resolvers, limits or options cut short");
    }
    memcpy(config + PARTS[i].offset, part.octets, part.length);
  }
}

static void guest_rx(struct replay *replay) {
  struct memory *memory = replay->memory;
  double now = take_time(replay);
  uint32_t count = word(replay);
  if (count > RX_SLOT_COUNT) {
    recording_wrong(replay->recording, "%u frames at once", (unsigned)count);
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t place = word(replay);
    struct blob frame = recording_blob(replay->recording, RX_SLOT_SIZE);
    uint32_t end = RX_SLOT_COUNT * RX_SLOT_SIZE;
    if (place > end || frame.length > end - place) {
      recording_wrong(replay->recording, "a frame outside of its buffers");
    }
    uint32_t at = memory->regions[REGION_RX_BUFFERS] + place;
    memcpy(memory->octets + at, frame.octets, frame.length);
    uint64_t descriptor =
        (uint64_t)memory->regions[REGION_RX_DESCRIPTORS] + (uint64_t)i * RX_DESCRIPTOR_SIZE;
    memory_store(memory, descriptor + RX_DESCRIPTOR_POINTER_OFFSET, at);
    memory_store(memory, descriptor + RX_DESCRIPTOR_LENGTH_OFFSET, frame.length);
  }
  replay->result.frames_in += count;
  call(replay, (struct engine_call){.words = {count}, .now = now});
}

static void event(struct replay *replay) {
  double now = take_time(replay);
  uint32_t handle = word(replay);
  uint32_t events = word(replay);
  call(replay, (struct engine_call){.words = {handle, events}, .now = now});
}

/* inbound_tcp and inbound_udp. */
static void inbound(struct replay *replay) {
  struct engine_call arguments = {.now = take_time(replay)};
  for (int i = 0; i < 4; i++) arguments.words[i] = word(replay);
  call_for_answer(replay, arguments);
}

/* Writes words of an address into the control block. */
static void address(struct replay *replay, int words) {
  uint64_t control = replay->memory->regions[REGION_CONTROL];
  for (int i = 0; i < words; i++) {
    uint64_t at = control + CONTROL_ADDRESS_OFFSET + 4 * (uint64_t)i;
    memory_store(replay->memory, at, word(replay));
  }
}

static void address_six(struct replay *replay) {
  address(replay, 5); /* and its scope */
  call_for_answer(replay, (struct engine_call){.now = 0});
}

static void host_address(struct replay *replay) {
  uint32_t kind = word(replay);
  address(replay, 4);
  call_for_answer(replay, (struct engine_call){.words = {kind}});
}

/* ---------------------------------------------------------------- what came out */

static void frames(struct replay *replay) {
  uint32_t count = word(replay);
  uint32_t waiting = engine_frame_count(replay->memory);
  mix(replay, waiting);
  for (uint32_t i = 0; i < count || i < waiting; i++) {
    struct frame_mark wanted, actual;
    if (i < count) wanted = recorded_frame(replay->recording);
    if (i < waiting) actual = output_frame(replay->memory, i);
    if (i >= count || i >= waiting || !is_same_frame(&wanted, &actual)) {
      differ(replay, "frame %u of %u", (unsigned)i + 1, (unsigned)count);
      print_frame("recorded", i < count ? &wanted : NULL);
      print_frame("replayed", i < waiting ? &actual : NULL);
      exit(EXIT_DIFFERENT);
    }
    mix(replay, actual.length);
    mix(replay, actual.hash.low);
    mix(replay, actual.hash.high);
  }
  replay->result.frames_out += count;
}

static void mix_operation(struct replay *replay, const struct operation_mark *mark) {
  for (int i = 0; i < 6; i++) mix(replay, mark->words[i]);
  mix(replay, mark->length);
  mix(replay, mark->hash.low);
  mix(replay, mark->hash.high);
}

static void complete(struct replay *replay) {
  double now = take_time(replay);
  uint32_t count = word(replay);
  uint32_t waiting = engine_operation_count(replay->memory);
  uint32_t first = engine_operations(replay->memory);
  mix(replay, waiting);
  for (uint32_t i = 0; i < count || i < waiting; i++) {
    struct operation_mark wanted, actual;
    uint32_t at = first + i * OP_SIZE;
    if (i < count) wanted = recorded_operation(replay->recording);
    if (i < waiting) actual = output_operation(replay->memory, at);
    if (i >= count || i >= waiting || !is_same_operation(&wanted, &actual)) {
      differ(replay, "operation %u of %u", (unsigned)i + 1, (unsigned)count);
      print_operation("recorded", i < count ? &wanted : NULL);
      print_operation("replayed", i < waiting ? &actual : NULL);
      exit(EXIT_DIFFERENT);
    }
    mix_operation(replay, &actual);
    restore(replay->memory, replay->recording, at);
  }
  replay->result.operations += count;
  call(replay, (struct engine_call){.now = now});
}

static void deadline(struct replay *replay) {
  double wanted = recording_float(replay->recording);
  call(replay, (struct engine_call){.now = 0});
  if (replay->answer.trap != NULL) return;
  double actual = replay->answer.number;
  uint32_t halves[2];
  memcpy(halves, &actual, sizeof halves);
  mix(replay, halves[0]);
  mix(replay, halves[1]);
  if (actual == wanted) return;
  char texts[2][64];
  snprintf(texts[0], sizeof texts[0], "%.6f s", (wanted - replay->first) / 1e6);
  snprintf(texts[1], sizeof texts[1], "%.6f s", (actual - replay->first) / 1e6);
  differ_in_words(replay, "deadline", texts[0], texts[1]);
}

/* ---------------------------------------------------------------- records */

static void act(struct replay *replay, int kind) {
  if (replay->answer.trap != NULL) {
    differ_in_words(replay, "trap", "no trap", replay->answer.trap);
  }
  if ((replay->result.calls == 0) != (kind == RECORD_START)) {
    recording_wrong(replay->recording, "the engine is not started once, and first");
  }
  if (kind == RECORD_LIVE) {
    live(replay);
    return;
  }
  if (*engine_function_name(kind) == '\0') {
    recording_wrong(replay->recording, "a record of kind %d", kind);
  }
  replay->function = kind;
  replay->result.calls += 1;
  replay->recording->calls = replay->result.calls;
  mix(replay, (uint32_t)kind);
  switch (kind) {
    case RECORD_START: start(replay); break;
    case RECORD_GUEST_RX: guest_rx(replay); break;
    case RECORD_EVENT: event(replay); break;
    case RECORD_COMPLETE: complete(replay); break;
    case RECORD_INBOUND_TCP:
    case RECORD_INBOUND_UDP: inbound(replay); break;
    case RECORD_ADDRESS_SIX: address_six(replay); break;
    case RECORD_HOST_ADDRESS: host_address(replay); break;
    case RECORD_DEADLINE: deadline(replay); break;
    case RECORD_STEP: replay->result.turns += 1; /* fall through */
    case RECORD_GUEST_GONE: call(replay, (struct engine_call){.now = take_time(replay)}); break;
    case RECORD_TX_DONE: frames(replay); /* fall through */
    default: call(replay, (struct engine_call){.now = 0}); /* farewell */
  }
}

static void trap(struct replay *replay) {
  if (replay->answer.trap == NULL) differ_in_words(replay, "trap", "a trap", "no trap");
  replay->answer.trap = NULL;
  replay->is_trapped = true;
  mix(replay, RECORD_TRAP);
}

static void end(struct replay *replay) {
  if (replay->answer.trap != NULL) {
    differ_in_words(replay, "trap", "no trap", replay->answer.trap);
  }
  uint32_t reason = word(replay); /* 0 = closed, 1 = the file had reached its limit */
  if (reason > 1) recording_wrong(replay->recording, "an end without a reason");
  mix(replay, RECORD_END);
  /* At the limit the last call may have frames that nobody has noted. */
  if (reason == 1) word(replay);
  else frames(replay);
  replay->result.ending = replay->is_trapped ? "; the engine trapped as it did then"
                          : reason == 1      ? "; the recording ended at its limit"
                                             : "";
  replay->is_over = true;
}

struct replay_result replay(struct recording *recording, struct memory *memory) {
  struct replay replay = {.recording = recording, .memory = memory};
  hash64_reset(&replay.result.digest);
  while (!replay.is_over) {
    int kind = recording_next(recording);
    if (kind == RECORD_END) end(&replay);
    else if (replay.is_trapped) recording_wrong(recording, "a call after a trap");
    else if (kind == RECORD_TRAP) trap(&replay);
    else act(&replay, kind);
    if (recording_left(recording) > 0) {
      recording_wrong(recording, "a record is longer than it holds");
    }
  }
  recording_finish(recording);
  return replay.result;
}
