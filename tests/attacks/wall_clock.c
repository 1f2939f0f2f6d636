// The wall clock of a process, so many seconds off as the file says that WALL_CLOCK names. Other clocks are left alone.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile long *offset_s;

__attribute__((constructor)) static void open_offset(void) {
    int file = open(getenv("WALL_CLOCK"), O_RDONLY);
    offset_s = mmap(NULL, sizeof *offset_s, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) {
        now->tv_sec += *offset_s;
    }
    return outcome;
}
