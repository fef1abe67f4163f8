// engine_options.cc: reads and checks the fields of the options object. Layer: addon. Thread: the environment's.
#include "addon/engine_options.h"

#include <cmath>
#include <cstring>
#include <string>

#include "os/processors.h"
#include "protocol/constants.h"

namespace tofu {
namespace {

constexpr double kMostTimeoutMs = 2'147'483'647;
constexpr double kMostSpinUs = 1'000'000;

struct PollerName {
  const char* name;
  PollerKind kind;
};
constexpr PollerName kPollerNames[] = {
    {"best", PollerKind::best},
    {"epoll", PollerKind::epoll},
    {"kqueue", PollerKind::kqueue},
    {"poll", PollerKind::poll},
};

bool refuse(Napi::Env env, const char* name) {
  // An exception of a getter comes first.
  if (env.IsExceptionPending()) return false;
  const std::string text = std::string("options.") + name + " is not what lib/ must give";
  Napi::TypeError::New(env, text).ThrowAsJavaScriptException();
  return false;
}

template <typename T>
bool read_number(const Napi::Object& object, const char* name, double least, double most, T* into) {
  const Napi::Value value = object.Get(name);
  if (value.IsEmpty() || !value.IsNumber()) return refuse(object.Env(), name);
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= least && number <= most) || std::floor(number) != number) return refuse(object.Env(), name);
  *into = static_cast<T>(number);
  return true;
}

bool read_poller(const Napi::Object& object, PollerKind* into) {
  const Napi::Value value = object.Get("poller");
  if (value.IsEmpty() || !value.IsString()) return refuse(object.Env(), "poller");
  const std::string text = value.As<Napi::String>().Utf8Value();
  for (const PollerName& each : kPollerNames) {
    if (text != each.name) continue;
    *into = each.kind;
    return true;
  }
  return refuse(object.Env(), "poller");
}

}  // namespace

bool read_options(Napi::Value value, EngineOptions* options) {
  if (!value.IsObject()) {
    Napi::TypeError::New(value.Env(), "create(options, onDoorbell)").ThrowAsJavaScriptException();
    return false;
  }
  const Napi::Object object = value.As<Napi::Object>();
  const bool sound =
      read_number(object, "connectTimeoutMs", 1, kMostTimeoutMs, &options->connect_timeout_ms) &&
      read_number(object, "handshakeTimeoutMs", 1, kMostTimeoutMs, &options->handshake_timeout_ms) &&
      read_number(object, "closeTimeoutMs", 1, kMostTimeoutMs, &options->close_timeout_ms) &&
      read_number(object, "keepAliveMs", 1, kMostTimeoutMs, &options->keep_alive_ms) &&
      read_number(object, "udsMode", 0, 0777, &options->uds_mode) &&
      read_number(object, "maxChannels", 1, kLastChannel, &options->max_channels) &&
      read_poller(object, &options->poller) && read_number(object, "spinUs", -1, kMostSpinUs, &options->spin_us);
  // Where one thread runs at a time, whoever looks for an answer keeps the one from running that makes it.
  if (options->spin_us < 0 && usable_processors() == 1) options->spin_us = 0;
  return sound;
}

}  // namespace tofu
