// resolver_support.h: a sink that collects resolutions and lets a test wait for them, under a deadline.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "os/os_support.h"
#include "os/resolver.h"

namespace tofu {
namespace test {

class CollectingSink final : public ResolutionSink {
 public:
  void on_resolved(const Resolution& resolution) override {
    std::lock_guard<std::mutex> lock(mutex_);
    results_.push_back(resolution);
    changed_.notify_all();
  }
  void retain() override { count(1); }
  void release() override { count(-1); }

  /** All results, once there are `count` of them and nobody holds the sink any more. */
  std::vector<Resolution> await(size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    const bool there = changed_.wait_for(lock, std::chrono::milliseconds(kDeadlineMs),
                                         [&] { return results_.size() >= count && holders_ == 0; });
    EXPECT_TRUE(there) << "waited for " << count << " resolutions; there are " << results_.size() << ", and "
                       << holders_ << " that hold the sink";
    return results_;
  }
  int holders() {
    std::lock_guard<std::mutex> lock(mutex_);
    return holders_;
  }

 private:
  void count(int change) {
    std::lock_guard<std::mutex> lock(mutex_);
    holders_ += change;
    EXPECT_GE(holders_, 0);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Resolution> results_;
  int holders_ = 0;
};

}  // namespace test
}  // namespace tofu
