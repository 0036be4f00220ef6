/* See engine.h. */
#define _POSIX_C_SOURCE 200809L
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recording.h"
#include "wasm-rt-impl.h"
#include "wasm-engine.h"

static Z_engine_instance_t instance;
static double seconds;

/* Octets each region has, by REGION_*. Two banks of operations. */
static const uint32_t REGION_SIZES[REGION_COUNT] = {
    [REGION_CONTROL] = CONTROL_SIZE,
    [REGION_CONFIG] = CONFIG_SIZE,
    [REGION_STATS] = 8 * (STAT_COUNT + DROP_COUNT),
    [REGION_RX_DESCRIPTORS] = RX_SLOT_COUNT * RX_DESCRIPTOR_SIZE,
    [REGION_RX_BUFFERS] = RX_SLOT_COUNT * RX_SLOT_SIZE,
    [REGION_TX_RECORDS] = TX_CAPACITY_COUNT * TX_RECORD_SIZE,
    [REGION_TX_BUFFERS] = TX_CAPACITY_COUNT * TX_SLOT_SIZE,
    [REGION_OPS] = 2 * OP_CAPACITY_COUNT * OP_SIZE,
    [REGION_FLOWS] = FLOW_CAPACITY_COUNT * FLOW_SIZE,
    [REGION_CHUNKS] = CHUNK_CAPACITY_COUNT * CHUNK_SIZE,
    [REGION_SCRATCH] = SCRATCH_SLOT_COUNT * SCRATCH_SLOT_SIZE,
    [REGION_ADDRESSES] = ADDRESS_CAPACITY_COUNT * ADDRESS_SIZE,
};

/* ---------------------------------------------------------------- memory */

uint32_t memory_inside(const struct memory *memory, uint64_t offset, uint64_t length) {
  if (offset == 0 || offset > memory->size || length > memory->size - offset) return 0;
  return (uint32_t)offset;
}

uint32_t memory_load(const struct memory *memory, uint64_t offset) {
  uint32_t word = 0;
  if (memory_inside(memory, offset, sizeof word) != 0) {
    memcpy(&word, memory->octets + offset, sizeof word);
  }
  return word;
}

void memory_store(struct memory *memory, uint64_t offset, uint32_t word) {
  if (memory_inside(memory, offset, sizeof word) != 0) {
    memcpy(memory->octets + offset, &word, sizeof word);
  }
}

static uint64_t load_pointer(const struct memory *memory, uint64_t offset) {
  return memory_load(memory, offset) | (uint64_t)memory_load(memory, offset + 4) << 32;
}

uint32_t memory_referred(const struct memory *memory, uint32_t record, uint32_t field,
                         uint32_t length) {
  uint64_t pointer = load_pointer(memory, (uint64_t)record + field);
  /* What lies before the memory wraps around and lies behind it. */
  return pointer == 0 ? 0 : memory_inside(memory, pointer - memory->host_base, length);
}

void memory_locate(struct memory *memory) {
  uint64_t config = memory->regions[REGION_CONFIG];
  memory->host_base = load_pointer(memory, config + CONFIG_HOST_BASE_LO_OFFSET);
}

/* UIO_MAXIOV: the kernel refuses more. */
enum { IOVECS_MAX = 1024 };

uint32_t message_piece_count(const struct memory *memory, uint32_t message) {
  uint32_t count = memory_load(memory, (uint64_t)message + MSG_IOV_COUNT_OFFSET);
  if (count > IOVECS_MAX) count = IOVECS_MAX;
  return memory_referred(memory, message, MSG_IOV_OFFSET, count * IOV_SIZE) == 0 ? 0 : count;
}

struct part memory_iovec(const struct memory *memory, uint32_t iovec) {
  uint32_t length = memory_load(memory, (uint64_t)iovec + IOV_LENGTH_OFFSET);
  uint64_t base = load_pointer(memory, (uint64_t)iovec + IOV_BASE_OFFSET);
  uint32_t offset = memory_inside(memory, base - memory->host_base, length);
  return (struct part){offset, offset == 0 ? 0 : length};
}

struct part message_piece(const struct memory *memory, uint32_t message, uint32_t i) {
  uint32_t iovecs = memory_referred(memory, message, MSG_IOV_OFFSET, (i + 1) * IOV_SIZE);
  return iovecs == 0 ? (struct part){0, 0} : memory_iovec(memory, iovecs + i * IOV_SIZE);
}

static uint32_t control(const struct memory *memory, uint32_t field) {
  return memory_load(memory, (uint64_t)memory->regions[REGION_CONTROL] + field);
}

static uint32_t at_most(uint32_t count, uint32_t max) { return count < max ? count : max; }

uint32_t engine_frame_count(const struct memory *memory) {
  return at_most(control(memory, CONTROL_TX_COUNT_OFFSET), TX_CAPACITY_COUNT);
}

uint32_t engine_operation_count(const struct memory *memory) {
  return at_most(control(memory, CONTROL_OP_COUNT_OFFSET), OP_CAPACITY_COUNT);
}

