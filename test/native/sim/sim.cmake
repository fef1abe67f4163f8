# sim.cmake: the programs of the simulated kernel, included by test/native/CMakeLists.txt.
# Objects that are linked before the core's library take the place of the library's copies: so the state table and the
# allocation of events are listened to, and so a planted fault gets into a program whose other code is the shipped one.
set(TOFU_SIM ${CMAKE_CURRENT_LIST_DIR})
add_library(tofu_sim OBJECT
  ${TOFU_SIM}/application.cc ${TOFU_SIM}/application_inbox.cc ${TOFU_SIM}/event_probe.cc ${TOFU_SIM}/kernel.cc
  ${TOFU_SIM}/kernel_views.cc ${TOFU_SIM}/ledger.cc ${TOFU_SIM}/raw_peer.cc ${TOFU_SIM}/simulation.cc
  ${TOFU_SIM}/state_probe.cc)
target_link_libraries(tofu_sim PUBLIC tofu_test_flags)

function(tofu_sim_program name)
  add_executable(${name} ${ARGN} $<TARGET_OBJECTS:tofu_sim>)
  target_link_libraries(${name} PRIVATE tofu_test_flags GTest::gtest_main)
  gtest_discover_tests(${name} TEST_PREFIX ${name}: DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300)
endfunction()

tofu_sim_program(sim-sim_test ${TOFU_SIM}/sim_test.cc)

# A fault, and the file of the core it is in.
foreach(planted inline_overtakes:port direct_overtakes:connection queue_turns_round:send_queue)
  string(REPLACE ":" ";" planted ${planted})
  list(GET planted 0 fault)
  list(GET planted 1 file)
  set(mutant ${CMAKE_CURRENT_BINARY_DIR}/planted/${fault}.cc)
  add_custom_command(
    OUTPUT ${mutant}
    COMMAND ${CMAKE_COMMAND} -DROOT=${CMAKE_SOURCE_DIR} -DFAULT=${fault} -DINTO=${mutant} -P ${TOFU_SIM}/plant.cmake
    DEPENDS ${CMAKE_SOURCE_DIR}/native/core/${file}.cc ${TOFU_SIM}/plant.cmake
    VERBATIM)
  tofu_sim_program(sim-planted-${fault} ${TOFU_SIM}/planted_test.cc ${mutant})
endforeach()
