{
  "variables": {
    "core": [
      "native/base/byte_queue.cc",
      "native/protocol/address.cc",
      "native/protocol/channel_state.cc",
      "native/protocol/framer.cc",
      "native/protocol/status.cc",
      "native/protocol/text_headers.cc",
      "native/os/addresses.cc",
      "native/os/clock.cc",
      "native/os/descriptors.cc",
      "native/os/errno_map.cc",
      "native/os/poll_poller.cc",
      "native/os/poller.cc",
      "native/os/processors.cc",
      "native/os/resolver.cc",
      "native/os/scheduling.cc",
      "native/os/sockets.cc",
      "native/os/uds_listen.cc",
      "native/os/waker.cc",
      "native/core/channel.cc",
      "native/core/connection.cc",
      "native/core/connection_dial.cc",
      "native/core/connection_receive.cc",
      "native/core/engine.cc",
      "native/core/event.cc",
      "native/core/listener.cc",
      "native/core/port.cc",
      "native/core/reactor.cc",
      "native/core/reactor_posts.cc",
      "native/core/resolved_queue.cc",
      "native/core/send_queue.cc",
      "native/core/shared.cc"
    ],
    "core_linux": [
      "native/os/epoll_poller.cc"
    ],
    "core_bsd": [
      "native/os/kqueue_poller.cc"
    ],
    "addon": [
      "native/addon/addon.cc",
      "native/addon/addon_state.cc",
      "native/addon/batch_functions.cc",
      "native/addon/engine_options.cc",
      "native/addon/env_doorbell.cc",
      "native/addon/port_functions.cc",
      "native/addon/tables.cc"
    ]
  }
}
