// SPDX-License-Identifier: GPL-2.0
// Which globals are shadow stack pointers: what compilers write, and what only looks like it.
#include "core/link/stack_pointers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "selftests/core/runtime/wat.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring::test {
namespace {

using namespace wring::testing;  // NOLINT(google-build-using-namespace)

class StackPointersTest : public ::testing::Test {
 protected:
  // Of a module; each as "global", or "global+" if it has to be saved.
  std::string find(const std::string& text) {
    std::string bytes = wat(text);
    return find(Bin(bytes.begin(), bytes.end()));
  }
  std::string find(const Bin& bytes) {
    Decoded decoded = decode_bin(bytes);
    EXPECT_EQ(decoded.err, Err::kOk) << decoded.diag.message;
    if (!decoded.module) return "invalid";
    const Module* module = decoded.module.get();
    Diag diag;
    std::string result;
    Arena arena(kMaxCompileBytes);
    link::StackPointers pointers;
    EXPECT_EQ(pointers.begin(*module, &arena, &diag), Err::kOk);
    for (u32 func = module->imported_functions; func < module->functions.size(); func++)
      scan(*module, func, &pointers);
    EXPECT_EQ(pointers.finish(), Err::kOk);
    for (const StackPointer& p : pointers.found())
      result += (result.empty() ? "" : " ") + std::to_string(p.global) + (p.rests ? "" : "+");
    return result;
  }
  // Of a function with a parameter $n and locals $x $y, in a module with two globals without names, a memory and some
  // functions to call.
  std::string of(const std::string& body, const std::string& more = "") {
    return find(R"((module
      (import "m" "use" (func $use (param i32)))
      (memory 1)
      (global (mut i32) (i32.const 65536))
      (global (mut i32) (i32.const 7))
      (func (param $n i32) (result i32) (local $x i32) (local $y i32) )" +
                body + ")" + more + ")");
  }

  static void scan(const Module& module, u32 func, link::StackPointers* pointers) {
    Diag diag;
    Range body = module.functions[func].body;
    u32 at = body.begin;
    for (u32 runs = local_run_count(module.bytes, &at); runs > 0; runs--)
      next_local_run(module.bytes, &at);
    EXPECT_EQ(pointers->enter(func), Err::kOk);
    Instr instr;
    for (; at < body.end; at = instr.next) {
      EXPECT_EQ(decode_instr(module.bytes, at, body.end, func, &instr, &diag), Err::kOk);
      EXPECT_EQ(pointers->step(instr), Err::kOk);
    }
    pointers->leave();
  }

  const std::string lower =
      "global.get 0 i32.const 16 i32.sub local.tee $x global.set 0 local.get $x call $use ";
  const std::string raise = "local.get $x i32.const 16 i32.add global.set 0 ";
  // As AssemblyScript does, with the frame cleared.
  const std::string lower_anew =
      "global.get 0 i32.const 4 i32.sub global.set 0 global.get 0 i32.const 0 i32.store ";
  const std::string raise_anew = "global.get 0 i32.const 4 i32.add global.set 0 ";
};

TEST_F(StackPointersTest, FramesOfClang) {
  EXPECT_EQ(of(lower + raise + "i32.const 0"), "0");
  EXPECT_EQ(
      of(lower + "local.get $n if " + raise + "i32.const 1 return end " + raise + "i32.const 0"),
      "0");
  EXPECT_EQ(of(lower + "block loop local.get $n br_if 1 br 0 end end " + raise + "i32.const 0"),
            "0");
  EXPECT_EQ(of(lower + "block block local.get $n br_table 0 1 1 end unreachable end " + raise +
               "i32.const 0"),
            "0");
  // -O0 keeps everything in locals.
  EXPECT_EQ(of(R"(global.get 0 local.set $x i32.const 96 local.set $y local.get $x local.get $y
    i32.sub local.set $x local.get $x global.set 0 local.get $x i32.const 96 local.set $y
    local.get $y i32.add global.set 0 i32.const 0)"),
            "0");
  // A pointer into the frame that a loop advances.
  EXPECT_EQ(of(lower + R"(local.get $x local.set $y loop local.get $y i32.load8_u drop local.get $y
    i32.const 1 i32.add local.set $y local.get $n br_if 0 end )" +
               raise + "i32.const 0"),
            "0");
}

TEST_F(StackPointersTest, FramesOfSizesKnownWhenTheyAreMade) {
  EXPECT_EQ(of(R"(global.get 0 local.tee $x local.get $n i32.const 15 i32.add i32.const -16 i32.and
    i32.sub local.tee $y global.set 0 local.get $y call $use local.get $x global.set 0
    i32.const 0)"),
            "0");
  EXPECT_EQ(of(R"(global.get 0 local.tee $x i32.const 64 i32.sub i32.const -64 i32.and local.tee $y
    global.set 0 local.get $y call $use local.get $x global.set 0 i32.const 0)"),
            "0");
}

