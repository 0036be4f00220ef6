/*
 * Preloaded into dpdk-testpmd by `npm run bench -- --testpmd`: its memory is sealed against
 * shrinking, as QEMU's is, so the other end may access it without a system call for each copy.
 * DPDK 22.11 makes the memory file of --no-huge without any seal.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int memfd_create(const char *name, unsigned int flags)
{
    return (int)syscall(SYS_memfd_create, name, flags | MFD_ALLOW_SEALING);
}

/* A memory file has its size by then. Any other kind of file refuses the seal. */
int ftruncate64(int fd, off64_t size)
{
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0)
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    return result;
}
