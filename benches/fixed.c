/* Loaded into the function with LD_PRELOAD, so that two runs execute the same instructions: the clock and the randomness
   are fixed. On SIGUSR1, the instructions that were counted so far are written to a file, and counting restarts at 0. */

#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <valgrind/callgrind.h>

/* 2027-01-15 08:00:00 UTC, the time at which the cases' tokens are valid. */
static const time_t NOW = 1800000000;

int clock_gettime(clockid_t clock, struct timespec *time) {
  static long calls;
  /* Only differences count on the other clocks: each call is a microsecond after the previous one. */
  time->tv_sec = clock == CLOCK_REALTIME ? NOW : 1;
  time->tv_nsec = clock == CLOCK_REALTIME ? 123456789 : ++calls % 1000000 * 1000;
  return 0;
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
  (void)flags;
  memset(buffer, 7, length);
  return (ssize_t)length;
}

static void report(int signal) {
  (void)signal;
  CALLGRIND_DUMP_STATS;
}

__attribute__((constructor)) static void install(void) { signal(SIGUSR1, report); }
