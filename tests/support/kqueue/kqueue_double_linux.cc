// A double of the BSD kernels' kqueue and kevent over epoll, so that Gyre's kqueue poller runs on Linux.
//
// It has what that poller uses, and it answers as the manual pages say (kqueue(2) of macOS and FreeBSD):
//   row  the manual says                                                     here
//    1   an event is named by (ident, filter); adding it again changes it    the key of `notes`
//    2   EV_CLEAR: the state is reset once the event has been retrieved      epoll's edge trigger; notes without it are refused
//    3   a registration finds what is ready already                          EPOLL_CTL_ADD and _MOD do, too
//    4   EVFILT_READ: EV_EOF once the writer is gone, also while data are     EPOLLRDHUP, EPOLLHUP; `data` says how much is left
//        left to be read
//    5   EVFILT_WRITE: EV_EOF once the reader is gone; of a socket also       EPOLLERR, EPOLLHUP; not of a full pipe, of which
//        after a failed connect                                               NetBSD has only EVFILT_READ's EV_EOF
//    6   a change that fails is an event with EV_ERROR and the errno, if     as it says, else the call fails with it; FreeBSD
//        there is room, else the call fails with that errno                  leaves no other flag, so neither does this
//    7   EV_RECEIPT: every change is answered so, with 0 for success;         as it says; a receipt without room ends the call:
//        pending events are not retrieved                                     0, and the rest is not made (NetBSD)
//    8   EV_DELETE of what is not registered: ENOENT; bad descriptor: EBADF   as it says
//    9   EINTR: all changes have been made                                    as it says
//   10   closing a descriptor deletes its events                             nothing is reported of a number that is closed, or
//                                                                             another file's by now
//   11   EVFILT_USER: an identifier of its own kind, triggered by             `is_triggered`, and a bell in every queue
//        NOTE_TRIGGER, from any thread
//   12   a queue is not inherited by fork                                     it is; do not use it there
//   13   a call may be made in a signal handler (kevent is a system call)     no signal is handled while `queues` are locked
//   14   EVFILT_PROC with NOTE_EXIT: one event at the process's end, with     alone in its queue, which becomes a pidfd by that; it
//        its status in `data`; ESRCH if there is none, on macOS also if it     stays readable after the event; `data` is 0
//        has ended and not been reaped
//   15   a queue with events polls readable                                   as it says; with EVFILT_USER also once after a trigger
//                                                                             of another queue's
// It reports more than a kernel: each edge of a descriptor is reported for whichever of its two filters is ready then.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

#include "kqueue_double.h"

namespace {

struct Note {
  std::uint16_t flags = 0;
  void* udata = nullptr;
  bool is_triggered = false;  // of EVFILT_USER
};

// What epoll has been told about a descriptor.
struct Told {
  std::uint32_t serial = 0;
  dev_t device = 0;  // with `inode`: which file it was
  ino_t inode = 0;
};

struct Queue {
  std::map<std::pair<std::uintptr_t, int>, Note> notes;
  std::map<std::uintptr_t, Told> told;
  std::uint32_t last_serial = 0;
  bool is_pidfd = false;  // row 14
};

// What is in every queue with an EVFILT_USER, so that a trigger ends a sleep; it wakes all of them. Open from the start, so
// that no test finds a descriptor that it does not know.
const int bell = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
constexpr std::uint64_t bell_data = ~std::uint64_t{0};

// Row 13: no signal is handled by the thread that holds it, as the handler may trigger an event.
class KernelLock {
 public:
  KernelLock() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    mutex_.lock();
  }
  KernelLock(const KernelLock&) = delete;
  KernelLock& operator=(const KernelLock&) = delete;
  ~KernelLock() {
    mutex_.unlock();
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  static inline std::mutex mutex_;
  sigset_t before_;
};

std::map<int, Queue>& queues() {
  static std::map<int, Queue> all;
  return all;
}

// What the tests want to fail; under the lock.
struct Refusals {
  int filter = 0;
  int error = 0;
  int left = 0;
} refusals;

Note* find(Queue& queue, std::uintptr_t ident, int filter) {
  const auto found = queue.notes.find({ident, filter});
  return found == queue.notes.end() ? nullptr : &found->second;
}

// Tells epoll which filters the descriptor has now. 0 or an errno.
int update(int epoll, Queue& queue, std::uintptr_t ident) {
  const bool reads = find(queue, ident, EVFILT_READ) != nullptr;
  const bool writes = find(queue, ident, EVFILT_WRITE) != nullptr;
  const int fd = static_cast<int>(ident);
  epoll_event event{};
  if (!reads && !writes) {
    queue.told.erase(ident);
    (void)::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event);  // it may be closed
    return 0;
  }
  const std::uint32_t serial = ++queue.last_serial;
  event.events = EPOLLET | (reads ? EPOLLIN | EPOLLRDHUP : 0u) | (writes ? EPOLLOUT : 0u);
  event.data.u64 = std::uint64_t{serial} << 32 | static_cast<std::uint32_t>(fd);
  int result = ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  if (result < 0 && errno == EEXIST) result = ::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
  if (result < 0) return errno;
  struct stat file {};
  if (::fstat(fd, &file) < 0) return errno;
  queue.told[ident] = {serial, file.st_dev, file.st_ino};
  return 0;
}

