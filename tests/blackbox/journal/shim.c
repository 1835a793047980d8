/* Preloaded into the gateway: a disk that hangs or fails, another boot of the machine, and what was
 * synced.
 *   SHIM_DIR      files below this path are the journal's
 *   SHIM_HANG     while this file exists, writes and syncs of the journal's files do not return
 *   SHIM_FAIL     while this file exists, they fail: of all files, or of all but the mark if it says so
 *   SHIM_BOOT_ID  this file is read in place of the system's boot id
 *   SHIM_SYNCED   the paths that were synced are added to this file
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int path_of(int fd, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static void hang(int fd) {
  const char *trigger = getenv("SHIM_HANG"), *dir = getenv("SHIM_DIR");
  char path[4096];
  if (!trigger || !dir || access(trigger, F_OK) != 0) return;
  if (!path_of(fd, path, sizeof path) || strncmp(path, dir, strlen(dir)) != 0) return;
  while (access(trigger, F_OK) == 0) usleep(5000);
}

static int fails(int fd) {
  const char *trigger = getenv("SHIM_FAIL"), *dir = getenv("SHIM_DIR");
  char path[4096], what[16] = "";
  FILE *file = trigger && dir ? fopen(trigger, "r") : 0;
  if (!file) return 0;
  size_t length = fread(what, 1, sizeof what - 1, file);
  what[length] = 0;
  fclose(file);
  if (!path_of(fd, path, sizeof path) || strncmp(path, dir, strlen(dir)) != 0) return 0;
  if (strcmp(what, "but mark") == 0 && strstr(path, "/promised")) return 0;
  errno = EIO;
  return 1;
}

static void synced(int fd) {
  const char *file = getenv("SHIM_SYNCED");
  char path[4096];
  if (!file || !path_of(fd, path, sizeof path)) return;
  FILE *out = fopen(file, "a");
  if (!out) return;
  fprintf(out, "%s\n", path);
  fclose(out);
}

#define NEXT(type, name) \
  static type (*next)(int); \
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, name)

int fsync(int fd) {
  NEXT(int, "fsync");
  hang(fd);
  if (fails(fd)) return -1;
  synced(fd);
  return next(fd);
}
int fdatasync(int fd) {
  NEXT(int, "fdatasync");
  hang(fd);
  if (fails(fd)) return -1;
  return next(fd);
}
ssize_t write(int fd, const void *b, size_t n) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, "write");
  hang(fd);
  if (fails(fd)) return -1;
  return next(fd, b, n);
}
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) {
  static ssize_t (*next)(int, const void *, size_t, off64_t);
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pwrite64");
  hang(fd);
  if (fails(fd)) return -1;
  return next(fd, b, n, at);
}
int open64(const char *path, int flags, ...) {
  static int (*next)(const char *, int, ...);
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, "open64");
  const char *boot = getenv("SHIM_BOOT_ID");
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  if (boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) path = boot;
  return next(path, flags, mode);
}
