// resolver_threads_test.cc: the resolver with its system calls played by the test: lookups that hang, answers of every
// kind, threads that cannot be started. The source is included with those calls renamed; the core's own copy is not
// linked then.
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include "os/resolver_support.h"

namespace {

// Never destroyed: lookups still hang here when the process of the last test ends.
std::mutex& gate_mutex = *new std::mutex;
std::condition_variable& gate_changed = *new std::condition_variable;
bool gate_open = true;
int hanging = 0;
int most_hanging = 0;
std::atomic<int> threads_allowed{1'000'000};
std::atomic<bool> signals_blocked{true};

void set_gate(bool open) {
  std::lock_guard<std::mutex> lock(gate_mutex);
  gate_open = open;
  gate_changed.notify_all();
}
void await_hanging(int count) {
  std::unique_lock<std::mutex> lock(gate_mutex);
  const bool there =
      gate_changed.wait_for(lock, std::chrono::milliseconds(tofu::test::kDeadlineMs), [&] { return hanging == count; });
  ASSERT_TRUE(there) << "waited for " << count << " lookups that hang; there are " << hanging;
}

addrinfo* played_answer(int family, unsigned last_byte, addrinfo* next) {
  struct Node {
    addrinfo info;
    sockaddr_storage address;
  };
  auto* node = static_cast<Node*>(std::calloc(1, sizeof(Node)));
  node->info.ai_family = family;
  node->info.ai_addr = reinterpret_cast<sockaddr*>(&node->address);
  node->info.ai_next = next;
  node->info.ai_addr->sa_family = static_cast<sa_family_t>(family);
  if (family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&node->address)->sin6_addr.s6_addr[15] = static_cast<uint8_t>(last_byte);
    node->info.ai_addrlen = sizeof(sockaddr_in6);
  } else {
    reinterpret_cast<sockaddr_in*>(&node->address)->sin_addr.s_addr = htonl(0x0a000000u + last_byte);
    node->info.ai_addrlen = sizeof(sockaddr_in);
  }
  return &node->info;
}

int played_getaddrinfo(const char* host, const char*, const addrinfo* hints, addrinfo** found) {
  EXPECT_EQ(hints->ai_flags & AI_ADDRCONFIG, 0);
  EXPECT_EQ(hints->ai_socktype, SOCK_STREAM);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  if (sigismember(&mask, SIGTERM) != 1) signals_blocked = false;
  {
    std::unique_lock<std::mutex> lock(gate_mutex);
    hanging++;
    most_hanging = std::max(most_hanging, hanging);
    gate_changed.notify_all();
    gate_changed.wait(lock, [] { return gate_open; });
    hanging--;
    gate_changed.notify_all();
  }
  const std::string name = host;
  if (name == "unknown") return EAI_NONAME;
  addrinfo* list = nullptr;
  if (name == "mixed") {
    // In order: ::7, an unknown family, 10.0.0.1, ::7 again, 10.0.0.2.
    list = played_answer(AF_INET, 2, list);
    list = played_answer(AF_INET6, 7, list);
    list = played_answer(AF_INET, 1, list);
    list = played_answer(AF_UNIX, 9, list);
    list = played_answer(AF_INET6, 7, list);
  } else {
    const unsigned count = name == "many" ? 17 : name == "sixteen" ? 16 : 1;
    for (unsigned i = count; i > 0; i--) list = played_answer(AF_INET, i, list);
  }
  *found = list;
  return 0;
}

void played_freeaddrinfo(addrinfo* list) {
  while (list != nullptr) {
    addrinfo* next = list->ai_next;
    std::free(list);
    list = next;
  }
}

int played_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  if (threads_allowed <= 0) return EAGAIN;
  threads_allowed--;
  return pthread_create(thread, attributes, run, argument);
}

}  // namespace

#define getaddrinfo played_getaddrinfo
#define freeaddrinfo played_freeaddrinfo
#define pthread_create played_pthread_create
#include "os/resolver.cc"  // NOLINT
#undef getaddrinfo
#undef freeaddrinfo
#undef pthread_create

namespace tofu {
namespace test {
namespace {

bool resolve(const std::string& host, uint64_t ticket, CollectingSink* sink, uint64_t until_ns = kNoDeadline) {
  return system_resolver().resolve(host.data(), host.size(), 80, ticket, until_ns, sink);
}

uint32_t ipv4_of(const SocketAddress& address) {
  return ntohl(reinterpret_cast<const sockaddr_in*>(address.bytes)->sin_addr.s_addr);
}

class PlayedResolver : public testing::Test {
 protected:
  /**
   * No thread is allowed from now on, and none is left. Those of lookups before may still be on their way out, and
   * would take one lookup more; so until one is refused.
   */
  static void end_all_threads() {
    threads_allowed = 0;
    CollectingSink sink;
    size_t answered = 0;
    while (resolve("one", answered, &sink)) {
      answered++;
      sink.await(answered);
      ASSERT_LT(answered, 1'000'000u) << "waited for: the last thread to be gone";
    }
    EXPECT_EQ(sink.holders(), 0);
    EXPECT_EQ(sink.await(answered).size(), answered) << "what is refused is not answered";
  }

