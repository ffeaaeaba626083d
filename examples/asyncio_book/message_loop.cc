// What an event loop is: a queue of messages, and one loop that takes the oldest and handles it. While the queue is
// empty this one sleeps, where the book's simple one looks again and again.
#include <cstdio>
#include <string>

#include <gyre/reactor/run.h>
#include <gyre/task/channel.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

using Messages = gyre::Channel<std::string>;

// What happens elsewhere: keys, packets, timers.
gyre::Task<gyre::Result<void>> make_messages(Messages* messages, std::string source, gyre::Duration pause) {
  for (const char* number : {"one", "two", "three"}) {
    const gyre::Result<void> slept = co_await gyre::sleep(pause);
    if (!slept) co_return slept;
    const gyre::Result<void> sent = co_await messages->send(source + " " + number);
    if (!sent) co_return sent;
  }
  co_return gyre::Result<void>{};
}

gyre::Task<gyre::Result<int>> handle_messages(Messages* messages) {
  for (int handled = 0;; ++handled) {
    const gyre::Result<std::string> message = co_await messages->receive();
    if (!message && message.error() == gyre::Errc::closed) co_return handled;
    if (!message) co_return message.error();
    std::printf("handling message %s\n", message->c_str());
  }
}

gyre::Task<gyre::Result<void>> loop() {
  Messages messages(16);
  gyre::TaskGroup sources;
  sources.spawn(make_messages, &messages, "timer", std::chrono::milliseconds(20));
  sources.spawn(make_messages, &messages, "packet", std::chrono::milliseconds(33));
  gyre::TaskGroup loops;
  auto handling = loops.spawn(handle_messages, &messages);
  const gyre::Result<void> made = co_await sources.join();
  messages.close();
  const gyre::Result<int> handled = co_await handling;
  const gyre::Result<void> ended = co_await loops.join();
  if (!made || !handled || !ended) co_return gyre::Errc::broken;
  std::printf("%d messages handled\n", *handled);
  co_return *handled == 6 ? gyre::Result<void>() : gyre::Errc::broken;
}

int main() { return gyre::exit_status(gyre::run(loop())); }