TEST_F(StackPointersTest, FramesOfAssemblyScript) {
  EXPECT_EQ(of(lower_anew + "local.get $n call $use " + raise_anew + "i32.const 0"), "0");
  EXPECT_EQ(of(lower_anew + "local.get $n if " + raise_anew + "i32.const 1 return end " +
               raise_anew + "i32.const 0"),
            "0");
  EXPECT_EQ(of("global.get 0 i32.const 32 i32.sub global.set 0 global.get 0 i32.const 0 "
               "i32.const 32 memory.fill global.get 0 i32.const 32 i32.add global.set 0 "
               "i32.const 0"),
            "0");
}

// The compiler's code ends properly although it cannot be reached.
TEST_F(StackPointersTest, FramesOfFunctionsThatAlwaysTrap) {
  EXPECT_EQ(of(lower + "unreachable " + raise + "i32.const 0"), "0");
  EXPECT_EQ(of(lower + "block unreachable end " + raise + "i32.const 0"), "0");
  EXPECT_EQ(of(lower + "unreachable"), "");
  // That a function never returns is nothing against what others say.
  EXPECT_EQ(of(lower + "unreachable", "(func (local $x i32) " + lower + raise + ")"), "0");
}

TEST_F(StackPointersTest, OrdinaryGlobals) {
  const std::string down = "global.get 1 i32.const 16 i32.sub global.set 1 ";
  const std::string up = "global.get 1 i32.const 16 i32.add global.set 1 ";
  EXPECT_EQ(of(down + "i32.const 0"), "");
  EXPECT_EQ(of(down + "unreachable"), "");
  EXPECT_EQ(of("global.get 1 i32.const 16 i32.sub local.tee $x global.set 1 local.get $x"), "");
  // Counters of depth: nobody uses them as addresses.
  EXPECT_EQ(of(down + "i32.const 0 call $use " + up + "i32.const 0"), "");
  // Put back on one way only.
  EXPECT_EQ(of(lower + "local.get $n if " + raise + "end i32.const 0"), "");
  EXPECT_EQ(of(lower + "local.get $n if i32.const 1 return end " + raise + "i32.const 0"), "");
  EXPECT_EQ(of("local.get $n if " + lower_anew + " else " + raise_anew + "end i32.const 0"), "");
  // By another amount; raised first.
  EXPECT_EQ(of(lower + "local.get $x i32.const 8 i32.add global.set 0 i32.const 0"), "");
  EXPECT_EQ(of("global.get 0 local.tee $x i32.const 16 i32.add global.set 0 local.get $x "
               "global.set 0 i32.const 0"),
            "");
  // A stack of its own, which a loop pushes to and pops from.
  EXPECT_EQ(of("loop local.get $n if " + lower_anew + "else " + raise_anew +
               "end local.get $n br_if 0 end i32.const 0"),
            "");
  // Set outside of a loop and in it.
  EXPECT_EQ(of(lower + "loop local.get $x i32.const 16 i32.add global.set 0 local.get $n "
                       "local.set $x local.get $n br_if 0 end i32.const 0"),
            "");
  // Another global's value.
  EXPECT_EQ(of("global.get 1 local.set $x " + down + "local.get $x global.set 0 i32.const 0"), "");
}

TEST_F(StackPointersTest, CountersBesideTheStackPointer) {
  const std::string down = "global.get 1 i32.const 16 i32.sub global.set 1 ";
  EXPECT_EQ(of(lower + down + raise + "i32.const 0"), "0");
  EXPECT_EQ(of(down + lower_anew + raise_anew + "i32.const 0"), "0");
  // Whoever counts with it elsewhere counts.
  EXPECT_EQ(
      of(lower + raise + "i32.const 0", "(func global.get 0 i32.const 16 i32.sub global.set 0)"),
      "");
  EXPECT_EQ(
      of(lower + raise + "i32.const 0", "(func global.get 0 i32.const 1 i32.add global.set 0)"),
      "");
}

// What hosts of emscripten's and of wasm-bindgen's output call. It changes the global for good, in hooks too, for all
// one knows: it has to be saved.
TEST_F(StackPointersTest, FunctionsThatSetItFromOutside) {
  const std::string restore = R"((func (export "stackRestore") (param i32)
    local.get 0 global.set 0))";
  const std::string allocate = R"((func (export "stackAlloc") (param i32) (result i32)
    global.get 0 local.get 0 i32.sub i32.const -16 i32.and local.tee 0 global.set 0 local.get 0))";
  const std::string add = R"((func (export "add_to_stack_pointer") (param i32) (result i32)
    global.get 0 local.get 0 i32.add global.set 0 global.get 0))";
  EXPECT_EQ(of(lower + raise + "i32.const 0", restore), "0+");
  EXPECT_EQ(of(lower + raise + "i32.const 0", allocate), "0+");
  EXPECT_EQ(of(lower + raise + "i32.const 0", add), "0+");
  EXPECT_EQ(of("i32.const 0", restore + allocate + add), "");
}

