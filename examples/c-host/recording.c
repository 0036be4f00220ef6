/* See recording.h. */
#include "recording.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void refuse(const struct recording *recording, uint64_t offset,
                             const char *format, ...) __attribute__((format(printf, 3, 4)));

static void complain(const struct recording *recording, uint64_t offset, const char *format,
                     va_list arguments) {
  vfprintf(stderr, format, arguments);
  fprintf(stderr, " at octet %llu; %llu calls before it are equal\n", (unsigned long long)offset,
          (unsigned long long)recording->calls);
}

static void refuse(const struct recording *recording, uint64_t offset, const char *format, ...) {
  fprintf(stderr, "replay: \"%s\": ", recording->name);
  va_list arguments;
  va_start(arguments, format);
  complain(recording, offset, format, arguments);
  va_end(arguments);
  exit(EXIT_USELESS);
}

void recording_wrong(const struct recording *recording, const char *format, ...) {
  fprintf(stderr, "replay: \"%s\": the recording contradicts itself: ", recording->name);
  va_list arguments;
  va_start(arguments, format);
  complain(recording, recording->offset, format, arguments);
  va_end(arguments);
  exit(EXIT_USELESS);
}

/* Reads up to `size` octets to `at` of the buffer; returns how many there were. */
static uint32_t fill(struct recording *recording, uint32_t at, uint32_t size) {
  size_t got = fread(recording->octets + at, 1, size, recording->file);
  if (got < size && ferror(recording->file)) {
    fprintf(stderr, "replay: cannot read \"%s\"\n", recording->name);
    exit(EXIT_USELESS);
  }
  return (uint32_t)got;
}

static uint32_t word_at(const struct recording *recording, uint32_t at) {
  uint32_t word;
  memcpy(&word, recording->octets + at, sizeof word);
  return word;
}

static void check_header(struct recording *recording) {
  uint32_t got = fill(recording, 0, FILE_HEADER_SIZE);
  size_t magic_size = strlen(RECORDING_MAGIC);
  if (got < magic_size || memcmp(recording->octets, RECORDING_MAGIC, magic_size) != 0) {
    refuse(recording, 0, "it is not a recording");
  }
  if (got < FILE_HEADER_SIZE) refuse(recording, got, "the recording is cut short");
  if (word_at(recording, 8) != FORMAT_VERSION) {
    refuse(recording, 8, "a recording of version %u: wanted %d", (unsigned)word_at(recording, 8),
           FORMAT_VERSION);
  }
  if (word_at(recording, 12) != ABI_VERSION) {
    refuse(recording, 12, "a recording of ABI version %u: wanted %d",
           (unsigned)word_at(recording, 12), ABI_VERSION);
  }
  if (memcmp(recording->octets + 16, ABI_HASH, HASH_SIZE) != 0) {
    refuse(recording, 16, "a recording of an engine with another memory layout");
  }
  for (int i = 0; i < HASH_SIZE; i++) {
    uint8_t letter = recording->octets[16 + HASH_SIZE + i];
    recording->build[i] = letter >= 0x20 && letter < 0x7f ? (char)letter : '?';
  }
}

void recording_open(struct recording *recording, const char *name) {
  *recording = (struct recording){.name = name};
  recording->file = fopen(name, "rb");
  if (recording->file == NULL) {
    fprintf(stderr, "replay: cannot open \"%s\"\n", name);
    exit(EXIT_USELESS);
  }
  recording->octets = malloc(RECORD_HEADER_SIZE + RECORD_SIZE_MAX);
  if (recording->octets == NULL) {
    fputs("replay: out of memory\n", stderr);
    exit(EXIT_USELESS);
  }
  check_header(recording);
  recording->following = FILE_HEADER_SIZE;
  hash64_reset(&recording->check);
  hash64_mix_octets(&recording->check, recording->octets, FILE_HEADER_SIZE);
}

void recording_close(struct recording *recording) {
  free(recording->octets);
  fclose(recording->file);
}

int recording_next(struct recording *recording) {
  recording->offset = recording->following;
  uint32_t got = fill(recording, 0, RECORD_HEADER_SIZE);
  if (got < RECORD_HEADER_SIZE) {
    refuse(recording, recording->offset + got, "the recording is cut short");
  }
  uint32_t first = word_at(recording, 0);
  uint32_t check = word_at(recording, 4);
  uint32_t length = first >> 8; /* RECORD_SIZE_MAX is the largest multiple of 4 in 24 bits */
  if (length % 4 != 0) refuse(recording, recording->offset, "the recording is damaged");
  got = fill(recording, RECORD_HEADER_SIZE, length);
  if (got < length) {
    uint64_t place = recording->offset + RECORD_HEADER_SIZE + got;
    refuse(recording, place, "the recording is cut short");
  }
  recording->at = RECORD_HEADER_SIZE;
  recording->end = RECORD_HEADER_SIZE + length;
  recording->following = recording->offset + recording->end;
  hash64_mix(&recording->check, first);
  hash64_mix_octets(&recording->check, recording->octets + RECORD_HEADER_SIZE, length);
  if (recording->check.low != check) {
    refuse(recording, recording->offset, "the recording is damaged");
  }
  return (int)(first & 0xff);
}

uint32_t recording_left(const struct recording *recording) {
  return recording->end - recording->at;
}

/* Moves on by `size` octets; returns where they begin. */
static uint32_t take(struct recording *recording, uint32_t size) {
  if (size > recording_left(recording)) {
    recording_wrong(recording, "a record is shorter than what it holds");
  }
  uint32_t at = recording->at;
  recording->at += size;
  return at;
}

uint32_t recording_word(struct recording *recording) {
  return word_at(recording, take(recording, 4));
}

double recording_float(struct recording *recording) {
  double value;
  memcpy(&value, recording->octets + take(recording, sizeof value), sizeof value);
  return value;
}

struct blob recording_blob(struct recording *recording, uint32_t max) {
  uint32_t length = recording_word(recording);
  if (length > max) {
    recording_wrong(recording, "%u octets, at most %u can be", (unsigned)length, (unsigned)max);
  }
  uint32_t at = take(recording, (length + 3) & ~3u);
  return (struct blob){recording->octets + at, length};
}

void recording_finish(struct recording *recording) {
  if (fill(recording, 0, 1) > 0) {
    refuse(recording, recording->following, "octets follow the end of the recording");
  }
}
