// errno_map.h: what the kernel's error numbers mean to the core.
// Layer: os, and used nowhere else. Invariant: the number is read before any clean-up call can overwrite it, which is
// why the functions that fail return an OsError and never leave anything in errno.
#pragma once

#include "os/os_error.h"

namespace tofu {

/** Every number has one meaning; what the core cannot act on is `other`. 0 is `none`. */
OsError os_error_from_errno(int number);

/** The meaning of errno as it is now. */
OsError last_os_error();

}  // namespace tofu
