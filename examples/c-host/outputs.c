/* See outputs.h. */
#include "outputs.h"

#include <string.h>

/* Longest frame, and what is hashed at a time. */
enum { SCRATCH_SIZE = RX_SLOT_SIZE, SOCKADDR_IN6_SIZE = 28 };

static uint8_t scratch[SCRATCH_SIZE];

/* Adds octets and their number. */
static void add(struct hash64 *hash, const uint8_t *octets, uint32_t length) {
  hash64_mix_octets(hash, octets, length);
  hash64_mix(hash, length);
}

/* ---------------------------------------------------------------- frames */

/* Puts the frame that `count` iovecs name into the scratch buffer; returns its octets, 0 where one
 * of them is not in the memory. */
static uint32_t gather(const struct memory *memory, uint32_t iovecs, uint32_t count) {
  uint32_t copied = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t iovec = (uint64_t)iovecs + (uint64_t)i * IOV_SIZE;
    if (memory_inside(memory, iovec, IOV_SIZE) == 0) return 0;
    uint32_t wanted = memory_load(memory, iovec + IOV_LENGTH_OFFSET);
    struct part part = memory_iovec(memory, (uint32_t)iovec);
    if (part.length != wanted) return 0;
    uint32_t room = SCRATCH_SIZE - copied;
    uint32_t length = part.length < room ? part.length : room;
    memcpy(scratch + copied, memory->octets + part.offset, length);
    copied += length;
  }
  return copied;
}

struct frame_mark output_frame(const struct memory *memory, uint32_t i) {
  uint64_t record = (uint64_t)memory->regions[REGION_TX_RECORDS] + (uint64_t)i * TX_RECORD_SIZE;
  uint32_t count = memory_load(memory, record + TX_IOV_COUNT_OFFSET);
  if (count > IOV_CAPACITY_COUNT) count = 0; /* there are no more */
  struct frame_mark mark;
  mark.length = gather(memory, memory_load(memory, record + TX_IOV_OFFSET), count);
  mark.head = (struct blob){scratch, mark.length < HEAD_SIZE ? mark.length : HEAD_SIZE};
  hash64_reset(&mark.hash);
  add(&mark.hash, scratch, mark.length);
  return mark;
}

/* ---------------------------------------------------------------- operations */

/* Adds a part of the memory; returns its octets. */
static uint32_t add_part(const struct memory *memory, struct hash64 *hash, struct part part) {
  if (part.offset == 0) return 0;
  for (uint32_t at = 0; at < part.length; at += SCRATCH_SIZE) {
    uint32_t left = part.length - at;
    add(hash, memory->octets + part.offset + at, left < SCRATCH_SIZE ? left : SCRATCH_SIZE);
  }
  return part.length;
}

/* Adds the payload of a msghdr. */
static uint32_t add_payload(const struct memory *memory, struct hash64 *hash, uint32_t message) {
  uint32_t count = message_piece_count(memory, message);
  uint32_t sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    sum += add_part(memory, hash, message_piece(memory, message, i));
  }
  return sum;
}

/* Adds what a msghdr names by a pointer and a length: its name or its control data. */
static uint32_t add_referred(const struct memory *memory, struct hash64 *hash, uint32_t message,
                             uint32_t pointer, uint32_t length_at) {
  uint32_t length = memory_load(memory, (uint64_t)message + length_at);
  uint32_t offset = memory_referred(memory, message, pointer, length);
  return add_part(memory, hash, (struct part){offset, length});
}

static uint32_t add_datagrams(const struct memory *memory, struct hash64 *hash, uint32_t messages,
                              uint32_t count) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < count && i < MSG_CAPACITY_COUNT; i++) {
    uint32_t message = messages + i * MSG_SIZE;
    sum += add_referred(memory, hash, message, MSG_NAME_OFFSET, MSG_NAME_LENGTH_OFFSET);
    sum += add_referred(memory, hash, message, MSG_CONTROL_OFFSET, MSG_CONTROL_LENGTH_OFFSET);
    sum += add_payload(memory, hash, message);
  }
  return sum;
}

struct operation_mark output_operation(const struct memory *memory, uint32_t at) {
  static const uint32_t FIELDS[6] = {OP_KIND_OFFSET, OP_HANDLE_OFFSET, OP_A_OFFSET,
                                     OP_B_OFFSET,    OP_C_OFFSET,      OP_COUNT_OFFSET};
  struct operation_mark mark = {.length = 0};
  for (int i = 0; i < 6; i++) mark.words[i] = memory_load(memory, (uint64_t)at + FIELDS[i]);
  uint32_t kind = mark.words[0];
  uint32_t count = mark.words[5];
  uint32_t pointer = memory_load(memory, (uint64_t)at + OP_POINTER_OFFSET);
  hash64_reset(&mark.hash);
  if ((kind == OP_TCP_CONNECT || kind == OP_UDP_OPEN) && count == FAMILY_SIX && pointer != 0) {
    uint32_t offset = memory_inside(memory, pointer, SOCKADDR_IN6_SIZE);
    mark.length = add_part(memory, &mark.hash, (struct part){offset, SOCKADDR_IN6_SIZE});
  } else if (kind == OP_TCP_SEND) {
    mark.length = add_payload(memory, &mark.hash, pointer);
  } else if (kind == OP_UDP_SEND) {
    mark.length = add_datagrams(memory, &mark.hash, pointer, count);
  }
  return mark;
}

/* ---------------------------------------------------------------- as recorded */

static struct hash64 recorded_hash(struct recording *recording) {
  struct hash64 hash;
  hash.low = recording_word(recording);
  hash.high = recording_word(recording);
  return hash;
}

struct frame_mark recorded_frame(struct recording *recording) {
  struct frame_mark mark;
  mark.length = recording_word(recording);
  mark.hash = recorded_hash(recording);
  mark.head = recording_blob(recording, HEAD_SIZE);
  return mark;
}

struct operation_mark recorded_operation(struct recording *recording) {
  struct operation_mark mark;
  for (int i = 0; i < 6; i++) mark.words[i] = recording_word(recording);
  mark.length = recording_word(recording);
  mark.hash = recorded_hash(recording);
  return mark;
}

static bool is_same_hash(const struct hash64 *one, const struct hash64 *other) {
  return one->low == other->low && one->high == other->high;
}

bool is_same_frame(const struct frame_mark *one, const struct frame_mark *other) {
  return one->length == other->length && is_same_hash(&one->hash, &other->hash);
}

bool is_same_operation(const struct operation_mark *one, const struct operation_mark *other) {
  return memcmp(one->words, other->words, sizeof one->words) == 0 &&
         one->length == other->length && is_same_hash(&one->hash, &other->hash);
}
