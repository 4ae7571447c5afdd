// Packets of near pixels march side by side: the CPU's way of many rays for kernels/raycast.h, of which every ray gets
// what cf_ray_march gives, bit by bit.
#pragma once
#include "ray_loads.h"
#include "ray_window.h"

#if CF_LANES >= 8  // with four, packing costs more than it spares
namespace {

constexpr int kGroupAcross = 2, kGroupDown = 2;
constexpr int kGroup = kGroupAcross * kGroupDown;  // packets
constexpr int kSteps = 8;                          // samples of each that are looked up together

struct GroupPacket {
  CfVecI px, py, alive;
  CfRays<CfPacket> r;
  CfVecF start, end;
  CfBeam beam;
  CfMarch<CfPacket> m;
  CfOther<CfPacket> other;
  bool done;
};

// Samples that may see something, of all packets, side by side: lines of memory are fetched only for them, and gathers,
// whose time does not depend on the mask, are full.
template <int kind>
struct Packed {
  static constexpr int kRoom = (kGroup * kSteps + 1) * CF_LANES;
  alignas(64) int voxel[kRoom], entry[kRoom];
  float part[3][kRoom], opacity[kRoom];
  unsigned lanes[kGroup][kSteps];
  int count = 0;

  int put(int count, unsigned which, const CfPlace<CfPacket>& p, const int* size) {
    CfPacket::pack(which, cf_ray_index<CfPacket>(p, size), voxel + count);
    for (int i = 0; i < 3; ++i) CfPacket::pack(which, p.part[i], part[i] + count);
    return count + __builtin_popcount(which);
  }

  void look_up(const CfRayLayer& g) {
    const CfVecI none = {};
    __builtin_memcpy(voxel + count, &none, sizeof none);
    for (int i = 0; i < 3; ++i) __builtin_memset(part[i] + count, 0, sizeof none);
    for (int from = 0; from < count; from += CF_LANES) {
      CfVecF parts[3];
      for (int i = 0; i < 3; ++i) parts[i] = CfPacket::load(part[i] + from);
      const CfVecI found = cf_ray_entry<CfPacket>(g, value_at<kind>(g, parts, (const CfVecI*)(voxel + from)));
      const CfVecF dense = CfPacket::at(g.opacity, found);
      __builtin_memcpy(entry + from, &found, sizeof found);
      __builtin_memcpy(opacity + from, &dense, sizeof dense);
    }
  }
};

template <int kind, bool fused, class Sink>
struct Group {
  const CfRayScene& s;
  Sink& sink;
  GroupPacket packet[kGroup];
  Packed<kind> packed;
  CfBeam beam, other_beam;
  float t, last;

  Group(const CfRayScene& scene, Sink& to) : s(scene), sink(to) {}

  void begin(int i, CfVecI px, CfVecI py, CfVecI wanted) {
    GroupPacket& g = packet[i];
    const CfVecF zero = {}, never = CfPacket::splat(-1.0f);
    g.px = px;
    g.py = py;
    g.r = cf_ray_begin<CfPacket>(s, px, py);
    CfVecF begin;
    cf_ray_clip<CfPacket>(s, g.r, begin, g.end);
    g.m = {zero, zero, zero, {zero, zero, zero, zero}, never, CfPacket::splat(1.0f), zero, never};
    // The first whole t at or behind `begin`.
    const CfVecF whole = CfPacket::real(CfPacket::whole(cf_min<CfPacket>(begin, CfPacket::splat(1e6f))));
    g.start = CfPacket::select(whole < begin, whole + 1.0f, whole);
    g.alive = wanted & (begin <= g.end) & (g.start <= g.end);
    g.done = !CfPacket::any(g.alive);
    const float first = CfPacket::least(CfPacket::select(g.alive, g.start, CfPacket::splat(CF_RAY_FAR)));
    const float final = CfPacket::most(CfPacket::select(g.alive, g.end, never));
    t = i == 0 || first < t ? first : t;
    last = i == 0 || final > last ? final : last;
  }

  static CfReach joined(CfReach a, const CfReach& b) {
    for (int i = 0; i < 3; ++i)
      for (int end = 0; end < 2; ++end) {
        a.low[i][end] = cf_min<CfOneLane>(a.low[i][end], b.low[i][end]);
        a.high[i][end] = cf_max<CfOneLane>(a.high[i][end], b.high[i][end]);
      }
    return a;
  }

  void march() {
    if (t > last) return finish();
    CfReach all = {}, all_other = {};
    for (int i = 0; i < kGroup; ++i) {
      GroupPacket& g = packet[i];
      const CfReach reach = cf_ray_reach<CfPacket>(g.r, t, last);
      g.beam = cf_ray_beam(reach, t, last);
      all = i == 0 ? reach : joined(all, reach);
      if (!fused) continue;
      g.other = cf_ray_other<CfPacket>(s, g.r, t, last);
      const CfReach there = cf_ray_reach<CfPacket>(g.other.r, t, last);
      all_other = i == 0 ? there : joined(all_other, there);
    }
    beam = cf_ray_beam(all, t, last);
    if (fused) other_beam = cf_ray_beam(all_other, t, last);
    while (t <= last) {
      const float next = cf_ray_skip(s.layer, beam, t);
      const float then = fused ? cf_ray_skip(s.other, other_beam, t) : next;
      if (next > t && then > t) {
        t = cf_min<CfOneLane>(next, then);
        continue;
      }
      packed.count = 0;
      bool left = false;
      for (int i = 0; i < kGroup; ++i)
        if (!packet[i].done) look(i);
      if (packed.count > 0) packed.look_up(s.layer);
      int from = 0;
      for (int i = 0; i < kGroup; ++i) {
        if (packet[i].done) continue;
        from = fused ? add_both(i, from) : add(i, from);
        left |= !packet[i].done;
      }
      if (!left) break;
      t = t + (float)kSteps;
    }
    finish();
  }

