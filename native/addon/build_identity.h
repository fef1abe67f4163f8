// build_identity.h: which version of the package and which sources this binary was built from, as its builder says:
// TOFU_VERSION and TOFU_SOURCES_HASH come from scripts/build-identity.cjs. Layer: addon.
// One literal, so that it can be found in a file that cannot be loaded here; what is shown to JavaScript are its parts.
#pragma once

#include <cstddef>

#if !defined(TOFU_VERSION) || !defined(TOFU_SOURCES_HASH)
#error "the builder must define TOFU_VERSION and TOFU_SOURCES_HASH: see scripts/build-identity.cjs"
#endif

namespace tofu {

inline constexpr char kBuildIdentity[] = "tofu-ampe@" TOFU_VERSION "#" TOFU_SOURCES_HASH;
inline constexpr size_t kVersionAt = sizeof("tofu-ampe@") - 1;
inline constexpr size_t kVersionLength = sizeof(TOFU_VERSION) - 1;
inline constexpr size_t kSourcesHashAt = kVersionAt + kVersionLength + 1;

}  // namespace tofu
