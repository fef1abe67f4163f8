// darwin_new_delete.cc: operator new and delete for binaries that zig links for macOS, and for these only.
// Those of its static C++ runtime are visible to the dynamic linker, which would share them with the rest of the process, and zig
// has no list of exports to hide them with. These are hidden; the linker takes them and leaves the others in their archive.
// They are named by their symbols, since their declarations in <new> say that they are to be seen.
// What fails ends the process, or gives null where nothrow was said: as everywhere in code without exceptions.
#include <stddef.h>
#include <stdlib.h>

#define TOFU_HIDDEN(symbol) __asm__("_" symbol) __attribute__((visibility("hidden")))
#define TOFU_NEW(name, symbol) void* name(size_t size) TOFU_HIDDEN(symbol)
#define TOFU_ALIGNED_NEW(name, symbol) void* name(size_t size, size_t alignment) TOFU_HIDDEN(symbol)
#define TOFU_DELETE(name, symbol)             \
  void name(void* memory) TOFU_HIDDEN(symbol); \
  void name(void* memory) { free(memory); }

extern "C" {

TOFU_NEW(tofu_new, "_Znwm");
TOFU_NEW(tofu_new_array, "_Znam");
TOFU_NEW(tofu_new_nothrow, "_ZnwmRKSt9nothrow_t");
TOFU_NEW(tofu_new_array_nothrow, "_ZnamRKSt9nothrow_t");
TOFU_ALIGNED_NEW(tofu_new_aligned, "_ZnwmSt11align_val_t");
TOFU_ALIGNED_NEW(tofu_new_array_aligned, "_ZnamSt11align_val_t");
TOFU_ALIGNED_NEW(tofu_new_aligned_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t");
TOFU_ALIGNED_NEW(tofu_new_array_aligned_nothrow, "_ZnamSt11align_val_tRKSt9nothrow_t");

// The arguments behind the pointer (size, alignment, nothrow) are of no interest to free().
TOFU_DELETE(tofu_delete, "_ZdlPv")
TOFU_DELETE(tofu_delete_array, "_ZdaPv")
TOFU_DELETE(tofu_delete_sized, "_ZdlPvm")
TOFU_DELETE(tofu_delete_array_sized, "_ZdaPvm")
TOFU_DELETE(tofu_delete_nothrow, "_ZdlPvRKSt9nothrow_t")
TOFU_DELETE(tofu_delete_array_nothrow, "_ZdaPvRKSt9nothrow_t")
TOFU_DELETE(tofu_delete_aligned, "_ZdlPvSt11align_val_t")
TOFU_DELETE(tofu_delete_array_aligned, "_ZdaPvSt11align_val_t")
TOFU_DELETE(tofu_delete_sized_aligned, "_ZdlPvmSt11align_val_t")
TOFU_DELETE(tofu_delete_array_sized_aligned, "_ZdaPvmSt11align_val_t")
TOFU_DELETE(tofu_delete_aligned_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t")
TOFU_DELETE(tofu_delete_array_aligned_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t")

void* tofu_new_nothrow(size_t size) { return malloc(size == 0 ? 1 : size); }

void* tofu_new_aligned_nothrow(size_t size, size_t alignment) {
  void* memory = nullptr;
  const size_t least = alignment < sizeof(void*) ? sizeof(void*) : alignment;
  return posix_memalign(&memory, least, size == 0 ? least : size) == 0 ? memory : nullptr;
}

void* tofu_new(size_t size) {
  void* memory = tofu_new_nothrow(size);
  if (memory == nullptr) abort();
  return memory;
}

void* tofu_new_aligned(size_t size, size_t alignment) {
  void* memory = tofu_new_aligned_nothrow(size, alignment);
  if (memory == nullptr) abort();
  return memory;
}

void* tofu_new_array(size_t size) { return tofu_new(size); }
void* tofu_new_array_nothrow(size_t size) { return tofu_new_nothrow(size); }
void* tofu_new_array_aligned(size_t size, size_t alignment) { return tofu_new_aligned(size, alignment); }
void* tofu_new_array_aligned_nothrow(size_t size, size_t alignment) { return tofu_new_aligned_nothrow(size, alignment); }

}  // extern "C"