  void look(int i) {
    const CfRayLayer& layer = s.layer;
    const GroupPacket& g = packet[i];
    const int skipped = (int)cf_min<CfOneLane>(cf_ray_skip(layer, g.beam, t) - t, (float)kSteps);
    for (int k = 0; k < skipped; ++k) packed.lanes[i][k] = 0;
    if (skipped == kSteps) return;
    if (layer.sights == 0) return look(i, skipped, [](const CfPlace<CfPacket>&) { return CfVecI{} + 1; });
#if defined(__AVX512F__)
    const Window window(layer, g.beam, t + (float)skipped, (float)(kSteps - 1 - skipped));
    if (window.empty)
      for (int k = skipped; k < kSteps; ++k) packed.lanes[i][k] = 0;
    else if (window.fits)
      look(i, skipped, [window](const CfPlace<CfPacket>& p) { return window.sight(p); });
    if (window.fits) return;
#endif
    look(i, skipped, [layer](const CfPlace<CfPacket>& p) { return cf_ray_sight<CfPacket>(layer, p); });
  }

  // `sight` gives a word whose lowest bit says whether something may be seen at a place.
  template <class Sight>
  void look(int i, int k, Sight sight) {
    // Copies stay in registers; what is packed might lie in the packet for all that the compiler knows.
    const CfRays<CfPacket> r = packet[i].r;
    const CfVecF start = packet[i].start, end = packet[i].end;
    const unsigned alive = CfPacket::bits(packet[i].alive);
    const int size[3] = {s.layer.size[0], s.layer.size[1], s.layer.size[2]};
    const float first = t;
    unsigned* lanes = packed.lanes[i];
    int count = packed.count;
    for (; k < kSteps; ++k) {
      const CfVecF at = CfPacket::splat(first + (float)k);
      const CfPlace<CfPacket> p = cf_ray_place<CfPacket>(r, at, size);
      const unsigned which = CfPacket::looking(alive, start, end, at, sight(p));
      lanes[k] = which;
      // Without a branch: it would wait for the bits, and be guessed wrong often.
      count = packed.put(count, which, p, size);
    }
    packed.count = count;
  }

  int add(int i, int from) {
    GroupPacket& g = packet[i];
    bool any = false;
    CfMarch<CfPacket> m = g.m;
    CfVecI alive = g.alive;
    for (int k = 0; k < kSteps; ++k) {
      const unsigned lanes = packed.lanes[i][k];
      if (lanes == 0) continue;
      const float at = t + (float)k;
      const CfVecF opacity = CfPacket::spread(lanes, packed.opacity + from);
      const CfVecI entry = CfPacket::spread(lanes, packed.entry + from);
      from += __builtin_popcount(lanes);
      CfVecI seen = CfPacket::mask(lanes) & (opacity > 0.0f) & alive;
      if (s.keep != 0 && CfPacket::any(seen)) seen = seen & kept(g, at);
      if (!CfPacket::any(seen)) continue;
      cf_ray_add<CfPacket>(s, g.r, g.px, g.py, m, entry, seen, opacity, at, sink);
      alive = alive & (m.through >= CF_RAY_OPAQUE);
      any = true;
    }
    if (!any) return from;
    g.m = m;
    g.alive = alive;
    g.done = !CfPacket::any(alive);
    return from;
  }

  int add_both(int i, int from) {
    GroupPacket& g = packet[i];
    for (int k = 0; k < kSteps; ++k) {
      const unsigned lanes = packed.lanes[i][k];
      const float at = t + (float)k;
      const CfPlace<CfPacket> p = cf_ray_place<CfPacket>(g.r, CfPacket::splat(at), s.layer.size);
      if (lanes != 0) {
        const CfVecF opacity = CfPacket::spread(lanes, packed.opacity + from);
        const CfVecI entry = CfPacket::spread(lanes, packed.entry + from);
        from += __builtin_popcount(lanes);
        CfVecI seen = CfPacket::mask(lanes) & (opacity > 0.0f) & g.alive;
        if (s.keep != 0 && CfPacket::any(seen)) seen = seen & kept(g, at);
        if (CfPacket::any(seen)) {
          cf_ray_add<CfPacket>(s, g.r, g.px, g.py, g.m, entry, seen, opacity, at, sink);
          g.alive = g.alive & (g.m.through >= CF_RAY_OPAQUE);
        }
      }
      const CfVecI on = g.alive & (g.start <= at) & (g.end >= at);
      cf_ray_sample_other<CfPacket>(s, g.other, p, on, at, g.m);
      g.alive = g.alive & (g.m.through >= CF_RAY_OPAQUE);
    }
    g.done = !CfPacket::any(g.alive);
    return from;
  }

  CfVecI kept(const GroupPacket& g, float at) const {
    const CfPlace<CfPacket> p = cf_ray_place<CfPacket>(g.r, CfPacket::splat(at), s.layer.size);
    return cf_ray_kept<CfPacket>(s, p, cf_ray_index<CfPacket>(p, s.layer.size));
  }

  void finish() {
    for (int i = 0; i < kGroup; ++i) {
      GroupPacket& g = packet[i];
      const CfVecI rest = g.m.sum[3] > 0.0f;
      if (CfPacket::any(rest)) sink.take(s, g.r, g.px, g.py, rest, g.m);
      g.m.red = g.m.red + g.m.through * s.background[0];
      g.m.green = g.m.green + g.m.through * s.background[1];
      g.m.blue = g.m.blue + g.m.through * s.background[2];
    }
  }
};

}  // namespace
#endif
