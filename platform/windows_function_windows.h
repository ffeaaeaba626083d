// windows_function(): a function that not every Windows has, by its name.
#pragma once

#include <windows.h>

namespace gyre {

// Null where the library, which is loaded already, has no such function. Any thread.
template <typename Function>
Function windows_function(const wchar_t* library, const char* name) noexcept {
  const HMODULE module = ::GetModuleHandleW(library);
  if (module == nullptr) return nullptr;
  // By way of void*, as the type that GetProcAddress gives is not the function's.
  return reinterpret_cast<Function>(reinterpret_cast<void*>(::GetProcAddress(module, name)));
}

}  // namespace gyre