uint32_t engine_operations(const struct memory *memory) {
  return control(memory, CONTROL_OP_BASE_OFFSET);
}

/* ---------------------------------------------------------------- instance */

static _Noreturn void refuse(const char *problem) {
  fprintf(stderr, "replay: refuse the engine: %s\n", problem);
  exit(EXIT_USELESS);
}

void engine_open(struct memory *memory) {
  wasm_rt_init();
  Z_engine_init_module();
  Z_engine_instantiate(&instance);
  const wasm_rt_memory_t *own = Z_engineZ_memory(&instance);
  *memory = (struct memory){.octets = own->data, .size = own->size};
  if (own->pages != own->max_pages) refuse("its memory can grow");
  uint32_t at = Z_engineZ_control(&instance);
  if (memory_inside(memory, at, CONTROL_SIZE) == 0) refuse("no control block");
  memory->regions[REGION_CONTROL] = at;
  if (control(memory, CONTROL_MAGIC_OFFSET) != ABI_MAGIC) refuse("no control block");
  if (control(memory, CONTROL_VERSION_OFFSET) != ABI_VERSION) refuse("another ABI version");
  for (uint32_t i = 0; i < REGION_COUNT; i++) {
    uint32_t base = control(memory, CONTROL_REGIONS_OFFSET + 8 * i);
    uint32_t size = control(memory, CONTROL_REGIONS_OFFSET + 8 * i + 4);
    if (size != REGION_SIZES[i] || base % 8 != 0 || memory_inside(memory, base, size) == 0) {
      refuse("a region is not as the ABI says");
    }
    memory->regions[i] = base;
  }
}

void engine_close(void) {
  Z_engine_free(&instance);
  wasm_rt_free();
}

/* ---------------------------------------------------------------- calls */

static void make_call(const struct engine_call *call, struct engine_answer *answer) {
  const uint32_t *words = call->words;
  double now = call->now;
  switch (call->function) {
    case RECORD_START:
      answer->word = Z_engineZ_init(&instance);
      break;
    case RECORD_GUEST_RX:
      Z_engineZ_guest_rx(&instance, words[0], now);
      break;
    case RECORD_EVENT:
      Z_engineZ_upstream_event(&instance, words[0], words[1], now);
      break;
    case RECORD_STEP:
      Z_engineZ_step(&instance, now);
      break;
    case RECORD_COMPLETE:
      Z_engineZ_complete(&instance, now);
      break;
    case RECORD_TX_DONE:
      Z_engineZ_tx_done(&instance);
      break;
    case RECORD_INBOUND_TCP:
      answer->word =
          Z_engineZ_inbound_tcp(&instance, words[0], words[1], words[2], words[3], now);
      break;
    case RECORD_INBOUND_UDP:
      answer->word =
          Z_engineZ_inbound_udp(&instance, words[0], words[1], words[2], words[3], now);
      break;
    case RECORD_ADDRESS_SIX:
      answer->word = Z_engineZ_address_six(&instance);
      break;
    case RECORD_HOST_ADDRESS:
      answer->word = Z_engineZ_host_address(&instance, words[0]);
      break;
    case RECORD_GUEST_GONE:
      Z_engineZ_guest_gone(&instance, now);
      break;
    case RECORD_FAREWELL:
      Z_engineZ_farewell(&instance);
      break;
    case RECORD_DEADLINE:
      answer->number = Z_engineZ_next_deadline(&instance);
      break;
    default:
      abort(); /* replay.c has looked up its name */
  }
}

const char *engine_function_name(int function) {
  static const char *const NAMES[] = {
      [RECORD_START] = "init",
      [RECORD_GUEST_RX] = "guest_rx",
      [RECORD_EVENT] = "upstream_event",
      [RECORD_STEP] = "step",
      [RECORD_COMPLETE] = "complete",
      [RECORD_TX_DONE] = "tx_done",
      [RECORD_INBOUND_TCP] = "inbound_tcp",
      [RECORD_INBOUND_UDP] = "inbound_udp",
      [RECORD_ADDRESS_SIX] = "address_six",
      [RECORD_FAREWELL] = "farewell",
      [RECORD_DEADLINE] = "next_deadline",
      [RECORD_HOST_ADDRESS] = "host_address",
      [RECORD_GUEST_GONE] = "guest_gone",
  };
  bool is_known = function >= 0 && (size_t)function < sizeof NAMES / sizeof *NAMES;
  return is_known && NAMES[function] != NULL ? NAMES[function] : "";
}

static double clock_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void engine_call(const struct engine_call *call, struct engine_answer *answer) {
  *answer = (struct engine_answer){.trap = NULL};
  double start = clock_seconds();
  wasm_rt_trap_t trap = (wasm_rt_trap_t)wasm_rt_impl_try();
  if (trap == WASM_RT_TRAP_NONE) make_call(call, answer);
  else answer->trap = wasm_rt_strerror(trap);
  seconds += clock_seconds() - start;
}

double engine_seconds(void) { return seconds; }
