// A thread that may fail to start, which std::thread says with an exception.
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
  // Starts a thread that nobody waits for.
  static bool start_detached(Work work, void* argument, const char* name);

 private:
  void* handle_ = nullptr;
};

}  // namespace c2r
