/* See receives.h. */
#include "receives.h"

#include <string.h>

static void copy(struct memory *memory, uint32_t offset, struct blob blob) {
  if (blob.length > 0) memcpy(memory->octets + offset, blob.octets, blob.length);
}

/* Payload into the pieces of a msghdr; returns its octets. */
static uint32_t restore_payload(struct memory *memory, struct recording *recording,
                                uint32_t message) {
  uint32_t length = recording_word(recording);
  uint32_t left = length;
  uint32_t count = message_piece_count(memory, message);
  for (uint32_t i = 0; i < count && left > 0; i++) {
    struct part piece = message_piece(memory, message, i);
    struct blob blob = recording_blob(recording, piece.length);
    if (blob.length != (piece.length < left ? piece.length : left)) {
      recording_wrong(recording, "a receive with a gap");
    }
    copy(memory, piece.offset, blob);
    left -= blob.length;
  }
  if (left > 0) {
    recording_wrong(recording, "%u octets received beyond what was asked for", (unsigned)left);
  }
  return length;
}

/* Name or control data. */
static void restore_part(struct memory *memory, struct recording *recording, uint32_t message,
                         uint32_t pointer, uint32_t max) {
  struct blob blob = recording_blob(recording, max);
  uint32_t offset = memory_referred(memory, message, pointer, blob.length);
  if (offset == 0 && blob.length > 0) {
    recording_wrong(recording, "data where nothing was asked for");
  }
  copy(memory, offset, blob);
}

static uint32_t restore_message(struct memory *memory, struct recording *recording,
                                uint32_t message) {
  static const uint32_t FIELDS[] = {MSG_NAME_LENGTH_OFFSET, MSG_CONTROL_LENGTH_OFFSET,
                                    MSG_FLAGS_OFFSET};
  for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
    memory_store(memory, (uint64_t)message + FIELDS[i], recording_word(recording));
  }
  restore_part(memory, recording, message, MSG_NAME_OFFSET, MSG_NAME_SIZE);
  restore_part(memory, recording, message, MSG_CONTROL_OFFSET, MSG_CONTROL_SIZE);
  return restore_payload(memory, recording, message);
}

void restore(struct memory *memory, struct recording *recording, uint32_t at) {
  uint32_t kind = memory_load(memory, (uint64_t)at + OP_KIND_OFFSET);
  uint32_t message = memory_load(memory, (uint64_t)at + OP_POINTER_OFFSET);
  uint32_t count = memory_load(memory, (uint64_t)at + OP_COUNT_OFFSET);
  int32_t result = (int32_t)recording_word(recording);
  memory_store(memory, (uint64_t)at + OP_RESULT_OFFSET, (uint32_t)result);
  if (kind == OP_TCP_RECV && result > 0) {
    restore_payload(memory, recording, message);
  } else if (kind == OP_RECV_ERROR && result >= 0) {
    restore_message(memory, recording, message);
  } else if (kind == OP_UDP_RECV && result > 0) {
    if ((uint32_t)result > count) {
      recording_wrong(recording, "%d datagrams received, %u asked for", (int)result,
                      (unsigned)count);
    }
    for (uint32_t i = 0; i < (uint32_t)result; i++) {
      uint32_t each = message + i * MSG_SIZE;
      uint32_t length = restore_message(memory, recording, each);
      memory_store(memory, (uint64_t)each + MSG_RECEIVED_OFFSET, length);
    }
  }
}
