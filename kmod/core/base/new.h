// SPDX-License-Identifier: GPL-2.0
// Single objects in memory of their own: construction and destruction on top of take_memory.
#pragma once

#include "core/base/recovery.h"

namespace wring {

// nullptr when memory runs out.
template <class T, class... Args>
T* make_object(Args... args) {
  static_assert(alignof(T) <= 16);
  void* place = take_memory(sizeof(T));
  return place ? new (place) T(args...) : nullptr;
}

template <class T>
void destroy_object(T* object) {
  object->~T();
  give_memory(object);
}

}  // namespace wring
