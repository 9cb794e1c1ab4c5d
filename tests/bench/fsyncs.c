/* Counts a process's fsync and fdatasync in a file it shares, then does the real thing.
   Loaded with LD_PRELOAD; BENCH_FSYNCS names a file of at least 8 bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic long long *count;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void start(void) {
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("BENCH_FSYNCS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) count = page;
}

int fsync(int fd) {
    if (count) atomic_fetch_add(count, 1);
    return real_fsync(fd);
}

int fdatasync(int fd) {
    if (count) atomic_fetch_add(count, 1);
    return real_fdatasync(fd);
}
