// errno_map_test.cc: every error number has one meaning, and every meaning one name.
#include "os/errno_map.h"

#include <cerrno>
#include <set>
#include <string>

#include "os/os_support.h"

namespace tofu {
namespace test {
namespace {

TEST(ErrnoMap, knows_what_the_core_can_act_on) {
  const struct {
    int number;
    OsError meaning;
  } rows[] = {
      {0, OsError::none},
      {EAGAIN, OsError::again},
      {EWOULDBLOCK, OsError::again},
      {EINPROGRESS, OsError::in_progress},
      {EALREADY, OsError::in_progress},
      {ECONNRESET, OsError::peer_gone},
      {EPIPE, OsError::peer_gone},
      {ECONNABORTED, OsError::peer_gone},
      {ECONNREFUSED, OsError::refused},
      {ENOENT, OsError::not_found},
      {ENOTDIR, OsError::not_found},
      {EADDRINUSE, OsError::in_use},
      {EEXIST, OsError::in_use},
      {EAFNOSUPPORT, OsError::unavailable},
      {EADDRNOTAVAIL, OsError::unavailable},
      {EINVAL, OsError::unavailable},
      {EMFILE, OsError::no_descriptors},
      {ENFILE, OsError::no_descriptors},
      {ENOBUFS, OsError::no_memory},
      {ENOMEM, OsError::no_memory},
      {ETIMEDOUT, OsError::timed_out},
      {EACCES, OsError::denied},
      {EPERM, OsError::denied},
      {EROFS, OsError::denied},
      {ENETUNREACH, OsError::unreachable},
      {EHOSTUNREACH, OsError::unreachable},
      {ENETDOWN, OsError::unreachable},
      {EHOSTDOWN, OsError::unreachable},
  };
  std::set<int> known;
  for (const auto& row : rows) {
    EXPECT_EQ(os_error_from_errno(row.number), row.meaning) << row.number;
    known.insert(row.number);
  }
  for (int number = -1; number < 4096; number++) {
    if (known.count(number) != 0) continue;
    EXPECT_EQ(os_error_from_errno(number), OsError::other) << number;
  }
}

TEST(ErrnoMap, last_error_is_errno) {
  errno = EMFILE;
  EXPECT_EQ(last_os_error(), OsError::no_descriptors);
}

TEST(ErrnoMap, every_meaning_has_a_name_of_its_own) {
  std::set<std::string> names;
  const int count = static_cast<int>(OsError::other) + 1;
  for (int i = 0; i < count; i++) names.insert(os_error_name(static_cast<OsError>(i)));
  EXPECT_EQ(names.size(), static_cast<size_t>(count));
  EXPECT_STREQ(os_error_name(OsError::peer_gone), "peer_gone");
}

}  // namespace
}  // namespace test
}  // namespace tofu
