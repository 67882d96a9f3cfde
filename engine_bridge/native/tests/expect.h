// A minimal test framework: TEST(name) { EXPECT(...); }, all run by main.
#pragma once
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

struct TestCase {
  const char* name;
  void (*run)();
};

std::vector<TestCase>& all_tests();
void note_failure(const char* file, int line, const char* what);

struct Registration {
  Registration(const char* name, void (*run)()) { all_tests().push_back({name, run}); }
};

// Waits until `holds()`; false after a minute, which no busy machine takes: a hang.
template <class Condition>
bool eventually(Condition holds) {
  for (int ms = 0; ms < 60000; ++ms) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

#define TEST(name)                                    \
  static void name();                                 \
  static const Registration name##_registered(#name, &name); \
  static void name()

#define EXPECT(condition) \
  do {                    \
    if (!(condition)) note_failure(__FILE__, __LINE__, #condition); \
  } while (false)
