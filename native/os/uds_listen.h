// uds_listen.h: takes a path for a listening Unix socket without taking it from anybody who uses it.
// Layer: os, internal. Stateless; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "os/sockets.h"

namespace tofu {

/** See Sockets::listen_uds(). */
OsError listen_on_path(const char* path, size_t length, uint32_t mode, int backlog, int* fd, FileIdentity* identity);
/** See Sockets::remove_path(). */
void remove_path_of(const char* path, size_t length, const FileIdentity& identity);

}  // namespace tofu
