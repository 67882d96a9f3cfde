// A thread whose start may fail: std::thread would throw, and engines build without exceptions.
#pragma once
#include "prelude.h"

namespace c2r {

class Thread {
 public:
  using Work = void (*)(void* argument);

  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  // False when the system gives no thread.
  bool start(Work work, void* argument, const char* name);
  void join();
  // Starts a thread that is not joined.
  static bool start_detached(Work work, void* argument, const char* name);

 private:
  void* handle_ = nullptr;
};

}  // namespace c2r
