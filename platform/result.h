// Result<T>: a value or an Error, with the member names of std::expected.
//
// `if (!result) co_return result.error();` is the way out of a function that cannot go on. value() is for callers who
// prefer an exception: it throws std::system_error (and aborts where exceptions are off).
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/error.h>

namespace gyre {

namespace detail {

[[noreturn]] void throw_error(const Error& error);

}  // namespace detail

template <typename T>
class [[nodiscard]] Result {
  static_assert(!std::is_same_v<std::remove_cv_t<T>, Error>, "an Error is not a value");
  static_assert(!std::is_reference_v<T>, "hold a pointer, or a std::reference_wrapper");

 public:
  using value_type = T;
  using error_type = Error;

  constexpr Result() noexcept(std::is_nothrow_default_constructible_v<T>)
    requires std::is_default_constructible_v<T>
  {
    std::construct_at(std::addressof(storage_.value));
    has_value_ = true;
  }

  template <typename U = T>
    requires(std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error> &&
             !std::is_same_v<std::remove_cvref_t<U>, Errc>)
  constexpr explicit(!std::is_convertible_v<U&&, T>)
      Result(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    std::construct_at(std::addressof(storage_.value), std::forward<U>(value));
    has_value_ = true;
  }

  // `error` must be an error: a default Error is none.
  constexpr Result(const Error& error) noexcept {
    GYRE_DCHECK(static_cast<bool>(error));
    std::construct_at(std::addressof(storage_.error), error);
    has_value_ = false;
  }
  constexpr Result(Errc code) noexcept : Result(Error(code)) {}

  constexpr Result(const Result& other) noexcept(std::is_nothrow_copy_constructible_v<T>)
    requires std::is_copy_constructible_v<T>
  {
    adopt(other);
  }
  constexpr Result(Result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    adopt(std::move(other));
  }
  constexpr Result& operator=(const Result& other)
    requires(std::is_copy_constructible_v<T> && std::is_copy_assignable_v<T>)
  {
    if (this != &other) assign(Result(other));
    return *this;
  }
  constexpr Result& operator=(Result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    if (this != &other) assign(std::move(other));
    return *this;
  }
  constexpr ~Result() { clear(); }

  constexpr bool has_value() const noexcept { return has_value_; }
  constexpr explicit operator bool() const noexcept { return has_value_; }

  // Aborts unless has_value().
  constexpr T& operator*() & noexcept { return checked(); }
  constexpr const T& operator*() const& noexcept { return const_cast<Result*>(this)->checked(); }
  constexpr T&& operator*() && noexcept { return std::move(checked()); }
  constexpr T* operator->() noexcept { return std::addressof(checked()); }
  constexpr const T* operator->() const noexcept {
    return std::addressof(const_cast<Result*>(this)->checked());
  }

  // Throws std::system_error unless has_value().
  constexpr T& value() & {
    require_value();
    return storage_.value;
  }
  constexpr const T& value() const& {
    require_value();
    return storage_.value;
  }
  constexpr T&& value() && {
    require_value();
    return std::move(storage_.value);
  }

  template <typename U>
  constexpr T value_or(U&& fallback) const& {
    return has_value_ ? storage_.value : static_cast<T>(std::forward<U>(fallback));
  }
  template <typename U>
  constexpr T value_or(U&& fallback) && {
    return has_value_ ? std::move(storage_.value) : static_cast<T>(std::forward<U>(fallback));
  }

  // Aborts if has_value().
  constexpr const Error& error() const noexcept {
    GYRE_CHECK_HINT(!has_value_, "error() of a Result that holds a value");
    return storage_.error;
  }

 private:
  constexpr T& checked() noexcept {
    GYRE_CHECK_HINT(has_value_, "the value of a Result that holds an error");
    return storage_.value;
  }
  constexpr void require_value() const {
    if (!has_value_) [[unlikely]] detail::throw_error(storage_.error);
  }
  constexpr void clear() noexcept {
    if constexpr (!std::is_trivially_destructible_v<T>) {
      if (has_value_) storage_.value.~T();
    }
  }
  // Precondition: nothing is alive in the union.
  template <typename Other>
  constexpr void adopt(Other&& other) {
    if (other.has_value_) {
      std::construct_at(std::addressof(storage_.value), std::forward<Other>(other).storage_.value);
    } else {
      std::construct_at(std::addressof(storage_.error), other.storage_.error);
    }
    has_value_ = other.has_value_;
  }

  // If moving a T throws, this Result keeps what it held: the value in the state T's own assignment left it in, or the
  // error. So there is always exactly one thing to destroy.
  constexpr void assign(Result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    if (std::is_nothrow_move_constructible_v<T> || !other.has_value_) {
      clear();
      adopt(std::move(other));
    } else if (!has_value_) {
      Restore restore{this, storage_.error};
      adopt(std::move(other));
      restore.result = nullptr;
    } else if constexpr (std::is_move_assignable_v<T>) {
      storage_.value = std::move(other.storage_.value);
    } else {
      GYRE_CHECK_HINT(false, "a type whose move may throw must be assignable");
    }
  }
  struct Restore {
    Result* result;
    Error error;
    constexpr ~Restore() {
      if (result == nullptr) return;
      std::construct_at(std::addressof(result->storage_.error), error);
      result->has_value_ = false;
    }
  };

  union Storage {
    constexpr Storage() noexcept {}
    constexpr ~Storage() {}

    T value;
    [[no_unique_address]] Error error;
  };

  // The flag lies in the padding at the error's end where the value leaves it free. So it is written last of all: who
  // constructs an Error may write over the padding.
  [[no_unique_address]] Storage storage_;
  bool has_value_;
};

// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  using error_type = Error;

  constexpr Result() noexcept = default;
  // `error` must be an error: a default Error is none.
  constexpr Result(const Error& error) noexcept : error_(error) {
    GYRE_DCHECK(static_cast<bool>(error));
  }
  constexpr Result(Errc code) noexcept : error_(code) {}

  constexpr bool has_value() const noexcept { return !error_; }
  constexpr explicit operator bool() const noexcept { return has_value(); }
  constexpr void operator*() const noexcept {
    GYRE_CHECK_HINT(has_value(), "the value of a Result that holds an error");
  }
  // Throws std::system_error unless has_value().
  constexpr void value() const {
    if (!has_value()) [[unlikely]] detail::throw_error(error_);
  }
  // Aborts if has_value().
  constexpr const Error& error() const noexcept {
    GYRE_CHECK_HINT(!has_value(), "error() of a Result that holds a value");
    return error_;
  }

 private:
  Error error_;
};

template <typename T>
inline constexpr bool is_result = false;
template <typename T>
inline constexpr bool is_result<Result<T>> = true;

}  // namespace gyre
