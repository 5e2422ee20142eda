// SPDX-License-Identifier: GPL-2.0
// Text form of the IR for `dump ir` and the file tests.
#pragma once

#include "core/ir/ir.h"

namespace wring {

// Where text goes. write() may be called with any pieces; false stops the producer.
struct TextSink {
  virtual bool write(const char* text, usize size) = 0;

 protected:
  ~TextSink() = default;
};
bool print(TextSink* sink, const char* fmt, ...) __attribute__((format(printf, 2, 3)));

namespace ir {
void dump(const Function& f, TextSink* sink);
}
}  // namespace wring
