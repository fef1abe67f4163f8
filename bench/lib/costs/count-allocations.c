// count-allocations.c: counts what the native engine allocates, for allocations.mjs. Preloaded into a benchmark process on Linux.
// An allocation is the engine's when the code that asked for it lies in tofu_ampe.node; those of Node are counted apart.
// The counters are two 64-bit words in the file that TOFU_BENCH_ALLOCATIONS names, so that the process can read them as it runs.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Atomic(uint64_t) spare_[2];
static _Atomic(uint64_t) *counters_ = spare_;  // [0]: by the engine, [1]: by all others
static _Atomic(uintptr_t) begin_, end_;        // the engine's code; 0 until it is loaded

static int note_range(struct dl_phdr_info *info, size_t size, void *unused) {
  (void)size;
  (void)unused;
  if (info->dlpi_name == NULL || strstr(info->dlpi_name, "tofu_ampe") == NULL) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    begin_ = info->dlpi_addr + part->p_vaddr;
    end_ = begin_ + part->p_memsz;
  }
  return 1;
}

__attribute__((constructor)) static void open_counters(void) {
  const char *file = getenv("TOFU_BENCH_ALLOCATIONS");
  int fd = file == NULL ? -1 : open(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *place = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (place != MAP_FAILED) counters_ = place;
}

void *dlopen(const char *file, int flags) {
  static void *(*next)(const char *, int);
  if (next == NULL) next = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
  void *handle = next(file, flags);
  if (begin_ == 0) dl_iterate_phdr(note_range, NULL);
  return handle;
}

static void count(void *caller) {
  const uintptr_t at = (uintptr_t)caller;
  counters_[at >= begin_ && at < end_ ? 0 : 1]++;
}
#define COUNT() count(__builtin_return_address(0))

void *malloc(size_t size) {
  COUNT();
  return __libc_malloc(size);
}
void *calloc(size_t count_, size_t size) {
  COUNT();
  return __libc_calloc(count_, size);
}
void *realloc(void *memory, size_t size) {
  COUNT();
  return __libc_realloc(memory, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  COUNT();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void **memory, size_t alignment, size_t size) {
  COUNT();
  *memory = __libc_memalign(alignment, size);
  return *memory == NULL ? 12 : 0;
}

// operator new and new[], plain and nothrow: asked for by the engine, they would otherwise be seen as libstdc++'s. One that fails
// ends the process here, which is right for a benchmark.
static void *take(size_t size, void *caller) {
  count(caller);
  void *memory = __libc_malloc(size == 0 ? 1 : size);
  if (memory == NULL) abort();
  return memory;
}
void *_Znwm(size_t size) { return take(size, __builtin_return_address(0)); }
void *_Znam(size_t size) { return take(size, __builtin_return_address(0)); }
void *_ZnwmRKSt9nothrow_t(size_t size, const void *tag) {
  (void)tag;
  return take(size, __builtin_return_address(0));
}
void *_ZnamRKSt9nothrow_t(size_t size, const void *tag) {
  (void)tag;
  return take(size, __builtin_return_address(0));
}
