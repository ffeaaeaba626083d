#include <gyre/reactor/stop_token.h>

namespace gyre {

detail::StopMessage::StopMessage(RemoteReactor home, CancelScope& target) noexcept
    : scope(&target), reactor(std::move(home)) {
  deliver = [](Inbox::Message& message, bool) noexcept {
    auto& stop = static_cast<StopMessage&>(message);
    const std::shared_ptr<StopMessage> kept = std::move(stop.self);
    if (stop.scope != nullptr) stop.scope->cancel();
  };
}

CancelOnStop::CancelOnStop(std::stop_token token, CancelScope& scope)
    : message_(std::make_shared<detail::StopMessage>(this_reactor().remote(), scope)),
      callback_(token.stop_requested() ? std::stop_token() : token, Post{message_}) {
  // What has been requested before is not sent through the inbox.
  if (token.stop_requested()) scope.cancel();
}

CancelOnStop::~CancelOnStop() { message_->scope = nullptr; }

void CancelOnStop::Post::operator()() noexcept {
  // Written here, read where the message is delivered: the inbox lies between. A callback is called once.
  message->self = message;
  // Refused: the reactor has shut down, and no task of it is left.
  if (!message->reactor.post_message(*message)) message->self.reset();
}

ScopedStopSource::ScopedStopSource()
    : CancelHook{[](CancelHook& hook) noexcept { static_cast<ScopedStopSource&>(hook).source_.request_stop(); }} {
  scope_.set_hook(this);
}

ScopedStopSource::~ScopedStopSource() { scope_.set_hook(nullptr); }

}  // namespace gyre
