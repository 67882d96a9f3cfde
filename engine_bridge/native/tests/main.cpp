#include "expect.h"

#include <cstring>

static int failures = 0;

std::vector<TestCase>& all_tests() {
  static std::vector<TestCase> tests;
  return tests;
}

void note_failure(const char* file, int line, const char* what) {
  ++failures;
  std::printf("%s:%d: failed: %s\n", file, line, what);
}

// All tests, or those whose name contains the argument.
int main(int count, char** arguments) {
  int run = 0;
  for (const TestCase& test : all_tests()) {
    if (count > 1 && std::strstr(test.name, arguments[1]) == nullptr) continue;
    const int before = failures;
    test.run();
    ++run;
    std::printf("%s %s\n", failures == before ? "ok    " : "FAILED", test.name);
  }
  std::printf("%d tests, %d failures\n", run, failures);
  return failures == 0 && run > 0 ? 0 : 1;
}
