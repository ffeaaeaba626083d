// Mailbox: the part of a reactor that other threads hold on to. RemoteReactor: a reference to a reactor that may outlive it.
//
// Threads: any, but for what says otherwise.
#pragma once

#include <memory>
#include <utility>

#include <gyre/platform/poller.h>
#include <gyre/reactor/inbox.h>

namespace gyre {

class Reactor;

struct Mailbox {
  Inbox inbox;
  // The reactor's; alive until the inbox is closed and left alone.
  Poller* poller = nullptr;
  Reactor* reactor = nullptr;

  // False: the reactor has shut down; the message stays the caller's. After `true` nothing of the reactor is touched that
  // it would not wait for.
  [[nodiscard]] bool post(Inbox::Message& message) noexcept {
    switch (inbox.push(message)) {
      case Inbox::Pushed::quietly:
        return true;
      case Inbox::Pushed::must_wake:
        poller->wake();
        inbox.woken();
        return true;
      case Inbox::Pushed::refused:
        break;
    }
    return false;
  }
};

// Copyable, any thread; posts to a reactor for as long as that lives, and says so when it no longer does.
class RemoteReactor {
 public:
  RemoteReactor() noexcept = default;
  explicit RemoteReactor(std::shared_ptr<Mailbox> mailbox) noexcept : mailbox_(std::move(mailbox)) {}

  explicit operator bool() const noexcept { return mailbox_ != nullptr; }
  friend bool operator==(const RemoteReactor&, const RemoteReactor&) noexcept = default;

  // As Reactor::post() and post_message().
  template <typename Callable>
  bool post(Callable callable) const;
  [[nodiscard]] bool post_message(Inbox::Message& message) const noexcept { return mailbox_->post(message); }
  // Only on the reactor's own thread, inside a message that is wanted.
  Reactor& local() const noexcept { return *mailbox_->reactor; }

 private:
  std::shared_ptr<Mailbox> mailbox_;
};

}  // namespace gyre
