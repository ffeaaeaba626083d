// invoke: std::invoke for functions, function objects and member functions, without the weight of <functional>.
#pragma once

#include <type_traits>
#include <utility>

namespace gyre::detail {

template <typename Callable, typename... Arguments>
constexpr decltype(auto) invoke(Callable&& callable, Arguments&&... arguments) {
  return std::forward<Callable>(callable)(std::forward<Arguments>(arguments)...);
}

// A member function of `object`, which is an object or something that points to one.
template <typename Class, typename Function, typename Object, typename... Arguments>
constexpr decltype(auto) invoke(Function Class::*member, Object&& object, Arguments&&... arguments) {
  if constexpr (std::is_base_of_v<Class, std::remove_cvref_t<Object>>) {
    return (std::forward<Object>(object).*member)(std::forward<Arguments>(arguments)...);
  } else {
    return ((*std::forward<Object>(object)).*member)(std::forward<Arguments>(arguments)...);
  }
}

}  // namespace gyre::detail
