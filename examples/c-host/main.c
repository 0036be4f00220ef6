/*
 * replay FILE: does again what a recorded engine did, in C, and says where it first differs.
 *
 * Exit code 0: equal to the end. 1: something differs. 2: wrong usage, or the file is none,
 * damaged, cut short, or of another ABI.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>

#include "engine.h"
#include "recording.h"
#include "replay.h"

static double clock_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void print_result(const struct replay_result *result, const char *build, double seconds) {
  unsigned long long frames_in = result->frames_in;
  unsigned long long frames_out = result->frames_out;
  printf("equal: %llu calls in %llu turns of %.6f s%s\n", (unsigned long long)result->calls,
         (unsigned long long)result->turns, result->elapsed / 1e6, result->ending);
  printf("  %llu frames from the guest, %llu to it, %llu operations\n", frames_in, frames_out,
         (unsigned long long)result->operations);
  printf("  digest %08x%08x\n", (unsigned)result->digest.low, (unsigned)result->digest.high);
  printf("  recorded with engine %s\n", build);
  printf("  speed: %.0f frames per second, %.3f s, of which %.3f s in the engine\n",
         (double)(frames_in + frames_out) / seconds, seconds, engine_seconds());
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fputs("usage: replay FILE\n", stderr);
    return EXIT_USELESS;
  }
  struct recording recording;
  struct memory memory;
  recording_open(&recording, argv[1]);
  engine_open(&memory);
  double start = clock_seconds();
  struct replay_result result = replay(&recording, &memory);
  print_result(&result, recording.build, clock_seconds() - start);
  engine_close();
  recording_close(&recording);
  return 0;
}
