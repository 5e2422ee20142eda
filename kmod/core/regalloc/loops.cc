// SPDX-License-Identifier: GPL-2.0
// Loop summaries: register pressure by adding up from inner to outer loops, calls by a forward pass.
#include "core/regalloc/loops.h"

namespace wring::ra {
namespace {

// Pressure and calls of each loop, from its blocks.
void add_up_pressure(const LirFunction& f, Span<BlockIndex> parents, Span<BlockLiveness> blocks) {
  for (BlockIndex b = f.blocks.size(); b-- > 0; tick()) {
    const LirBlock& block = f.blocks[b];
    BlockLiveness& info = blocks[b];
    auto merge = [&](BlockIndex header, const u32* pressure, const u32* crossing, bool calls) {
      BlockLiveness& loop = blocks[header];
      for (u32 c = 0; c < 2; c++) {
        loop.loop_pressure[c] = max(loop.loop_pressure[c], pressure[c]);
        loop.loop_crossing[c] = max(loop.loop_crossing[c], crossing[c]);
      }
      loop.loop_calls = loop.loop_calls || calls;
    };
    if (block.loop_header != kNone && !block.is_cold)
      merge(block.loop_header, info.pressure, info.crossing, info.calls);
    if (block.loop_end > b && parents[b] != kNone)
      merge(parents[b], info.loop_pressure, info.loop_crossing, info.loop_calls);
  }
}

class CertainCalls {
 public:
  CertainCalls(const LirFunction& f, Span<BlockIndex> parents, Span<BlockLiveness> blocks)
      : f_(f), parents_(parents), blocks_(blocks) {}
  void run();

 private:
  // Whether every hot path from `header` to the end of b, in its loop or one nested in it, contains a call.
  bool called_since(BlockIndex header, BlockIndex b) const {
    constexpr u32 kMaxLevels = 8;  // seen through; deeper nests count as doubtful
    if (blocks_[b].called) return true;
    BlockIndex inner = f_.blocks[b].loop_header;
    for (u32 level = 0; level < kMaxLevels && inner != kNone && inner != header; level++) {
      if (blocks_[inner].called_before) return true;
      inner = parents_[inner];
    }
    return false;
  }
  // The same for all hot ways into b, those from earlier blocks or those from later ones.
  bool called_before(BlockIndex header, BlockIndex b, bool earlier) const {
    bool any = false;
    for (BlockIndex pred : ticking(f_.blocks[b].preds)) {
      if (f_.blocks[pred].is_cold || (pred < b) != earlier) continue;
      if (!called_since(header, pred)) return false;
      any = true;
    }
    return any;
  }

  const LirFunction& f_;
  Span<BlockIndex> parents_;
  Span<BlockLiveness> blocks_;
};

void CertainCalls::run() {
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick()) {
    BlockIndex header = f_.blocks[b].loop_header;
    if (header == kNone || f_.blocks[b].is_cold) continue;
    BlockLiveness& info = blocks_[b];
    if (header == b) {
      BlockIndex parent = parents_[b];
      info.called_before = parent != kNone && called_before(parent, b, true);
      info.called = info.calls;
    } else {
      info.called = info.calls || called_before(header, b, true);
    }
  }
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick())
    if (f_.blocks[b].loop_header == b) blocks_[b].always_calls = called_before(b, b, false);
}

}  // namespace

void summarize_loops(const LirFunction& f, Span<BlockIndex> parents, Span<BlockLiveness> blocks) {
  add_up_pressure(f, parents, blocks);
  CertainCalls(f, parents, blocks).run();
}

}  // namespace wring::ra