  ~PlayedResolver() override {
    set_gate(true);
    threads_allowed = 1'000'000;
  }
};

TEST_F(PlayedResolver, keeps_the_order_and_leaves_out_what_is_double_or_foreign) {
  CollectingSink sink;
  ASSERT_TRUE(resolve("mixed", 1, &sink));
  const Resolution result = sink.await(1).at(0);
  ASSERT_EQ(result.count, 3);
  EXPECT_EQ(reinterpret_cast<const sockaddr_in6*>(result.addresses[0].bytes)->sin6_addr.s6_addr[15], 7);
  EXPECT_EQ(ntohs(reinterpret_cast<const sockaddr_in6*>(result.addresses[0].bytes)->sin6_port), 80);
  EXPECT_EQ(ipv4_of(result.addresses[1]), 0x0a000001u);
  EXPECT_EQ(ntohs(reinterpret_cast<const sockaddr_in*>(result.addresses[1].bytes)->sin_port), 80);
  EXPECT_EQ(ipv4_of(result.addresses[2]), 0x0a000002u);
}

TEST_F(PlayedResolver, takes_sixteen_addresses_and_not_the_seventeenth) {
  for (const char* name : {"sixteen", "many"}) {
    CollectingSink sink;
    ASSERT_TRUE(resolve(name, 1, &sink));
    const Resolution result = sink.await(1).at(0);
    ASSERT_EQ(result.count, kMaxAddresses);
    EXPECT_EQ(ipv4_of(result.addresses[kMaxAddresses - 1]), 0x0a000010u);
  }
}

TEST_F(PlayedResolver, a_name_that_does_not_resolve_has_count_zero) {
  CollectingSink sink;
  ASSERT_TRUE(resolve("unknown", 9, &sink));
  const Resolution result = sink.await(1).at(0);
  EXPECT_EQ(result.ticket, 9u);
  EXPECT_EQ(result.count, 0);
}

TEST_F(PlayedResolver, hanging_lookups_take_four_threads_and_the_rest_waits_its_turn) {
  end_all_threads();
  threads_allowed = 100;
  set_gate(false);
  most_hanging = 0;
  CollectingSink sink;
  for (uint64_t ticket = 0; ticket < 40; ticket++) ASSERT_TRUE(resolve("one", ticket, &sink));
  EXPECT_EQ(threads_allowed, 100 - kResolverThreads);
  await_hanging(kResolverThreads);
  EXPECT_EQ(sink.holders(), 40);
  set_gate(true);
  EXPECT_EQ(sink.await(40).size(), 40u);
  EXPECT_LE(most_hanging, kResolverThreads);
  EXPECT_TRUE(signals_blocked);
}

TEST_F(PlayedResolver, a_lookup_nobody_waits_for_any_more_is_left_out) {
  end_all_threads();
  threads_allowed = 1;
  set_gate(false);
  CollectingSink sink;
  ASSERT_TRUE(resolve("one", 0, &sink));
  await_hanging(1);
  const uint64_t soon = system_clock().now_ns() + 1;
  for (uint64_t ticket = 1; ticket < 10; ticket++) ASSERT_TRUE(resolve("one", ticket, &sink, soon));
  ASSERT_TRUE(resolve("one", 10, &sink));
  set_gate(true);
  const std::vector<Resolution> results = sink.await(11);
  for (uint64_t i = 0; i < 11; i++) EXPECT_EQ(results[i].count, i == 0 || i == 10 ? 1 : 0) << i;
}

TEST_F(PlayedResolver, without_a_thread_it_says_so_and_lets_go) {
  end_all_threads();
  CollectingSink sink;
  EXPECT_FALSE(resolve("one", 76, &sink));
  EXPECT_EQ(sink.holders(), 0);
  threads_allowed = 1;
  ASSERT_TRUE(resolve("one", 77, &sink));
  const std::vector<Resolution> results = sink.await(1);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].ticket, 77u);
}

TEST_F(PlayedResolver, with_one_thread_the_others_come_after_it) {
  end_all_threads();
  threads_allowed = 1;
  set_gate(false);
  CollectingSink sink;
  for (uint64_t ticket = 0; ticket < 10; ticket++) ASSERT_TRUE(resolve("one", ticket, &sink));
  await_hanging(1);
  set_gate(true);
  const std::vector<Resolution> results = sink.await(10);
  for (uint64_t i = 0; i < 10; i++) EXPECT_EQ(results[i].ticket, i) << "in the order they were asked for";
}

TEST_F(PlayedResolver, the_process_may_end_while_lookups_hang) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        set_gate(false);
        static CollectingSink* sink = new CollectingSink;
        for (uint64_t ticket = 0; ticket < 10; ticket++) resolve("one", ticket, sink);
        await_hanging(kResolverThreads);
        std::exit(7);
      },
      testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace test
}  // namespace tofu
