# plant.cmake: writes a copy of a file of the core with one fault in it: cmake -DROOT=… -DFAULT=… -DINTO=… -P
# plant.cmake Each fault is an ordering mistake that somebody could make. The text to be replaced must be there exactly
# once, so that a change of the core which moves it is noticed here.
if(FAULT STREQUAL "inline_overtakes")
  # A thread writes to the socket although its earlier messages still wait for the engine's thread.
  set(file port.cc)
  set(from [[run_count > kInlineRuns || !queue_.all_consumed()]])
  set(to [[run_count > kInlineRuns]])
elseif(FAULT STREQUAL "direct_overtakes")
  # The engine writes a large message past what is queued.
  set(file connection.cc)
  set(from [[owned && direct && queue_.empty() && can_send()]])
  set(to [[owned && direct && can_send()]])
elseif(FAULT STREQUAL "queue_turns_round")
  # A block that does not fit into the last one goes to the front.
  set(file send_queue.cc)
  set(from [[blocks_.push(block);]])
  set(to [[blocks_.push_front(block);]])
else()
  message(FATAL_ERROR "unknown fault ${FAULT}")
endif()

file(READ ${ROOT}/native/core/${file} text)
string(FIND "${text}" "${from}" first)
string(FIND "${text}" "${from}" last REVERSE)
if(first EQUAL -1 OR NOT first EQUAL last)
  message(FATAL_ERROR "native/core/${file} does not contain exactly once: ${from}")
endif()
string(REPLACE "${from}" "${to}" text "${text}")
file(WRITE ${INTO} "${text}")
