// SPDX-License-Identifier: GPL-2.0
// The provider has the type section of the module it is for, so that indices of types need no change.
#include "selftests/host/provider.h"

#include <vector>

#include "selftests/host/sections.h"

namespace wring::host {

namespace {

constexpr unsigned char kFunctionForm = 0x60, kNullableRef = 0x63, kNonNullRef = 0x64;
constexpr unsigned char kEnd = 0x0b, kUnreachable = 0x00, kRefNull = 0xd0;
constexpr char kHeader[] = {0, 'a', 's', 'm', 1, 0, 0, 0};

// A list of the provider's items of one section.
struct Items {
  std::uint64_t count = 0;
  std::string bytes;

  void add(const std::string& item) {
    count++;
    bytes += item;
  }
  std::string section(SectionId id) const {
    if (count == 0) return {};
    std::string payload = to_leb(count) + bytes;
    return static_cast<char>(id) + to_leb(payload.size()) + payload;
  }
};

class Maker {
 public:
  std::string make(const std::string& module) {
    std::vector<Section> sections;
    if (!split_sections(module, &sections)) return {};
    for (const Section& section : sections) {
      if (section.id != kTypeSection && section.id != kImportSection) continue;
      in_ = section.payload;
      at_ = 0;
      if (section.id == kTypeSection ? !read_types() : !read_imports()) return {};
      if (section.id == kTypeSection)
        types_ = static_cast<char>(kTypeSection) + to_leb(in_.size()) + std::string(in_);
    }
    return std::string(kHeader, sizeof(kHeader)) + types_ + functions_.section(kFunctionSection) +
           tables_.section(kTableSection) + memories_.section(kMemorySection) +
           tags_.section(kTagSection) + globals_.section(kGlobalSection) +
           exports_.section(kExportSection) + bodies_.section(kCodeSection);
  }

 private:
  bool number(std::uint64_t* out) { return read_leb(in_, &at_, out); }
  int byte() { return at_ < in_.size() ? static_cast<unsigned char>(in_[at_++]) : -1; }
  std::string since(std::size_t start) const { return std::string(in_.substr(start, at_ - start)); }

  // Reads a value type; *zero becomes the instruction that makes its zero, "" if it has none.
  bool read_value_type(std::string* zero) {
    std::size_t start = at_;
    int type = byte();
    if (type == kNullableRef || type == kNonNullRef) {
      std::uint64_t heap;
      if (!number(&heap)) return false;
      *zero = type == kNullableRef ? static_cast<char>(kRefNull) + since(start + 1) : std::string();
      return true;
    }
    switch (type) {
      case 0x7f: *zero = std::string("\x41\0", 2); break;
      case 0x7e: *zero = std::string("\x42\0", 2); break;
      case 0x7d: *zero = "\x43" + std::string(4, 0); break;
      case 0x7c: *zero = "\x44" + std::string(8, 0); break;
      case 0x7b: *zero = "\xfd\x0c" + std::string(16, 0); break;
      default: *zero = static_cast<char>(kRefNull) + since(start); break;
    }
    return type >= 0;
  }

  bool read_types() {
    std::uint64_t count, values;
    if (!number(&count)) return false;
    for (std::uint64_t i = 0; i < count; i++) {
      if (byte() != kFunctionForm || !number(&values)) return false;
      std::string zero, body(1, 0);  // no locals
      for (; values > 0; values--)
        if (!read_value_type(&zero)) return false;
      if (!number(&values)) return false;
      bool has_zero = true;
      for (; values > 0; values--) {
        if (!read_value_type(&zero)) return false;
        has_zero &= !zero.empty();
        body += zero;
      }
      if (!has_zero) body = std::string(1, 0) + static_cast<char>(kUnreachable);
      body += static_cast<char>(kEnd);
      zeros_.push_back(to_leb(body.size()) + body);
    }
    return true;
  }

  bool skip_name() {
    std::uint64_t bytes;
    if (!number(&bytes) || bytes > in_.size() - at_) return false;
    at_ += bytes;
    return true;
  }

  bool skip_limits() {
    std::uint64_t flags, n;
    return number(&flags) && number(&n) && (!(flags & 1) || number(&n)) &&
           (!(flags & 8) || number(&n));  // 8: a page size of its own
  }

  bool read_imports() {
    std::uint64_t count, type;
    if (!number(&count)) return false;
    for (std::uint64_t i = 0; i < count; i++) {
      if (!skip_name() || !skip_name()) return false;
      int kind = byte();
      std::size_t start = at_;
      std::string zero;
      std::uint64_t index = 0;
      switch (kind) {
        case 0:
          if (!number(&type) || type >= zeros_.size()) return false;
          index = functions_.count;
          functions_.add(since(start));
          bodies_.add(zeros_[type]);
          break;
        case 1:
          if (!read_value_type(&zero) || !skip_limits()) return false;
          index = tables_.count;
          tables_.add(since(start));
          break;
        case 2:
          if (!skip_limits()) return false;
          index = memories_.count;
          memories_.add(since(start));
          break;
        case 3:
          if (!read_value_type(&zero) || byte() < 0 || zero.empty()) return false;
          index = globals_.count;
          globals_.add(since(start) + zero + static_cast<char>(kEnd));
          break;
        case 4:
          if (byte() != 0 || !number(&type)) return false;
          index = tags_.count;
          tags_.add(since(start));
          break;
        default: return false;
      }
      std::string name = std::to_string(i);
      exports_.add(to_leb(name.size()) + name + static_cast<char>(kind) + to_leb(index));
    }
    return true;
  }

  std::string_view in_;
  std::size_t at_ = 0;
  std::string types_;
  std::vector<std::string> zeros_;  // per type, the body of a function that returns zeros
  Items functions_, tables_, memories_, tags_, globals_, exports_, bodies_;
};

}  // namespace

std::string make_provider(const std::string& module) { return Maker().make(module); }

}  // namespace wring::host
