#include <gyre/task/generator.h>

namespace gyre::detail {

std::coroutine_handle<> GeneratorPromiseBase::enter(void* generator, void* caller,
                                                    Stage stage) noexcept {
  GYRE_CHECK_HINT(stage_ == Stage::fresh || stage_ == Stage::yielded,
                  "next() or close() of a generator that is running");
  stage_ = stage;
  awaiting = caller;
  context = thread_state.current;
  scope_ = context->scope;
  if (open_.frame == nullptr) {
    open_.frame = generator;
    context->scheduler().open_generators().push_back(open_);
  }
  return transfer(generator);
}

std::coroutine_handle<> GeneratorPromiseBase::leave(Stage stage) noexcept {
  GYRE_CHECK_HINT(context->scope == scope_,
                  "co_yield while a CancelScope or TaskGroup of the generator is open");
  stage_ = stage;
  if (stage == Stage::ended && open_.is_linked()) open_.unlink();
  void* const caller = awaiting;
  awaiting = nullptr;
  context = nullptr;
  return transfer(caller);
}

void GeneratorPromiseBase::rethrow() {
  if (exception_ == nullptr) return;
  std::rethrow_exception(std::exchange(exception_, nullptr));
}

namespace {

class [[nodiscard]] CloseAwaiter {
 public:
  explicit CloseAwaiter(void* generator) noexcept
      : generator_(generator),
        promise_(std::coroutine_handle<GeneratorPromiseBase>::from_address(generator).promise()) {}
  CloseAwaiter(const CloseAwaiter&) = delete;
  CloseAwaiter& operator=(const CloseAwaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
    return promise_.enter(generator_, caller.address(), GeneratorPromiseBase::Stage::closing);
  }
  void await_resume() { promise_.rethrow(); }

 private:
  void* generator_;
  GeneratorPromiseBase& promise_;
};

}  // namespace

Task<void> close_generator(OpenGenerator* open) {
  CloseAwaiter closing(open->frame);
  co_await closing;
}

void generator_dies(GeneratorPromiseBase::Stage stage) noexcept {
  GYRE_CHECK_HINT(stage == GeneratorPromiseBase::Stage::yielded, "a generator dies while it runs");
  if constexpr (debug_checks) {
    check_failed(__FILE__, __LINE__, "the generator has ended",
                 "co_await close() of an AsyncGenerator on every way out");
  }
}

}  // namespace gyre::detail
