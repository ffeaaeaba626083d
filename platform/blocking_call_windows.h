// A transfer that a thread of the system's pool makes and that may never end by itself: a read of a console, or of a pipe
// that no completion port serves. cancel() cuts it short.
//
// Threads: enter() and leave() on the thread that makes the call, cancel() on any other, as long as the object lives.
#pragma once

#include <windows.h>

namespace gyre {

class BlockingCall {
 public:
  enum class Outcome : unsigned char {
    asked,   // the call ends, or there is none
    missed,  // the thread is not in the system yet, or not any more: to be tried again
  };

  BlockingCall() noexcept = default;
  BlockingCall(const BlockingCall&) = delete;
  BlockingCall& operator=(const BlockingCall&) = delete;

  void renew() noexcept { was_cancelled_ = false; }
  // Before the call, which may be overlapped and waited for. False: it was cancelled, and is not to be made.
  bool enter(HANDLE file, OVERLAPPED* overlapped) noexcept {
    // Without a handle of the thread nobody can cut the call short; it is made nevertheless.
    const HANDLE self = ::OpenThread(THREAD_TERMINATE, FALSE, ::GetCurrentThreadId());
    ::AcquireSRWLockExclusive(&lock_);
    thread_ = self;
    file_ = file;
    overlapped_ = overlapped;
    const bool may_go_on = !was_cancelled_;
    ::ReleaseSRWLockExclusive(&lock_);
    if (!may_go_on) leave();
    return may_go_on;
  }
  // After it. What else this thread does, nobody cancels: who has found it in the call has done so under the lock.
  void leave() noexcept {
    ::AcquireSRWLockExclusive(&lock_);
    const HANDLE self = thread_;
    thread_ = nullptr;
    overlapped_ = nullptr;
    file_ = nullptr;
    ::ReleaseSRWLockExclusive(&lock_);
    if (self != nullptr) ::CloseHandle(self);
  }
  Outcome cancel() noexcept {
    ::AcquireSRWLockExclusive(&lock_);
    was_cancelled_ = true;
    const bool missed = thread_ != nullptr && !cut_short();
    ::ReleaseSRWLockExclusive(&lock_);
    return missed ? Outcome::missed : Outcome::asked;
  }

 private:
  bool cut_short() const noexcept {
    if (::CancelSynchronousIo(thread_) != 0) return true;
    return overlapped_ != nullptr && ::CancelIoEx(file_, overlapped_) != 0;
  }

  SRWLOCK lock_ = SRWLOCK_INIT;
  HANDLE thread_ = nullptr;  // that is between enter() and leave()
  HANDLE file_ = nullptr;
  OVERLAPPED* overlapped_ = nullptr;  // of the call, or null
  bool was_cancelled_ = false;
};

}  // namespace gyre
