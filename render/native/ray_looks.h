// Looking up what a packet of rays sees: the CPU's version of CfLooks in kernels/raycast.h.
#pragma once
#include "packet.h"

#if CF_LANES >= 8  // with four, packing costs more than it spares
// Few lanes of a packet may see something at a place. Those of all samples that are looked up together are packed, so
// that lines of memory are fetched only for them and gathers, whose time does not depend on the mask, are full.
template <int kind>
struct CfLooks<CfPacket, kind> {
  static inline bool at(const CfRayLayer& g, const CfPlace<CfPacket>* p, CfLook<CfPacket>* look) {
    constexpr long long kBytes = kind == CF_KIND_F32 ? 4 : 2;
    constexpr int kRoom = (CfPacket::kAhead + 1) * CF_LANES;
    unsigned lanes[CfPacket::kAhead];
    int voxel[kRoom], entry[kRoom], count = 0;
    float part[3][kRoom], opacity[kRoom];
    for (int k = 0; k < CfPacket::kAhead; ++k) {
      lanes[k] = CfPacket::bits(look[k].seen);
      if (lanes[k] == 0) continue;
      CfPacket::pack(lanes[k], cf_ray_index<CfPacket>(p[k], g.size), voxel + count);
      for (int i = 0; i < 3; ++i) CfPacket::pack(lanes[k], p[k].part[i], part[i] + count);
      count += __builtin_popcount(lanes[k]);
    }
    if (count == 0) return false;
    CfPacket::I none = {};
    __builtin_memcpy(voxel + count, &none, sizeof none);
    for (int i = 0; i < 3; ++i) __builtin_memset(part[i] + count, 0, sizeof none);
    // A gather waits for its own lines only; those of all others are asked for before the first.
    const int row = g.size[0], slice = row * g.size[1];
    for (int i = 0; i < count; ++i) {
      const char* cell = (const char*)g.values + (long long)voxel[i] * kBytes;
      __builtin_prefetch(cell);
      __builtin_prefetch(cell + (long long)row * kBytes);
      __builtin_prefetch(cell + (long long)slice * kBytes);
      __builtin_prefetch(cell + (long long)(slice + row) * kBytes);
    }
    for (int from = 0; from < count; from += CF_LANES) {
      CfPlace<CfPacket> q = {{none, none, none}, {}};
      CfPacket::I at;
      __builtin_memcpy(&at, voxel + from, sizeof at);
      for (int i = 0; i < 3; ++i) q.part[i] = CfPacket::load(part[i] + from);
      const CfPacket::I found = cf_ray_entry<CfPacket>(g, cf_ray_value<CfPacket, kind>(g, q, at));
      const CfPacket::F dense = CfPacket::at(g.opacity, found);
      __builtin_memcpy(entry + from, &found, sizeof found);
      __builtin_memcpy(opacity + from, &dense, sizeof dense);
    }
    count = 0;
    for (int k = 0; k < CfPacket::kAhead; ++k) {
      if (lanes[k] == 0) continue;
      look[k].entry = CfPacket::spread(lanes[k], entry + count);
      look[k].opacity = CfPacket::spread(lanes[k], opacity + count);
      look[k].seen = look[k].seen & (look[k].opacity > 0.0f);
      count += __builtin_popcount(lanes[k]);
    }
    return true;
  }
};
#endif