// Row 11. 0 or an errno.
int add_bell(int epoll) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = bell_data;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, bell, &event) == 0 || errno == EEXIST ? 0 : errno;
}

bool has_ended(int pidfd) {
  pollfd entry{.fd = pidfd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) > 0;
}

// Row 14. The queue's number is the pidfd's from now on, so that whoever closes it closes all there is. 0 or an errno.
int add_process(int number, Queue& queue, const struct kevent& change) {
  if (!queue.notes.empty() || queue.is_pidfd || change.fflags != NOTE_EXIT) return EINVAL;
  constexpr long number_pidfd_open = 434;
  const int pidfd = static_cast<int>(::syscall(number_pidfd_open, static_cast<pid_t>(change.ident), 0));
  if (pidfd < 0) return errno;
  int error = has_ended(pidfd) ? ESRCH : 0;
  if (error == 0 && ::dup3(pidfd, number, O_CLOEXEC) < 0) error = errno;
  ::close(pidfd);
  if (error != 0) return error;
  queue.notes[{change.ident, EVFILT_PROC}] = {change.flags, change.udata, false};
  queue.is_pidfd = true;
  return 0;
}

int add(int epoll, Queue& queue, const struct kevent& change) {
  if (change.filter == EVFILT_PROC) return add_process(epoll, queue, change);
  if (queue.is_pidfd) return EINVAL;
  const bool is_user = change.filter == EVFILT_USER;
  if (!is_user && change.filter != EVFILT_READ && change.filter != EVFILT_WRITE) return EINVAL;
  if ((change.flags & EV_CLEAR) == 0) return EINVAL;  // row 2
  if (refusals.left > 0 && change.filter == refusals.filter) {
    --refusals.left;
    return refusals.error;
  }
  const auto key = std::pair<std::uintptr_t, int>(change.ident, change.filter);
  const bool is_new = queue.notes.find(key) == queue.notes.end();
  Note& note = queue.notes[key];
  note.flags = change.flags;
  note.udata = change.udata;
  if (is_user) return add_bell(epoll);
  const int error = update(epoll, queue, change.ident);
  if (error != 0 && is_new) queue.notes.erase(key);
  return error;
}

int apply(int epoll, Queue& queue, const struct kevent& change) {
  Note* const note = find(queue, change.ident, change.filter);
  if ((change.flags & EV_ADD) != 0) {
    const int error = add(epoll, queue, change);
    if (error != 0) return error;
  } else if (note == nullptr) {
    return ENOENT;
  } else if ((change.flags & EV_DELETE) != 0) {
    queue.notes.erase({change.ident, change.filter});
    return change.filter == EVFILT_USER || change.filter == EVFILT_PROC ? 0 : update(epoll, queue, change.ident);
  }
  if (change.filter == EVFILT_USER && (change.fflags & NOTE_TRIGGER) != 0) {
    find(queue, change.ident, change.filter)->is_triggered = true;
    const std::uint64_t one = 1;
    (void)!::write(bell, &one, sizeof(one));
  }
  return 0;
}

// What a caller is given, one after the other.
struct Answers {
  struct kevent* events;
  int room;
  int count = 0;
  bool is_full() const { return count == room; }
  void push(const struct kevent& event) { events[count++] = event; }
};

struct kevent event_of(std::uintptr_t ident, int filter, const Note& note) {
  struct kevent event {};
  event.ident = ident;
  event.filter = static_cast<std::int16_t>(filter);
  event.flags = static_cast<std::uint16_t>(note.flags & ~(EV_RECEIPT | EV_ADD));
  event.udata = note.udata;
  return event;
}

// Row 10.
bool is_current(const Queue& queue, const epoll_event& seen, std::uintptr_t ident) {
  const auto told = queue.told.find(ident);
  if (told == queue.told.end() || told->second.serial != seen.data.u64 >> 32) return false;
  struct stat file {};
  return ::fstat(static_cast<int>(ident), &file) == 0 && file.st_dev == told->second.device &&
         file.st_ino == told->second.inode;
}

bool is_pipe(int fd) {
  struct stat file {};
  return ::fstat(fd, &file) == 0 && S_ISFIFO(file.st_mode);
}

