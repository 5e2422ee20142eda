// SPDX-License-Identifier: GPL-2.0
// The tables of global value numbering: pure values by what computes them, loads by location and version.
#include "core/abi/vmctx.h"
#include "core/opt/gvn.h"

namespace wring::opt {

namespace {

// simplify() may make further values, which are simplified in turn: this deep.
constexpr u32 kMaxNesting = 12;

// How many of those in one place of a table are looked at: hashes are not keyed, and a body may make them collide.
constexpr u32 kMaxChain = 64;

constexpr u8 kGlobalCells = 0xfe;  // pseudo-class of the pointer to the array of globals' cells

u32 mix(u32 hash, u64 x) {
  u64 h = (hash ^ x) * 0x9e37'79b9'7f4a'7c15;
  return static_cast<u32>(h >> 32);
}

constexpr u32 kAllClasses = (1u << kMemoryClasses) - 1;

MemKind kind_of(const Inst& access) { return static_cast<MemKind>(access.aux & 0xff); }

// What distinguishes memories with equal indices.
Value memory_of(const Inst& access) {
  bool has_base = access.op == Op::kLoadMem || access.op == Op::kStoreMem ||
                  access.op == Op::kLoadLaneMem || access.op == Op::kStoreLaneMem;
  return has_base ? access.arg[1] : kNone;
}

}  // namespace

u32 Gvn::hash_inst(const Inst& inst) const {
  u32 hash = mix(static_cast<u32>(inst.op) | static_cast<u32>(inst.type) << 8 |
                     static_cast<u32>(inst.operand_type) << 16,
                 inst.aux);
  hash = mix(hash, static_cast<u64>(inst.imm));
  if (Function::has_pool_args(inst.op)) {
    for (Value arg : ticking(f_->pool.span().slice(inst.pool, inst.count))) hash = mix(hash, arg);
    return mix(hash, inst.block);
  }
  for (u32 i = 0; i < inst.count; i++) hash = mix(hash, inst.arg[i]);
  return hash;
}

bool Gvn::equal_insts(const Inst& a, const Inst& b) const {
  if (a.op != b.op || a.type != b.type || a.operand_type != b.operand_type || a.aux != b.aux ||
      a.imm != b.imm || a.count != b.count)
    return false;
  if (Function::has_pool_args(a.op)) {
    if (a.block != b.block) return false;
    for (u32 i = 0; i < a.count; i++, tick())
      if (f_->pool[a.pool + i] != f_->pool[b.pool + i]) return false;
    return true;
  }
  for (u32 i = 0; i < a.count; i++)
    if (a.arg[i] != b.arg[i]) return false;
  return true;
}

Value Gvn::find_pure(const Inst& inst, u32 hash) const {
  u32 e = pure_heads_[hash & (pure_heads_.size() - 1)];
  for (u32 n = 0; n < kMaxChain && e != kNone; n++, e = pure_[e].next)
    if (pure_[e].hash == hash && equal_insts(f_->insts[pure_[e].value], inst))
      return pure_[e].value;
  return kNone;
}

void Gvn::add_pure(Value v, u32 hash) {
  u32* head = &pure_heads_[hash & (pure_heads_.size() - 1)];
  if (!pure_.push({hash, v, *head})) {
    failed_ = true;
    return;
  }
  *head = pure_.size() - 1;
}

// The value of a pure instruction whose arguments are final: an existing one if there is one, else the
// instruction is listed, in the place of `reuse` if that is given.
Value Gvn::number(Inst inst, Value reuse) {
  if (failed_) return 0;
  if (nesting_ < kMaxNesting) {
    nesting_++;
    Value v = simplify(&inst);
    nesting_--;
    if (failed_) return 0;
    if (v != kNone) return v;
  }
  // (A clamp must not become a constant because of a condition: it guards against mispredicting that.)
  bool is_clamp = inst.op == Op::kClampIndex || inst.op == Op::kMatchOrNull;
  if (!is_clamp && (inst.type == Type::kI32 || inst.type == Type::kI64)) {
    ValueInfo info = facts_.derive(inst);
    if (info.lo == info.hi) return constant(inst.type, info.lo);
    ByteMap map = bytes_of_inst(inst, info);
    if (map.source != kNone) {
      Value v = match_bytes(inst, map);
      if (v != kNone) return v;
    }
  }
  u32 hash = hash_inst(inst);
  Value v = find_pure(inst, hash);
  if (v != kNone) return v;
  inst.origin = origin_;
  if (reuse == kNone) {
    if (!f_->insts.push(inst)) {
      failed_ = true;
      return 0;
    }
    reuse = f_->insts.size() - 1;
  } else {
    f_->insts[reuse] = inst;
  }
  define(reuse);
  add_pure(reuse, hash);
  list(reuse);
  return reuse;
}

// What memory an address points to, by how it is computed.
u8 Gvn::address_class(const Inst& inst) const {
  auto class_at = [this](Value v) { return v < classes_.size() ? classes_[v] : u8{kHostData}; };
  switch (inst.op) {
    case Op::kVmCtx: return kInstanceState;
    case Op::kAdd: {
      u8 memory_class = class_at(inst.arg[0]);
      return memory_class != kHostData ? memory_class : class_at(inst.arg[1]);
    }
    case Op::kLoadRaw: break;
    default: return kHostData;
  }
  if (!inst.invariant) return kHostData;
  u8 base = class_at(inst.arg[0]);
  if (base == kGlobalCells) {
    u32 index = static_cast<u32>(inst.imm / 8);
    if (!f_->module || index < f_->module->imported_globals) return kImportedGlobals;
    return static_cast<u8>(kFirstGlobal + index % (kMemoryClasses - kFirstGlobal));
  }
  if (is_op(inst.arg[0], Op::kVmCtx)) {
    if (inst.imm == __builtin_offsetof(wring_vmctx, pkt)) return kPacketData;
    if (inst.imm == __builtin_offsetof(wring_vmctx, globals)) return kGlobalCells;
  }
  return base == kInstanceState ? u8{kInstanceState} : u8{kHostData};
}

u8 Gvn::class_of(const Inst& access) const {
  if (is_linear(access.op) || access.op == Op::kFence) return kLinearMemory;
  u8 memory_class = classes_[access.arg[0]];
  return memory_class == kGlobalCells ? u8{kInstanceState} : memory_class;
}

// As a bit mask. A window of linear memory may show a map's values: each changes the other.
u32 Gvn::classes_written(const Inst& inst) const {
  u8 effects = effects_of(inst.op);
  if (effects & kCalls) return kAllClasses;
  if (!(effects & kWrites) || inst.op == Op::kFuel) return 0;
  u32 written = 1u << class_of(inst);
  if (written & (1u << kLinearMemory | 1u << kHostData))
    written |= 1u << kLinearMemory | 1u << kHostData;
  return written;
}

// The classes each loop writes, inner loops included. Other CPUs write host data at any time: a loop may be
// waiting for that.
bool Gvn::scan_loop_writes() {
  Result<Span<BlockId>> ends = loop_ends(*f_, scratch_);
  if (!ends.ok()) return false;
  Vec<BlockId> open(scratch_);
  for (BlockId b = 0; b < f_->blocks.size(); b++, tick()) {
    const Block& block = f_->blocks[b];
    while (!open.empty() && ends.value()[open.back()] < b) {
      BlockId inner = open.pop();
      if (!open.empty()) loop_writes_[open.back()] |= loop_writes_[inner];
    }
    if (block.is_loop_header) {
      if (!open.push(b)) return false;
      loop_writes_[b] |= 1u << kHostData;
    }
    for (Value v : paced(block.insts)) {
      const Inst& inst = f_->insts[v];
      if (v >= classes_.size() && !classes_.resize(usize{v} + 1)) return false;
      classes_[v] = address_class(inst);
      if (!open.empty()) loop_writes_[open.back()] |= classes_written(inst);
    }
  }
  while (open.size() > 1) {
    tick();
    BlockId inner = open.pop();
    loop_writes_[open.back()] |= loop_writes_[inner];
  }
  return true;
}

void Gvn::new_version(u8 memory_class) { now_.of[memory_class] = ++last_version_; }

// The versions at the start of a block: those its predecessors agree on, new ones for the rest.
void Gvn::enter_memory(BlockId block) {
  const Block& b = f_->blocks[block];
  bool first = true;
  u32 differ = 0;
  for (BlockId pred : ticking(b.preds)) {
    if (pred >= block || !is_live_edge(pred, block)) continue;
    if (first) now_ = versions_out_[pred];
    first = false;
    for (u32 c = 0; c < kMemoryClasses; c++)
      differ |= u32{now_.of[c] != versions_out_[pred].of[c]} << c;
  }
  if (b.is_loop_header) differ |= loop_writes_[block];
  for (u8 c = 0; c < kMemoryClasses; c++)
    if (differ >> c & 1) new_version(c);
}

namespace {
u32 hash_location(Value base, i64 offset, u32 version) {
  return mix(mix(base, static_cast<u64>(offset)), version);
}
}  // namespace

Value Gvn::find_memory(const Inst& load, u8 memory_class) const {
  auto fits = [&](const MemoryEntry& entry) {
    return entry.base == load.arg[0] && entry.offset == load.imm &&
           entry.memory == memory_of(load) && entry.memory_class == memory_class &&
           entry.type == load.type && entry.kind == static_cast<MemKind>(load.aux);
  };
  for (u32 i = recent_count_; i-- > 0;)
    if (fits(recent_[i])) return recent_[i].value;
  u32 version = now_.of[memory_class];
  u32 hash = hash_location(load.arg[0], load.imm, version);
  u32 e = memory_heads_[hash & (memory_heads_.size() - 1)];
  for (u32 n = 0; n < kMaxChain && e != kNone; n++, e = memory_[e].next)
    if (memory_[e].hash == hash && memory_[e].version == version && fits(memory_[e]))
      return memory_[e].value;
  return kNone;
}

void Gvn::add_memory(const MemoryEntry& entry) {
  MemoryEntry copy = entry;
  copy.hash = hash_location(entry.base, entry.offset, entry.version);
  u32* head = &memory_heads_[copy.hash & (memory_heads_.size() - 1)];
  copy.next = *head;
  if (!memory_.push(copy)) {
    failed_ = true;
    return;
  }
  *head = memory_.size() - 1;
}

void Gvn::note_recent(const MemoryEntry& entry) {
  if (recent_count_ < kRecent) {
    recent_[recent_count_++] = entry;
    return;
  }
  recent_[recent_next_] = entry;
  recent_next_ = (recent_next_ + 1) % kRecent;
}

// Notes that `kind` and `type` at the location of `access` load `value` now.
void Gvn::remember(u8 memory_class, const Inst& access, MemKind kind, Type type, Value value) {
  MemoryEntry entry = {};
  entry.base = access.arg[0];
  entry.memory = memory_of(access);
  entry.offset = access.imm;
  entry.version = now_.of[memory_class];
  entry.kind = kind;
  entry.type = type;
  entry.memory_class = memory_class;
  entry.value = value;
  add_memory(entry);
  note_recent(entry);
}

// Beyond a linear memory access that has not trapped, its index is known to be small enough; then constants added to
// it do not wrap, and fold into the offsets of the accesses that follow.
void Gvn::assume_in_bounds(const Inst& access) {
  if (access.op != Op::kLoad && access.op != Op::kStore && access.op != Op::kLoadLane &&
      access.op != Op::kStoreLane)
    return;  // (other memories have bounds of their own)
  u64 end = static_cast<u64>(access.imm) + bytes_of(kind_of(access));
  if (end <= f_->max_memory_bytes)
    failed_ |= !facts_.assume_at_most(access.arg[0], f_->max_memory_bytes - end);
  note_anchor(access.arg[0]);
}

// Indices that differ from one known to be valid by a constant: those above it can be reached from it, where nothing is
// known of what both are sums of. (Frames in linear memory: the stack pointer minus something, plus something.)
void Gvn::note_anchor(Value index) {
  Value root, old_root;
  u64 c, old;
  if (!match_const(index, Op::kAdd, &root, &c)) return;
  Value before = anchor_of(root);
  if (before != kNone &&
      (!match_const(before, Op::kAdd, &old_root, &old) || static_cast<i32>(c - old) >= 0))
    return;
  failed_ |= root >= anchors_.size() && !anchors_.resize(usize{root} + 1);
  failed_ |= !anchor_log_.push({root, before});
  if (!failed_) anchors_[root].of = index;
}

// Drops from the recent entries what the store may overwrite. (Offsets from one base do not wrap.)
void Gvn::keep_recent(const Inst& store, u8 memory_class, MemKind kind) {
  i64 begin = store.imm, end = store.imm + bytes_of(kind);
  u32 written = classes_written(store), kept = 0;
  for (u32 i = 0; i < recent_count_; i++) {
    const MemoryEntry& entry = recent_[i];
    bool beside = entry.memory_class == memory_class && entry.base == store.arg[0] &&
                  entry.memory == memory_of(store) &&
                  (entry.offset >= end || begin >= entry.offset + bytes_of(entry.kind));
    if ((written >> entry.memory_class & 1) == 0 || beside) recent_[kept++] = recent_[i];
  }
  recent_count_ = kept;
  recent_next_ = 0;
}

void Gvn::visit_load(Value v) {
  Inst inst = f_->insts[v];
  fold_address(&inst);
  if (failed_) return;
  if (inst.op == Op::kLoadGs || inst.invariant) {
    replacement_[v] = number(inst, v);
    return;
  }
  u8 memory_class = class_of(inst);
  Value known = find_memory(inst, memory_class);
  if (known != kNone) {
    replacement_[v] = known;
    return;
  }
  f_->insts[v] = inst;
  define(v);
  list(v);
  assume_in_bounds(inst);
  remember(memory_class, inst, static_cast<MemKind>(inst.aux), inst.type, v);
}

void Gvn::visit_store(Value v) {
  Inst inst = f_->insts[v];
  fold_address(&inst);
  if (failed_) return;
  f_->insts[v] = inst;
  list(v);
  assume_in_bounds(inst);
  u8 memory_class = class_of(inst);
  write_classes(classes_written(inst));
  MemKind kind = kind_of(inst);
  keep_recent(inst, memory_class, kind);
  if (inst.op != Op::kStore && inst.op != Op::kStoreMem && inst.op != Op::kStoreRaw) return;
  // A load of the same width yields the value, if that fits it.
  Value value = inst.arg[inst.count - 1];
  u64 most = kind == MemKind::k8U    ? 0xff
             : kind == MemKind::k16U ? 0xffff
             : kind == MemKind::k32U ? 0xffff'ffff
                                     : ~u64{0};
  if (facts_.info(value).hi <= most) remember(memory_class, inst, kind, inst.operand_type, value);
}

void Gvn::write_classes(u32 classes) {
  for (u8 c = 0; c < kMemoryClasses; c++)
    if (classes >> c & 1) new_version(c);
}

void Gvn::visit_call() {
  recent_count_ = recent_next_ = 0;
  write_classes(kAllClasses);
}

// The rest of the vector comes from elsewhere: nothing to remember.
void Gvn::visit_lane_load(Value v) {
  Inst inst = f_->insts[v];
  fold_address(&inst);
  if (failed_) return;
  f_->insts[v] = inst;
  define(v);
  list(v);
  assume_in_bounds(inst);
}

// Other threads' writes become visible here, even by a load.
void Gvn::visit_atomic(Value v) {
  define(v);
  list(v);
  recent_count_ = recent_next_ = 0;
  write_classes(classes_written(f_->insts[v]));
}

// Forgets what was found in a subtree of the dominator tree.
void Gvn::undo(const Scope& scope) {
  while (pure_.size() > scope.pure_mark) {
    tick();
    PureEntry entry = pure_.pop();
    pure_heads_[entry.hash & (pure_heads_.size() - 1)] = entry.next;
  }
  while (memory_.size() > scope.memory_mark) {
    tick();
    MemoryEntry entry = memory_.pop();
    memory_heads_[entry.hash & (memory_heads_.size() - 1)] = entry.next;
  }
  while (anchor_log_.size() > scope.anchor_mark) {
    tick();
    AnchorChange change = anchor_log_.pop();
    anchors_[change.root].of = change.before;
  }
  facts_.undo_to(scope.facts_mark);
}

}  // namespace wring::opt
