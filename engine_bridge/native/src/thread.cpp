#include "thread.h"

#include <memory>
#include <new>

#if defined(_WIN32)
#include <process.h>
#include <windows.h>
#else
#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#endif
#endif

namespace c2r {

namespace {
struct Job {
  Thread::Work work;
  void* argument;
  const char* name;
};

void name_this_thread(const char* name) {
#if defined(__APPLE__)
  pthread_setname_np(name);
#elif defined(__linux__)
  pthread_setname_np(pthread_self(), name);
#else
  (void)name;
#endif
}

// Lower priority: otherwise the scheduler may let a woken I/O thread take the core of the game
// thread that woke it, for the milliseconds that packing an image takes. Where that is forbidden,
// nothing changes.
void yield_to_others() {
#if defined(_WIN32)
  SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
#elif defined(__linux__)
  const sched_param none{};
  sched_setscheduler(0, SCHED_BATCH, &none);
#endif
}

void perform(void* argument) {
  const std::unique_ptr<Job> job(static_cast<Job*>(argument));
  name_this_thread(job->name);
  yield_to_others();
  job->work(job->argument);
}
}  // namespace

#if defined(_WIN32)

static unsigned __stdcall entry(void* argument) {
  perform(argument);
  return 0;
}

static void* launch(Job* job) {
  return reinterpret_cast<void*>(_beginthreadex(nullptr, 0, &entry, job, 0, nullptr));
}
static void release(void* handle) { CloseHandle(handle); }
void Thread::join() {
  if (handle_ == nullptr) return;
  WaitForSingleObject(handle_, INFINITE);
  release(handle_);
  handle_ = nullptr;
}

#else

static void* entry(void* argument) {
  perform(argument);
  return nullptr;
}

static void* launch(Job* job) {
  auto* id = new (std::nothrow) pthread_t;
  if (id != nullptr && pthread_create(id, nullptr, &entry, job) == 0) return id;
  delete id;
  return nullptr;
}
static void release(void* handle) {
  auto* id = static_cast<pthread_t*>(handle);
  pthread_detach(*id);
  delete id;
}
void Thread::join() {
  if (handle_ == nullptr) return;
  auto* id = static_cast<pthread_t*>(handle_);
  pthread_join(*id, nullptr);
  delete id;
  handle_ = nullptr;
}

#endif

static void* launch(Thread::Work work, void* argument, const char* name) {
  auto* job = new (std::nothrow) Job{work, argument, name};
  if (job == nullptr) return nullptr;
  void* handle = launch(job);
  if (handle == nullptr) delete job;
  return handle;
}

bool Thread::start(Work work, void* argument, const char* name) {
  handle_ = launch(work, argument, name);
  return handle_ != nullptr;
}

bool Thread::start_detached(Work work, void* argument, const char* name) {
  void* handle = launch(work, argument, name);
  if (handle == nullptr) return false;
  release(handle);
  return true;
}

}  // namespace c2r