// Row 4, row 5.
void report(Queue& queue, const epoll_event& seen, Answers& answers) {
  const auto ident = static_cast<std::uintptr_t>(static_cast<std::uint32_t>(seen.data.u64));
  if (!is_current(queue, seen, ident)) return;
  const bool has_ended = (seen.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  const bool has_failed = (seen.events & (EPOLLHUP | EPOLLERR)) != 0;
  const Note* const reader = find(queue, ident, EVFILT_READ);
  if (reader != nullptr && ((seen.events & EPOLLIN) != 0 || has_ended) && !answers.is_full()) {
    struct kevent event = event_of(ident, EVFILT_READ, *reader);
    if (has_ended) event.flags |= EV_EOF;
    int left = 0;
    if (::ioctl(static_cast<int>(ident), FIONREAD, &left) == 0) event.data = left;
    answers.push(event);
  }
  const Note* const writer = find(queue, ident, EVFILT_WRITE);
  const bool is_told = has_failed && !is_pipe(static_cast<int>(ident));
  if (writer != nullptr && ((seen.events & EPOLLOUT) != 0 || is_told) && !answers.is_full()) {
    struct kevent event = event_of(ident, EVFILT_WRITE, *writer);
    if (has_failed) event.flags |= EV_EOF;
    answers.push(event);
  }
}

// Row 11.
void report_triggered(Queue& queue, Answers& answers) {
  for (auto& [key, note] : queue.notes) {
    if (!note.is_triggered || answers.is_full()) continue;
    note.is_triggered = false;
    answers.push(event_of(key.first, key.second, note));
  }
}

// Row 6, row 7. False: the call ends here; it fails if errno is not 0.
bool make_changes(int epoll, const struct kevent* changes, int count, Answers& answers) {
  const KernelLock lock;
  Queue& queue = queues()[epoll];
  for (int i = 0; i < count; ++i) {
    const int error = apply(epoll, queue, changes[i]);
    if (error == 0 && (changes[i].flags & EV_RECEIPT) == 0) continue;
    if (answers.is_full()) {
      errno = error;
      return false;
    }
    struct kevent answer = changes[i];
    answer.flags = EV_ERROR;
    answer.data = error;
    answers.push(answer);
  }
  return true;
}

bool is_pidfd(int number) {
  const KernelLock lock;
  return queues()[number].is_pidfd;
}

// Both filters of each descriptor must find room.
constexpr int batch_max = 64;

void collect(int epoll, const epoll_event* seen, int count, Answers& answers) {
  const KernelLock lock;
  Queue& queue = queues()[epoll];
  for (int i = 0; i < count; ++i) {
    if (seen[i].data.u64 != bell_data) report(queue, seen[i], answers);
  }
  report_triggered(queue, answers);
}

// Row 14.
void collect_process(int pidfd, Answers& answers) {
  if (!has_ended(pidfd)) return;
  const KernelLock lock;
  Queue& queue = queues()[pidfd];
  if (queue.notes.empty()) return;
  const auto& [key, note] = *queue.notes.begin();
  struct kevent event = event_of(key.first, EVFILT_PROC, note);
  event.flags |= EV_EOF | EV_ONESHOT;
  event.fflags = NOTE_EXIT;
  answers.push(event);
  queue.notes.clear();
}

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// As epoll_wait, with a limit in nanoseconds; negative: none.
int wait(int epoll, epoll_event* seen, int room, std::int64_t limit_ns) {
  timespec limit{};
  limit.tv_sec = limit_ns / 1'000'000'000;
  limit.tv_nsec = limit_ns % 1'000'000'000;
  constexpr long number_epoll_pwait2 = 441;
  return static_cast<int>(::syscall(number_epoll_pwait2, epoll, seen, room, limit_ns < 0 ? nullptr : &limit, nullptr, 8));
}

}  // namespace

void gyre::test::refuse_registrations(int filter, int error, int count) {
  const KernelLock lock;
  refusals = {filter, error, count};
}

extern "C" int kqueue() {
  const int epoll = ::epoll_create1(0);
  if (epoll < 0) return -1;
  const KernelLock lock;
  queues()[epoll] = Queue();
  return epoll;
}

extern "C" int kevent(int queue, const struct kevent* changes, int changes_count, struct kevent* events, int events_max,
                      const timespec* timeout) {
  Answers answers{events, events_max};
  if (!make_changes(queue, changes, changes_count, answers)) return errno == 0 ? 0 : -1;
  if (answers.count > 0 || events_max == 0) return answers.count;  // row 7
  if (is_pidfd(queue)) {
    // Nobody waits in such a queue: it is polled.
    collect_process(queue, answers);
    return answers.count;
  }
  const std::int64_t limit =
      timeout == nullptr ? -1 : std::int64_t{timeout->tv_sec} * 1'000'000'000 + timeout->tv_nsec;
  const std::int64_t end = limit < 0 ? 0 : now_ns() + limit;
  std::int64_t left = limit;
  for (;;) {
    epoll_event seen[batch_max];
    const int room = events_max / 2 < 1 ? 1 : (events_max / 2 < batch_max ? events_max / 2 : batch_max);
    const int count = wait(queue, seen, room, left);
    if (count < 0) return -1;  // row 9
    collect(queue, seen, count, answers);
    if (answers.count > 0) return answers.count;
    if (limit >= 0) {
      left = end - now_ns();
      if (left <= 0) return 0;
    }
  }
}
