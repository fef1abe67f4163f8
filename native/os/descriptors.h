// descriptors.h: makes the kind of descriptor the engine uses: non-blocking, close-on-exec, never a source of SIGPIPE.
// Layer: os, internal. Stateless; any thread. Invariant: on failure no descriptor is left open.
#pragma once

#include "os/os_error.h"

namespace tofu {

/** A stream socket of `family`. */
OsError open_stream_socket(int family, int* fd);
/** accept() on a listener. A connection that died in the backlog is peer_gone: the next one may be fine. */
OsError accept_stream_socket(int listener, int* fd);
/** Both ends of a pipe. */
OsError open_pipe(int* reader, int* writer);

}  // namespace tofu
