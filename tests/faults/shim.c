/*
 * Makes chosen system calls of a dynamically linked program fail: for LD_PRELOAD, in tests only.
 *
 *   FAULT_PATHS   absolute path prefixes, separated by ':'; other files are left alone
 *   FAULT_KINDS   kinds of calls, separated by ',': write sync open name read; none: all
 *   FAULT_NTH     the first call that fails, counted over all of these kinds from 1; 0: none, only count
 *   FAULT_TIMES   how many calls fail from there on; 0: all
 *   FAULT_ERRNO   the error number; 0: a write or read does a part of its work, other calls succeed
 *   FAULT_REPORT  a file that gets a line for each call that was counted: "ok CALL PATH" or "fault CALL PATH"
 *
 * Calls that bypass libc are not seen (rustix, which makes system calls itself).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long counted;
static long nth, times;
static int error_number, report = -1;
static const char *paths, *kinds;

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

__attribute__((constructor)) static void begin(void) {
    paths = setting("FAULT_PATHS");
    kinds = setting("FAULT_KINDS");
    nth = atol(setting("FAULT_NTH"));
    times = atol(setting("FAULT_TIMES"));
    error_number = atoi(setting("FAULT_ERRNO"));
    const char *file = setting("FAULT_REPORT");
    if (*file)
        report = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Whether `path` is one of the prefixes or lies below it. */
static int covered(const char *path) {
    for (const char *prefix = paths; prefix && *prefix;) {
        size_t length = strcspn(prefix, ":");
        if (length && strncmp(path, prefix, length) == 0 &&
            (path[length] == 0 || path[length] == '/' || path[length] == ' '))
            return 1;
        prefix += length + (prefix[length] == ':');
    }
    return 0;
}

static int wanted(const char *kind) {
    if (!kinds || !*kinds)
        return 1;
    size_t length = strlen(kind);
    for (const char *at = kinds; (at = strstr(at, kind)); at += length)
        if ((at == kinds || at[-1] == ',') && (at[length] == 0 || at[length] == ','))
            return 1;
    return 0;
}

/* Counts a call; says whether it is to fail. */
static int due(const char *kind, const char *call, const char *path) {
    if (!covered(path) || !wanted(kind))
        return 0;
    long n = atomic_fetch_add(&counted, 1) + 1;
    int fails = nth > 0 && n >= nth && (times == 0 || n < nth + times);
    if (report >= 0) {
        char line[4352];
        int length = snprintf(line, sizeof line, "%s %s %s\n", fails ? "fault" : "ok", call, path);
        if (length > 0)
            syscall(SYS_write, report, line, (size_t)length);
    }
    return fails;
}

static int due_fd(const char *kind, const char *call, int fd) {
    char link[64], path[4096];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = before;
    if (length <= 0)
        return 0;
    path[length] = 0;
    return due(kind, call, path);
}

/* A path relative to a directory, or to the working directory, as an absolute one. */
static int due_path(const char *kind, const char *call, int dir, const char *name) {
    char link[64], base[4096], path[8256];
    if (name[0] == '/')
        return due(kind, call, name);
    int before = errno;
    if (dir == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
    errno = before;
    if (length <= 0)
        return 0;
    base[length] = 0;
    snprintf(path, sizeof path, "%s/%s", base, name);
    return due(kind, call, path);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))
#define FAIL_OR(is_due, otherwise)      \
    do {                                \
        if ((is_due) && error_number) { \
            errno = error_number;       \
            return -1;                  \
        }                               \
        return otherwise;               \
    } while (0)
/* With no error number, half of what was asked for. */
#define PART_OF(is_due, size) ((is_due) && !error_number && (size) > 1 ? (size) / 2 : (size))

ssize_t write(int fd, const void *from, size_t size) {
    int is_due = due_fd("write", "write", fd);
    FAIL_OR(is_due, REAL(ssize_t, "write", int, const void *, size_t)(fd, from, PART_OF(is_due, size)));
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
    int is_due = due_fd("write", "pwrite", fd);
    FAIL_OR(is_due, REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t)(fd, from, PART_OF(is_due, size), at));
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { return pwrite64(fd, from, size, at); }

ssize_t read(int fd, void *to, size_t size) {
    int is_due = due_fd("read", "read", fd);
    FAIL_OR(is_due, REAL(ssize_t, "read", int, void *, size_t)(fd, to, PART_OF(is_due, size)));
}

ssize_t pread64(int fd, void *to, size_t size, off64_t at) {
    int is_due = due_fd("read", "pread", fd);
    FAIL_OR(is_due, REAL(ssize_t, "pread64", int, void *, size_t, off64_t)(fd, to, PART_OF(is_due, size), at));
}

ssize_t pread(int fd, void *to, size_t size, off_t at) { return pread64(fd, to, size, at); }

int fsync(int fd) { FAIL_OR(due_fd("sync", "fsync", fd), REAL(int, "fsync", int)(fd)); }

int fdatasync(int fd) { FAIL_OR(due_fd("sync", "fdatasync", fd), REAL(int, "fdatasync", int)(fd)); }

int sync_file_range(int fd, off64_t at, off64_t size, unsigned int flags) {
    FAIL_OR(due_fd("sync", "sync_file_range", fd),
            REAL(int, "sync_file_range", int, off64_t, off64_t, unsigned int)(fd, at, size, flags));
}

int ftruncate64(int fd, off64_t size) {
    FAIL_OR(due_fd("name", "ftruncate", fd), REAL(int, "ftruncate64", int, off64_t)(fd, size));
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* Opening to write or to create is kind "open", opening to read is kind "read". */
static int open_is_due(int dir, const char *name, int flags) {
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
    return writes ? due_path("open", "open", dir, name) : due_path("read", "open_to_read", dir, name);
}

#define MODE_OF(flags, mode)                                     \
    mode_t mode = 0;                                             \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                     \
        va_list more;                                            \
        va_start(more, flags);                                   \
        mode = va_arg(more, mode_t);                             \
        va_end(more);                                            \
    }

int open(const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    FAIL_OR(open_is_due(AT_FDCWD, name, flags), REAL(int, "open", const char *, int, ...)(name, flags, mode));
}

int open64(const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    FAIL_OR(open_is_due(AT_FDCWD, name, flags), REAL(int, "open64", const char *, int, ...)(name, flags, mode));
}

int openat(int dir, const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    FAIL_OR(open_is_due(dir, name, flags), REAL(int, "openat", int, const char *, int, ...)(dir, name, flags, mode));
}

int openat64(int dir, const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    FAIL_OR(open_is_due(dir, name, flags), REAL(int, "openat64", int, const char *, int, ...)(dir, name, flags, mode));
}

int mkdir(const char *name, mode_t mode) {
    FAIL_OR(due_path("name", "mkdir", AT_FDCWD, name), REAL(int, "mkdir", const char *, mode_t)(name, mode));
}

int unlink(const char *name) {
    FAIL_OR(due_path("name", "unlink", AT_FDCWD, name), REAL(int, "unlink", const char *)(name));
}

int rename(const char *from, const char *to) {
    FAIL_OR(due_path("name", "rename", AT_FDCWD, to), REAL(int, "rename", const char *, const char *)(from, to));
}
