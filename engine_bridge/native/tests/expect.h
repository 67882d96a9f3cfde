// The smallest test frame that does: TEST(name) { EXPECT(...); }, all run by main.
#pragma once
#include <cstdio>
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

#define TEST(name)                                    \
  static void name();                                 \
  static const Registration name##_registered(#name, &name); \
  static void name()

#define EXPECT(condition) \
  do {                    \
    if (!(condition)) note_failure(__FILE__, __LINE__, #condition); \
  } while (false)
