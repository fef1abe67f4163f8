/*
 * Stands between a process and libc when preloaded: answers names that end in .test from files, counts writes on
 * sockets, and reports the options that sockets really carry. For tests of engines that call the system themselves.
 * Linux. The directory TOFU_SHIM_DIR holds one file per name with its addresses, blanks between; a fifo makes whoever
 * resolves the name wait. Resolving report.test writes the file `report` there. Invariant: everything else is libc's.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long writes;

static void count(int fd) {
  struct stat status;
  if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) atomic_fetch_add(&writes, 1);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void* bytes, size_t length) {
  count(fd);
  return REAL(write)(fd, bytes, length);
}
ssize_t writev(int fd, const struct iovec* slices, int slice_count) {
  count(fd);
  return REAL(writev)(fd, slices, slice_count);
}
ssize_t send(int fd, const void* bytes, size_t length, int flags) {
  count(fd);
  return REAL(send)(fd, bytes, length, flags);
}
ssize_t sendto(int fd, const void* bytes, size_t length, int flags, const struct sockaddr* to, socklen_t to_length) {
  count(fd);
  return REAL(sendto)(fd, bytes, length, flags, to, to_length);
}
ssize_t sendmsg(int fd, const struct msghdr* message, int flags) {
  count(fd);
  return REAL(sendmsg)(fd, message, flags);
}
int sendmmsg(int fd, struct mmsghdr* messages, unsigned int message_count, int flags) {
  count(fd);
  return REAL(sendmmsg)(fd, messages, message_count, flags);
}

static FILE* open_in_directory(const char* name, const char* mode) {
  const char* directory = getenv("TOFU_SHIM_DIR");
  char path[4096];
  if (directory == NULL) return NULL;
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return fopen(path, mode);
}

static int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

static int port_of(const struct sockaddr_storage* address) {
  if (address->ss_family == AF_INET) return ntohs(((const struct sockaddr_in*)address)->sin_port);
  if (address->ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6*)address)->sin6_port);
  return -1;
}

static void report(void) {
  long counted = atomic_load(&writes);
  FILE* file = open_in_directory("report", "w");
  if (file == NULL) return;
  fprintf(file, "writes %ld\n", counted);
  for (int fd = 0; fd < 1024; fd++) {
    struct sockaddr_storage local, remote;
    socklen_t local_length = sizeof local, remote_length = sizeof remote;
    if (getsockname(fd, (struct sockaddr*)&local, &local_length) != 0 || port_of(&local) < 0) continue;
    if (getpeername(fd, (struct sockaddr*)&remote, &remote_length) != 0) continue;
    fprintf(file, "socket %d %d %d %d %d %d\n", port_of(&local), port_of(&remote),
            option(fd, IPPROTO_TCP, TCP_NODELAY), option(fd, SOL_SOCKET, SO_KEEPALIVE),
            option(fd, IPPROTO_TCP, TCP_KEEPIDLE), option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT));
  }
  fclose(file);
}

static int ends_with_test(const char* host) {
  size_t length = host == NULL ? 0 : strlen(host);
  return length > 5 && strcmp(host + length - 5, ".test") == 0;
}

int getaddrinfo(const char* host, const char* service, const struct addrinfo* hints, struct addrinfo** found) {
  __typeof__(&getaddrinfo) real = REAL(getaddrinfo);
  if (!ends_with_test(host)) return real(host, service, hints, found);
  if (strcmp(host, "report.test") == 0) {
    report();
    return EAI_NONAME;
  }
  FILE* file = open_in_directory(host, "r");
  if (file == NULL) return EAI_NONAME;
  struct addrinfo numeric = hints == NULL ? (struct addrinfo){0} : *hints;
  numeric.ai_flags = AI_NUMERICHOST;
  struct addrinfo** end = found;
  *found = NULL;
  char address[64];
  while (fscanf(file, "%63s", address) == 1) {
    if (real(address, service, &numeric, end) != 0) continue;
    while (*end != NULL) end = &(*end)->ai_next;
  }
  fclose(file);
  return *found == NULL ? EAI_NONAME : 0;
}
