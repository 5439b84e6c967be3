/* For each process ID on a line of its input, writes the nanoseconds of CPU time that the process has used. */

#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>

int main(void) {
  int process;
  while (scanf("%d", &process) == 1) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) != 0) return 1;
    printf("%lld\n", used.tv_sec * 1000000000LL + used.tv_nsec);
    fflush(stdout);
  }
  return 0;
}