// A function with an i32 local, and a memory and a global.
Bin with_global(const Bin& code, uint32_t globals = 1) {
  return header() + types({func_type({}, {})}) + section(3, vec({{0}})) + section(5, {1, 0, 1}) +
         section(6, counted(globals, repeat(globals, {kI32, 1, 0x41, 0, 0x0b}))) +
         section(10, vec({body(code, {1, 1, kI32})}));
}

TEST_F(StackPointersTest, CatchingFunctionsPutItBackThemselves) {
  const Bin lowers = {0x23, 0, 0x22, 0, 0x41, 16, 0x6b, 0x24, 0};  // keeping it in local 0
  const Bin calls = {0x10, 0}, uses = {0x23, 0, 0x41, 0, 0x36, 2, 0};
  const Bin tries = {0x02, 0x40, 0x1f, 0x40, 1, 2, 0}, ends = {0x0b, 0x0b};  // catch_all
  const Bin puts_back = {0x20, 0, 0x24, 0}, raises = {0x23, 0, 0x41, 16, 0x6a, 0x24, 0};
  EXPECT_EQ(find(with_global(lowers + tries + calls + ends + puts_back + Bin{0x0b})), "0+");
  // Who has caught does not know where it is.
  EXPECT_EQ(find(with_global(lowers + uses + tries + calls + ends + raises + Bin{0x0b})), "");
  EXPECT_EQ(find(with_global(tries + lowers + uses + calls + ends + raises + Bin{0x0b})), "");
  EXPECT_EQ(find(with_global(lowers + uses + calls + raises + Bin{0x0b})), "0");
}

TEST_F(StackPointersTest, SeveralAndWideOnes) {
  const std::string second =
      R"((func (local $x i32) global.get 1 i32.const 32 i32.sub local.tee $x global.set 1
        local.get $x i32.const 32 i32.add global.set 1))";
  EXPECT_EQ(of(lower + raise + "i32.const 0", second), "0 1");
  const std::string wide = R"(
    (global (mut i64) (i64.const 65536))
    (func (local i64) global.get 0 i64.const 16 i64.sub local.tee 0 global.set 0
      local.get 0 i64.const 16 i64.add global.set 0)))";
  EXPECT_EQ(find("(module (memory i64 1)" + wide), "0");
  EXPECT_EQ(find("(module (memory 1)" + wide), "");
  EXPECT_EQ(find(R"((module (import "env" "sp" (global (mut i32))) (memory 1)
    (func (local i32) global.get 0 i32.const 16 i32.sub local.tee 0 global.set 0
      local.get 0 i32.const 16 i32.add global.set 0)))"),
            "0+");
}

TEST_F(StackPointersTest, NamesDecide) {
  const std::string trap = "(func global.get 0 i32.const 16 i32.sub global.set 0 unreachable))";
  const std::string init = "(mut i32) (i32.const 65536))";
  EXPECT_EQ(find("(module (global $__stack_pointer " + init + trap), "0");
  EXPECT_EQ(find("(module (global $~lib/memory/__stack_pointer " + init + trap), "0");
  EXPECT_EQ(find("(module (global (export \"__stack_pointer\") " + init + trap), "0+");
  EXPECT_EQ(find("(module (import \"env\" \"__stack_pointer\" (global (mut i32)))" + trap), "0+");
  EXPECT_EQ(find("(module (global $x__stack_pointer " + init + trap), "");
  EXPECT_EQ(find("(module (global $__stack_pointer_2 " + init + trap), "");
  // Nobody writes it, or nobody can.
  EXPECT_EQ(find("(module (global $__stack_pointer " + init + ")"), "");
  EXPECT_EQ(find("(module (global $__stack_pointer i32 (i32.const 1)))"), "");
}

// Many globals in one function and many functions: no more than the limit, in linear time.
TEST_F(StackPointersTest, HostileNumbers) {
  constexpr u32 kGlobals = 20'000;
  std::string text = "(module (memory 1)";
  for (u32 i = 0; i < kGlobals; i++) text += "(global (mut i32) (i32.const 0))";
  for (u32 i = 0; i < kGlobals; i++) {
    std::string g = std::to_string(i);
    text += "(func (local i32) global.get " + g + " i32.const 16 i32.sub local.tee 0 global.set " +
            g + " local.get 0 i32.const 16 i32.add global.set " + g + ")";
  }
  EXPECT_EQ(find(text + ")"), "0 1 2 3 4 5 6 7");
  Bin code;
  for (u32 i = 0; i < kGlobals; i++)
    code = std::move(code) + Bin{0x23} + uleb(i) + Bin{0x41, 1, 0x6b, 0x24} + uleb(i) +
           Bin{0x02, 0x40};
  EXPECT_EQ(find(with_global(std::move(code) + repeat(kGlobals + 1, {0x0b}), kGlobals)), "");
}

}  // namespace
}  // namespace wring::test
