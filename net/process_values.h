// Values as bytes, for another process of the same program on the same machine: numbers and other trivially copyable
// types as they lie in memory, strings, vectors, pairs, tuples, optionals and Results of those.
//
// A trivially copyable type that holds a pointer cannot be told from one that does not: do not send one. (Pointers, views
// and spans themselves are refused at compile time; a parameter of type std::string_view is sent as a string.)
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <gyre/platform/error.h>
#include <gyre/platform/result.h>

namespace gyre::detail {

// What a parameter of type T is kept as on its way.
template <typename T>
struct SentAs {
  using type = T;
};
template <>
struct SentAs<std::string_view> {
  using type = std::string;
};
template <typename T>
using sent_as = typename SentAs<std::remove_cvref_t<T>>::type;

template <typename T>
struct IsView : std::bool_constant<std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_null_pointer_v<T>> {};
template <typename C>
struct IsView<std::basic_string_view<C>> : std::true_type {};
template <typename T, std::size_t size>
struct IsView<std::span<T, size>> : std::true_type {};

// How one type is written and read; the general case lies in memory as it is.
template <typename T>
struct Codec {
  static_assert(std::is_trivially_copyable_v<T> && !IsView<T>::value && !std::is_reference_v<T>,
                "this type cannot be sent to another process");
  static void put(std::string& out, const T& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  static bool get(std::string_view& in, T& value) {
    if (in.size() < sizeof(value)) return false;
    std::memcpy(static_cast<void*>(&value), in.data(), sizeof(value));
    in.remove_prefix(sizeof(value));
    return true;
  }
};

template <>
struct Codec<std::monostate> {
  static void put(std::string&, std::monostate) {}
  static bool get(std::string_view&, std::monostate&) { return true; }
};

template <>
struct Codec<std::string> {
  static void put(std::string& out, std::string_view value) {
    Codec<std::size_t>::put(out, value.size());
    out.append(value);
  }
  static bool get(std::string_view& in, std::string& value) {
    std::size_t size = 0;
    if (!Codec<std::size_t>::get(in, size) || in.size() < size) return false;
    value.assign(in.substr(0, size));
    in.remove_prefix(size);
    return true;
  }
};

template <typename T>
struct Codec<std::vector<T>> {
  static void put(std::string& out, const std::vector<T>& values) {
    Codec<std::size_t>::put(out, values.size());
    for (const T& value : values) Codec<T>::put(out, value);
  }
  static bool get(std::string_view& in, std::vector<T>& values) {
    std::size_t size = 0;
    if (!Codec<std::size_t>::get(in, size)) return false;
    values.clear();
    for (std::size_t i = 0; i < size; ++i) {
      T value{};
      if (!Codec<T>::get(in, value)) return false;
      values.push_back(std::move(value));
    }
    return true;
  }
};

template <typename... T>
struct Codec<std::tuple<T...>> {
  static void put(std::string& out, const std::tuple<T...>& values) {
    std::apply([&](const T&... value) { (Codec<T>::put(out, value), ...); }, values);
  }
  static bool get(std::string_view& in, std::tuple<T...>& values) {
    return std::apply([&](T&... value) { return (Codec<T>::get(in, value) && ...); }, values);
  }
};

template <typename A, typename B>
struct Codec<std::pair<A, B>> {
  static void put(std::string& out, const std::pair<A, B>& value) {
    Codec<A>::put(out, value.first);
    Codec<B>::put(out, value.second);
  }
  static bool get(std::string_view& in, std::pair<A, B>& value) {
    return Codec<A>::get(in, value.first) && Codec<B>::get(in, value.second);
  }
};

template <typename T>
struct Codec<std::optional<T>> {
  static void put(std::string& out, const std::optional<T>& value) {
    Codec<bool>::put(out, value.has_value());
    if (value) Codec<T>::put(out, *value);
  }
  static bool get(std::string_view& in, std::optional<T>& value) {
    bool has_value = false;
    if (!Codec<bool>::get(in, has_value)) return false;
    value.reset();
    return !has_value || Codec<T>::get(in, value.emplace());
  }
};

template <typename T>
struct Codec<Result<T>> {
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
  static void put(std::string& out, const Result<T>& result) {
    Codec<bool>::put(out, result.has_value());
    if (!result) return Codec<Error>::put(out, result.error());
    if constexpr (!std::is_void_v<T>) Codec<T>::put(out, *result);
  }
  static bool get(std::string_view& in, Result<T>& result) {
    bool has_value = false;
    if (!Codec<bool>::get(in, has_value)) return false;
    if (!has_value) {
      Error error;
      if (!Codec<Error>::get(in, error) || !error) return false;
      result = error;
      return true;
    }
    Value value{};
    if (!Codec<Value>::get(in, value)) return false;
    if constexpr (std::is_void_v<T>) {
      result = Result<void>{};
    } else {
      result = std::move(value);
    }
    return true;
  }
};

template <typename T>
std::string to_bytes(const T& value) {
  std::string bytes;
  Codec<T>::put(bytes, value);
  return bytes;
}
// False unless `bytes` are exactly one value.
template <typename T>
bool from_bytes(std::string_view bytes, T& value) {
  return Codec<T>::get(bytes, value) && bytes.empty();
}

}  // namespace gyre::detail
