// SPDX-License-Identifier: GPL-2.0
// The generator of one function's body. It keeps the types on the operand stack, as a validator does, and at each step
// appends something that is valid there; values may stay on the stack over many steps.
#pragma once

#include "selftests/fuzz/generate.h"

namespace wring::test {

// i, l, f, d or v.
char letter(ValType type);

// Instructions from the opcode table that suit a module: without traps and side effects, loads, stores, accesses of
// lanes, atomics but wait and notify.
struct OpcodeLists {
  explicit OpcodeLists(const ModuleShape& shape);
  std::vector<Opcode> simple, loads, stores, lane_accesses, atomics;
};

class BodyGenerator {
 public:
  BodyGenerator(Choices* choices, const ModuleShape& shape, u32 func);
  Body generate();

 private:
  struct Frame {
    std::string label;  // what a branch to it takes
    std::string results;
    bool is_target;  // branches may go there: not to loops whose counter only their end looks at
    size_t height;   // of the operand stack below
    bool is_dead;    // after a jump, up to the end
  };
  static constexpr u32 kMaxLoopDepth = 3;
  static constexpr size_t kMostFrames = 12;

  // generate_body.cc: statements and control
  void ordinary();
  void choose_locals();
  void consume_budget();
  void steps(u32 count);
  void step();
  void control_step();
  void block();
  void if_else();
  void loop();
  void branch();
  void branch_if();
  void branch_table();
  void leave();
  void rotate_locals();
  void nested(Frame frame, u32 count);
  void converge(const std::string& types);
  void die();
  void block_type(Opcode opcode, const Signature& s);
  Signature block_signature();
  std::string few_types(u32 most);
  std::string top(u32 count) const;
  u32 loop_counter(char* type);

  // generate_expr.cc: values
  void constant(char type);
  void constant(char type, i64 value);
  i64 interesting();
  void value(char type, u32 depth);
  void operands(const std::string& types, u32 depth);
  void simple_op();
  void emit(Opcode op);
  void canonicalize(char type);
  void canonicalize_vector(bool is_f64);
  void divide(char type, u32 depth);
  void select(char type, u32 depth);
  void condition(u32 depth);

  // generate_bool.cc: booleans that blocks and locals carry
  void boolean(u32 depth);
  void boolean_by_branch(u32 depth);
  void boolean_by_table(u32 depth);
  void boolean_chain(u32 depth);
  void set_flag();
  void open(Opcode opcode, const std::string& results);
  void close();

  // generate_kinds.cc: functions of special kinds
  void leaf();
  void never_returns();
  void endless();
  void link();
  void chain_start();

  // generate_big.cc: functions that are large in one way
  void big();
  void many_locals();
  void many_targets();
  void deep_nest();
  void wide_loops();
  void many_calls();
  void long_line();
  void local_step(char type);

  // generate_memory.cc: memories and tables
  u32 any_memory();
  void address(u32 depth, u32 memory);
  void near_address(u32 memory);
  void to_index(u32 memory);
  u32 offset();
  void memarg(Opcode opcode, u32 align, u32 memory, u32 at);
  void access(Opcode opcode, u32 memory);
  void lane_access();
  void atomic();
  void load(char type, u32 depth);
  void store();
  void adjacent_accesses();
  void update_memory();
  void byte_idiom(char type);
  void store_local();
  void pressure();
  void bulk();
  void init_memory(u32 length);
  void table_op();

  // generate_calls.cc: calls, references and exceptions
  void call();
  void call(u32 callee);
  bool export_is_callable(u32 func) const;
  void mix_widths();
  void observe(char type);
  void guarded_endless();
  void call_indirect();
  void index_of_callee(u32 callee);
  bool tail_call();
  void reference_step();
  void reference();
  void branch_on_null();
  void try_table();
  void protected_calls();
  void throw_();

  bool is_leaf() const { return kind_ != FunctionKind::kOrdinary; }

  // The stack.
  Frame& frame() { return frames_.back(); }
  bool has(const std::string& types) const;
  void push(char type) { stack_ += type; }
  void push(const std::string& types) { stack_ += types; }
  void pop(size_t count);

  u32 local_of(char type, bool writable);
  char any_type();
  char any_int();
  bool has_type(char type) const;

  Choices& c_;
  const ModuleShape& shape_;
  const OpcodeLists lists_;
  u32 func_;
  Code code_;
  std::string locals_;
  // Locals from here on are the address, flags and the like: read freely, written for their purpose only.
  u32 writable_ = 0;
  u32 address_local_ = 0;
  u32 flags_ = 0;          // locals that hold booleans
  u32 canonical_ = 0;      // an f32 and an f64 that hold no NaN but the canonical one
  u32 readable_ = 0;       // locals from here on are scratch of canonicalize()
  u32 first_counter_ = 0;  // an i32 and an i64 one per loop depth
  u32 loop_depth_ = 0;
  // What this function is like.
  FunctionKind kind_;
  u32 depth_ = 3;            // of expressions
  bool has_loops_ = true;    // may have some
  u32 boolean_percent_ = 0;  // of conditions
  u32 dead_percent_ = 0;     // how many steps in dead code another one follows
  u32 budget_ = 0;
  std::string stack_;
  std::vector<Frame> frames_;
};

}  // namespace wring::test
