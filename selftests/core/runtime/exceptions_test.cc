// SPDX-License-Identifier: GPL-2.0
// Exceptions: throwing and catching in and across instances, what becomes of those nobody refers to any more, and traps
// of those nobody catches.
#include <algorithm>

#include "core/abi/libcalls.h"
#include "core/base/limits.h"
#include "core/runtime/exceptions.h"
#include "selftests/core/runtime/engine_fixture.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring::test {
namespace {

using namespace wring::testing;  // NOLINT(google-build-using-namespace)

using ExceptionsTest = EngineTest;

constexpr uint8_t kThrow = 0x08, kThrowRef = 0x0a, kTryTable = 0x1f, kBlock = 0x02, kLoop = 0x03,
                  kEnd = 0x0b, kGet = 0x20, kSet = 0x21, kTee = 0x22, kCall = 0x10, kDrop = 0x1a,
                  kUnreachable = 0x00, kIf = 0x04, kElse = 0x05, kVoid = 0x40, kBrIf = 0x0d,
                  kSub = 0x6b, kConst = 0x41, kTableGet = 0x25, kTableSet = 0x26, kCatch = 0,
                  kCatchRef = 1, kCatchAll = 2;
constexpr uint8_t kTag = 4, kFunc = 0;

Bin exported(const std::string& name, uint8_t kind, uint8_t index) {
  return str(name) + Bin{kind, index};
}

// Types: 0 the tag's, 1 of all functions, 2 what catch_ref of the tag yields.
Bin type_section() {
  return types({func_type({kI32}, {}), func_type({kI32}, {kI32}), func_type({}, {kI32, kExnRef})});
}

// Functions of type 1: throws its argument; throws and catches it; throws that often, keeping references meanwhile;
// keeps the exception in the table; rethrows and catches what is there.
const Bin kThrows = {kGet, 0, kThrow, 0, kEnd};
const Bin kCatches = {kBlock, kI32, kTryTable, kI32, 1,    kCatch, 0,   0,
                      kGet,   0,    kCall,     0,    kEnd, kEnd,   kEnd};
const Bin kCatchBlock = {kBlock, 2, kTryTable, kVoid, 1, kCatchRef, 0, 0};
const Bin kChurns =
    Bin{kLoop, kVoid} + kCatchBlock +
    Bin{kGet, 0,    kCall, 0, kDrop, kEnd, kUnreachable, kEnd, kDrop, kDrop, kGet, 0, kConst,
        1,    kSub, kTee,  0, kBrIf, 0,    kEnd,         kGet, 0,     kEnd};
const Bin kKeeps =
    kCatchBlock + Bin{kGet, 0, kCall, 0, kDrop,     kEnd, kUnreachable, kEnd, kSet, 1, kDrop,
                      kGet, 0, kGet,  1, kTableSet, 0,    kGet,         0,    kEnd};
const Bin kRethrows = {kBlock, kI32,      kTryTable, kVoid,     1,    kCatch,       0,    0,   kGet,
                       0,      kTableGet, 0,         kThrowRef, kEnd, kUnreachable, kEnd, kEnd};

Bin thrower(uint32_t table_size) {
  return header() + type_section() + section(3, vec({{1}, {1}, {1}, {1}, {1}})) +
         section(4, vec({Bin{kExnRef, 0} + uleb(table_size)})) + section(13, vec({{0, 0}})) +
         section(7, vec({exported("throw", kFunc, 0), exported("catch", kFunc, 1),
                         exported("churn", kFunc, 2), exported("keep", kFunc, 3),
                         exported("rethrow", kFunc, 4), exported("tag", kTag, 0)})) +
         section(10, vec({body(kThrows), body(kCatches), body(kChurns),
                          body(kKeeps, {1, 1, kExnRef}), body(kRethrows)}));
}

// Those that are kept are looked for in tables of any size, with turns for others.
TEST_F(ExceptionsTest, AreCollectedInPieces) {
  wring_instance* i = load_binary(thrower(1'000'000));
  EXPECT_VALUE(call(i, "churn", {200}), 0u);
  struct Turns {
    unsigned count = 0, stop_at = 0;
  } turns;
  wring_posix_on_yield(
      [](void* arg) {
        auto* t = static_cast<Turns*>(arg);
        return static_cast<int>(++t->count == t->stop_at);
      },
      &turns);
  wring_instance_vmctx(i)->time_slice = 1;  // each question whether it may go on is a turn
  EXPECT_VALUE(call(i, "churn", {200}), 0u);
  unsigned total = turns.count;
  EXPECT_GT(total, 100u);
  turns = {0, total / 2};
  EXPECT_TRAP(call(i, "churn", {200}), WRING_TRAP_Interrupted);
  EXPECT_EQ(turns.count, total / 2);
  wring_posix_on_yield(nullptr, nullptr);
  EXPECT_VALUE(call(i, "churn", {200}), 0u);
}

TEST_F(ExceptionsTest, AreCaughtWithTheirValues) {
  wring_instance* i = load_binary(thrower(1));
  EXPECT_VALUE(call(i, "catch", {77}), 77u);
  EXPECT_VALUE(call(i, "catch", {0xffffffff}), 0xffffffffu);
}

TEST_F(ExceptionsTest, ThatNobodyCatchesAreTrapsWithTheirPlace) {
  wring_instance* i = load_binary(thrower(1));
  EXPECT_TRAP(call(i, "throw", {5}), WRING_TRAP_UncaughtException);
  const wring_vmctx* vmctx = wring_instance_vmctx(i);
  EXPECT_EQ(vmctx->exception, nullptr);
  ASSERT_EQ(vmctx->trap_frame_count, 1u);
  EXPECT_EQ(vmctx->trap_frames[0].func, 0u);
  // The throw is the second instruction of the first body, after its size and locals.
  const Bin bytes = thrower(1);
  EXPECT_EQ(bytes[vmctx->trap_frames[0].offset], kThrow);
  EXPECT_VALUE(call(i, "catch", {6}), 6u);
  // Each gives its room back.
  for (int n = 0; n < 10'000; n++) EXPECT_TRAP(call(i, "throw", {5}), WRING_TRAP_UncaughtException);
}

TEST_F(ExceptionsTest, ThatNobodyRefersToAreCollected) {
  wring_instance* i = load_binary(thrower(1));
  long long before = wring_posix_live_allocations();
  EXPECT_VALUE(call(i, "churn", {100'000}), 0u);
  EXPECT_EQ(wring_posix_live_allocations(), before) << "the slots to begin with would do";
}

TEST_F(ExceptionsTest, InTablesStay) {
  wring_instance* i = load_binary(thrower(300));
  for (unsigned long long n = 0; n < 300; n++) EXPECT_VALUE(call(i, "keep", {n}), n);
  EXPECT_VALUE(call(i, "churn", {10'000}), 0u);
  for (unsigned long long n = 0; n < 300; n++) EXPECT_VALUE(call(i, "rethrow", {n}), n);
  EXPECT_TRAP(call(i, "rethrow", {300}), WRING_TRAP_TableOutOfBounds);
}

TEST_F(ExceptionsTest, AreLimitedInNumber) {
  wring_instance* i = load_binary(thrower(5000));
  unsigned long long n = 0;
  while (n < 5000 && call(i, "keep", {n}).trap == 0) n++;
  EXPECT_EQ(n, kMaxExceptions);
  EXPECT_TRAP(call(i, "keep", {0}), WRING_TRAP_OutOfExceptions);
  EXPECT_VALUE(call(i, "rethrow", {n - 1}), n - 1);
}

TEST_F(ExceptionsTest, NeedNoMemoryWhereNothingMaySleep) {
  wring_instance* i = load_binary(thrower(200));
  wring_posix_fail_allocation(1);
  unsigned long long n = 0;
  while (n < 200 && call(i, "keep", {n}).trap == 0) n++;
  wring_posix_fail_allocation(0);
  EXPECT_EQ(n, kExceptionSlots);
  EXPECT_VALUE(call(i, "rethrow", {n - 1}), n - 1);
}

// Imports the tag and "throw"; "run" catches by tag, "all" by catch_all, "pass" not at all.
Bin importer() {
  const Bin all = {kBlock, kVoid, kTryTable, kVoid,        1,    kCatchAll, 0, kGet, 0, kCall,
                   0,      kDrop, kEnd,      kUnreachable, kEnd, kConst,    9, kEnd};
  const Bin passes = {kGet, 0, kCall, 0, kEnd};
  return header() + type_section() +
         section(2, vec({str("m") + str("throw") + Bin{kFunc, 1},
                         str("m") + str("tag") + Bin{kTag, 0, 0}})) +
         section(3, vec({{1}, {1}, {1}})) +
         section(7, vec({exported("run", kFunc, 1), exported("all", kFunc, 2),
                         exported("pass", kFunc, 3), exported("tag", kTag, 0)})) +
         section(10, vec({body(kCatches), body(all), body(passes)}));
}

TEST_F(ExceptionsTest, CrossInstances) {
  wring_instance* a = load_binary(thrower(1));
  wring_instance* b = load_binary(importer(), {from(a, "throw"), from(a, "tag")});
  for (int n = 0; n < 1000; n++) {
    EXPECT_VALUE(call(b, "run", {41}), 41u);
    EXPECT_VALUE(call(b, "all", {41}), 9u);
    EXPECT_TRAP(call(b, "pass", {41}), WRING_TRAP_UncaughtException);
  }
  EXPECT_EQ(wring_instance_vmctx(b)->trap_frames[0].func, WRING_NO_INDEX);
  EXPECT_VALUE(call(a, "churn", {1000}), 0u);
}

TEST_F(ExceptionsTest, OfAnotherTagWithTheSameTypePassBy) {
  wring_instance* a = load_binary(thrower(1));
  wring_instance* other = load_binary(thrower(1));
  wring_instance* b = load_binary(importer(), {from(a, "throw"), from(other, "tag")});
  EXPECT_TRAP(call(b, "run", {41}), WRING_TRAP_UncaughtException);
  // A tag imported and exported again is the same one.
  wring_instance* c = load_binary(importer(), {from(a, "throw"), from(a, "tag")});
  wring_instance* d = load_binary(importer(), {from(a, "throw"), from(c, "tag")});
  EXPECT_VALUE(call(d, "run", {42}), 42u);
}

TEST_F(ExceptionsTest, TagsMustMatch) {
  wring_instance* a = load_binary(thrower(1));
  const Bin wrong = header() + types({func_type({kI64}, {})}) +
                    section(2, vec({str("m") + str("tag") + Bin{kTag, 0, 0}}));
  EXPECT_EQ(try_load_bytes(std::string(wrong.begin(), wrong.end()), {from(a, "tag")}),
            -WRING_ERR_LINK);
  EXPECT_EQ(std::string(error.message).rfind("incompatible import type", 0), 0u) << error.message;
  wring_extern_desc desc;
  ASSERT_EQ(wring_module_export(loaded[0].module, 5, &desc), 0);
  EXPECT_EQ(desc.kind, 4u);
  EXPECT_STREQ(desc.params, "i");
}

// What a search for exceptions costs, and how often others get a turn meanwhile. Each question whether the invocation
// may go on is a turn.
class CollectionTest : public EngineTest {
 protected:
  void TearDown() override {
    wring_posix_on_yield(nullptr, nullptr);
    EngineTest::TearDown();
  }
  struct Cost {
    unsigned trap = 0, turns = 0;
    unsigned long long fuel = 0;
  };
  // Of a call, which is interrupted in the n-th turn (0: not at all).
  Cost cost(wring_instance* i, const std::string& name, unsigned long long arg, unsigned n = 0) {
    constexpr unsigned long long kMuch = 1ull << 40;
    Cost c;
    unsigned long long fuel = kMuch;
    stop_at_ = n;
    turns_ = 0;
    wring_posix_on_yield(
        [](void* self) {
          auto* t = static_cast<CollectionTest*>(self);
          return static_cast<int>(++t->turns_ == t->stop_at_);
        },
        this);
    wring_instance_vmctx(i)->time_slice = 0;
    c.trap = call(i, name, {arg}, &fuel).trap;
    wring_posix_on_yield(nullptr, nullptr);
    c.turns = turns_;
    c.fuel = kMuch - fuel;
    return c;
  }
  // Turns are no further apart than pieces of a collection, where that is most of what the call does.
  static void expect_pieces(const Cost& c) {
    EXPECT_EQ(c.trap, 0u);
    EXPECT_GE(c.turns, c.fuel / (kCollectorPieceBytes / kBulkBytesPerFuel + 64));
  }

  unsigned turns_ = 0, stop_at_ = 0;
};

// Throws often enough, keeping a reference, that exceptions are looked for: twice.
constexpr unsigned kChurn = 2 * kExceptionSlots + 1;

Bin with_globals(uint8_t type, uint32_t count) {
  Bin global =
      type == kExnRef ? Bin{kExnRef, 1, 0xd0, kExnRef, kEnd} : Bin{type, 1, kConst, 0, kEnd};
  Bin globals = uleb(count);
  for (uint32_t i = 0; i < count; i++) globals.insert(globals.end(), global.begin(), global.end());
  return header() + type_section() + section(3, vec({{1}, {1}, {1}})) + section(13, vec({{0, 0}})) +
         section(6, globals) + section(7, vec({exported("churn", kFunc, 2)})) +
         section(10, vec({body(kThrows), body(kCatches), body(kChurns)}));
}

TEST_F(CollectionTest, GlobalsThatHoldNoExceptionsCostNothing) {
  Cost few = cost(load_binary(with_globals(kI32, 1)), "churn", kChurn);
  Cost many = cost(load_binary(with_globals(kI32, 90'000)), "churn", kChurn);
  EXPECT_EQ(few.trap, 0u);
  EXPECT_EQ(many.fuel, few.fuel);
  EXPECT_EQ(many.turns, few.turns);
}

TEST_F(CollectionTest, GlobalsThatMayArePaidForAndPaced) {
  constexpr unsigned kGlobals = 90'000;
  Cost few = cost(load_binary(with_globals(kExnRef, 1)), "churn", kChurn);
  Cost many = cost(load_binary(with_globals(kExnRef, kGlobals)), "churn", kChurn);
  // A cache line each at least, in each of the two.
  EXPECT_GE(many.fuel - few.fuel, 2 * kGlobals);
  expect_pieces(many);
}

// However little there is to look through, each exception there may be is looked at.
TEST_F(CollectionTest, ExceptionsArePaidFor) {
  wring_instance* i = load_binary(thrower(4000));
  Cost few = cost(i, "churn", kChurn);
  for (unsigned long long n = 0; n < 3000; n++) EXPECT_VALUE(call(i, "keep", {n}), n);
  Cost many = cost(i, "churn", 3000);
  EXPECT_GE(many.fuel - few.fuel, 2 * 3000u);
  for (unsigned long long n = 0; n < 3000; n += 100) EXPECT_VALUE(call(i, "rethrow", {n}), n);
}

// Killed in each turn of a collection: whatever has been marked or given back then, nothing is lost.
TEST_F(CollectionTest, MayBeAbandonedAnywhere) {
  wring_instance* i = load_binary(thrower(20'000));
  for (unsigned long long n = 0; n < 50; n++) EXPECT_VALUE(call(i, "keep", {n}), n);
  long long before = wring_posix_live_allocations();
  unsigned total = cost(i, "churn", kChurn).turns;
  EXPECT_GT(total, 20u);
  for (unsigned n = 1; n <= total; n++) {
    Cost c = cost(i, "churn", kChurn, n);
    if (c.trap == 0) continue;  // the one before has left more room
    ASSERT_EQ(c.trap, unsigned{WRING_TRAP_Interrupted});
    ASSERT_EQ(c.turns, n);
    if (n % 2) continue;  // the next one is abandoned, too
    EXPECT_VALUE(call(i, "rethrow", {n % 50}), n % 50);
    EXPECT_VALUE(call(i, "churn", {kChurn}), 0u);
  }
  for (unsigned long long n = 0; n < 50; n++) EXPECT_VALUE(call(i, "rethrow", {n}), n);
  EXPECT_EQ(wring_posix_live_allocations(), before) << "the slots to begin with would do";
}

// Exports "deep", which calls itself as often as its argument says with a reference to an exception in each frame,
// and then throws often.
Bin deep() {
  const Bin dives = kCatchBlock +
                    Bin{kGet, 0, kCall, 0, kDrop, kEnd, kUnreachable, kEnd, kSet, 1, kDrop} +
                    Bin{kGet, 0, kIf, kI32, kGet, 0, kConst, 1, kSub, kCall, 3, kElse, kConst} +
                    sleb(kChurn) + Bin{kCall, 2, kEnd, kConst, 0, kGet, 1, kTableSet, 0, kEnd};
  return header() + type_section() + section(3, vec({{1}, {1}, {1}, {1}})) +
         section(4, vec({{kExnRef, 0, 1}})) + section(13, vec({{0, 0}})) +
         section(7, vec({exported("throw", kFunc, 0), exported("tag", kTag, 0),
                         exported("deep", kFunc, 3)})) +
         section(10,
                 vec({body(kThrows), body(kCatches), body(kChurns), body(dives, {1, 1, kExnRef})}));
}

TEST_F(CollectionTest, WordsOfDeepStacksAreFoundAmongManyInstancesAsAmongFew) {
  constexpr unsigned kInstances = 300;
  wring_instance* i = load_binary(deep());
  auto link = [&] { load_binary(importer(), {from(i, "throw"), from(i, "tag")}); };
  link();
  EXPECT_EQ(cost(i, "deep", 1000).trap, 0u);  // after that the pool is as large as it gets
  Cost few = cost(i, "deep", 1000);
  for (unsigned n = 0; n < kInstances; n++) link();
  Cost many = cost(i, "deep", 1000);
  EXPECT_GT(few.turns, 200u);
  expect_pieces({0, many.turns - few.turns, many.fuel - few.fuel});
  // Three times a collection each, however many words there are.
  constexpr unsigned kMostOfInstance = 3 * 8, kMostCollections = 4;
  EXPECT_GT(many.fuel, few.fuel + kInstances);
  EXPECT_LT(many.fuel, few.fuel + few.fuel / 4 + kInstances * kMostOfInstance * kMostCollections);
}

// The steps themselves: what a collection does between two questions whether it may go on.
struct Questions {
  u64 bytes = 0, most = 0;
  unsigned count = 0, stop_at = 0;
} g_questions;

bool collect(wring_instance* i, unsigned stop_at = 0) {
  g_questions = {};
  g_questions.stop_at = stop_at;
  wring_vmctx* vmctx = wring_instance_vmctx(i);
  vmctx->entry_sp = vmctx->guest_sp = nullptr;  // no frames
  return runtime::collect_exceptions(vmctx, [](wring_vmctx*, u64 bytes) {
    g_questions.bytes += bytes;
    g_questions.most = std::max(g_questions.most, bytes);
    return ++g_questions.count != g_questions.stop_at;
  });
}

TEST_F(CollectionTest, EveryStepCounts) {
  constexpr u64 kLine = 64, kGlobals = 10'000, kTable = 10'000, kInstances = 500;
  wring_instance* globals = load_binary(with_globals(kExnRef, kGlobals));
  EXPECT_TRUE(collect(globals));
  EXPECT_GE(g_questions.bytes, kGlobals * kLine + 2 * kExceptionSlots * kLine);
  EXPECT_LE(g_questions.most, kCollectorPieceBytes + 8 * kLine);
  wring_instance* table = load_binary(thrower(kTable));
  EXPECT_TRUE(collect(table));
  EXPECT_GE(g_questions.bytes, kTable * sizeof(u64) + 2 * kExceptionSlots * kLine);
  EXPECT_LE(g_questions.most, kCollectorPieceBytes + 8 * kLine);
  wring_instance* linked = load_binary(thrower(1));
  for (u64 n = 0; n < kInstances; n++)
    load_binary(importer(), {from(linked, "throw"), from(linked, "tag")});
  EXPECT_TRUE(collect(linked));
  EXPECT_GE(g_questions.bytes, kInstances * 3 * kLine);
  EXPECT_LE(g_questions.most, kCollectorPieceBytes + 8 * kLine);
  // Once told to stop, it does.
  unsigned total = g_questions.count;
  EXPECT_GT(total, 3u);
  for (unsigned n = 1; n <= total; n++) {
    EXPECT_FALSE(collect(linked, n));
    EXPECT_EQ(g_questions.count, n);
  }
}

TEST_F(CollectionTest, ThrowingCostsWhatTheTagTakes) {
  // Tags of no value and of a thousand v128, and what throws both.
  const Bin throws = {kThrow, 0, kEnd}, many = {kUnreachable, kThrow, 1, kEnd};
  wring_instance* i = load_binary(
      header() + types({func_type({}, {}), func_type(testing::repeat(kMaxParams, {kV128}), {})}) +
      section(3, vec({{0}, {0}})) + section(13, vec({{0, 0}, {0, 1}})) +
      section(10, vec({body(throws), body(many)})));
  wring_vmctx* vmctx = wring_instance_vmctx(i);
  for (unsigned tag : {0u, 1u}) {
    constexpr long long kFuel = 10'000;
    vmctx->fuel = kFuel;
    wring_exception* exception = wring_lib_exn_new(vmctx, tag, 0, 0);
    ASSERT_NE(exception, nullptr);
    EXPECT_EQ(exception->value_words, tag * 2 * kMaxParams);
    EXPECT_EQ(kFuel - vmctx->fuel, tag * 16 * kMaxParams / kBulkBytesPerFuel);
    wring_lib_exn_free(vmctx, exception);
  }
}

}  // namespace
}  // namespace wring::test
