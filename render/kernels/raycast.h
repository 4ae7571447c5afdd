// Shaded volume rendering by ray casting (Levoy, IEEE CG&A 8, 1988), front to back, of one volume or of two fused
// ones. Common subset of CUDA C++ and C++17. The code is written once over a "lanes" type L: CfOneLane (CUDA threads,
// and the definition that tests hold everything against), packets of rays in native/packet.h.
#pragma once
#include "ray_sample.h"

// The way of a packet through a volume: a line in its middle and how far, per axis, rays stray from it. Emptiness is
// looked up for the line alone; that costs one ray's arithmetic for all lanes.
struct CfBeam {
  float o[3], d[3], way[3], radius[3];
};

// Extremes of where rays are, at the beginning and at the end.
struct CfReach {
  float low[3][2], high[3][2];
};

template <class L>
CF_FN CfReach cf_ray_reach(const CfRays<L>& r, float begin, float end) {
  CfReach reach;
  for (int i = 0; i < 3; ++i) {
    const typename L::F first = r.o[i] + r.d[i] * begin, last = r.o[i] + r.d[i] * end;
    reach.low[i][0] = L::least(first);
    reach.low[i][1] = L::least(last);
    reach.high[i][0] = L::most(first);
    reach.high[i][1] = L::most(last);
  }
  return reach;
}

CF_FN CfBeam cf_ray_beam(const CfReach& reach, float begin, float end) {
  CfBeam b;
  for (int i = 0; i < 3; ++i) {
    const float *low = reach.low[i], *high = reach.high[i];
    const float from = 0.5f * (low[0] + high[0]), to = 0.5f * (low[1] + high[1]);
    b.d[i] = end > begin ? (to - from) / (end - begin) : 0.0f;
    b.o[i] = from - b.d[i] * begin;
    // Straying is linear in t, so that it is largest at an end. What is added covers rounding: a sample that this map
    // calls empty is empty by its own place too, whatever packet it is in.
    const float stray = cf_min<CfOneLane>(low[0] - from, low[1] - to);
    const float size = cf_max<CfOneLane>(cf_max<CfOneLane>(from, -from), cf_max<CfOneLane>(to, -to)) +
                       cf_max<CfOneLane>(b.o[i], -b.o[i]);
    b.radius[i] = 0.01f - stray + 1e-6f * size;
    b.way[i] = b.d[i] < 1e-9f && b.d[i] > -1e-9f ? 0.0f : 1.0f / b.d[i];
  }
  return b;
}

// The first whole t, not before this one, at which the map does not say of every ray that it is in empty space.
CF_FN float cf_ray_skip(const CfRayLayer& g, const CfBeam& b, float t) {
  float at[3];
  int cell[3];
  const int width = 1 << g.cell_shift;
  for (int i = 0; i < 3; ++i) {
    at[i] = b.o[i] + t * b.d[i];
    const float inside = cf_min<CfOneLane>(cf_max<CfOneLane>(at[i], 0.0f), (float)(g.size[i] - 2));
    cell[i] = (int)inside >> g.cell_shift;
  }
  const int distance = g.distance[(cell[2] * g.cells[1] + cell[1]) * g.cells[0] + cell[0]];
  if (distance == 0) return t;
  float leave = 1e6f;
  bool empty = true;
  for (int i = 0; i < 3; ++i) {
    // Beyond the volume there is nothing.
    const float low = cell[i] - distance < 0 ? -CF_RAY_FAR : (float)((cell[i] - distance + 1) * width) + b.radius[i];
    const float high =
        cell[i] + distance >= g.cells[i] ? CF_RAY_FAR : (float)((cell[i] + distance) * width) - b.radius[i];
    empty = empty && at[i] >= low && at[i] <= high;
    if (b.way[i] != 0.0f) {
      const float steps = ((b.way[i] > 0.0f ? high : low) - b.o[i]) * b.way[i];
      leave = cf_min<CfOneLane>(leave, steps);
    }
  }
  if (!empty) return t;
  return cf_max<CfOneLane>((float)(int)cf_max<CfOneLane>(leave, 0.0f), t) + 1.0f;
}

// State of a packet of rays while it marches. Samples that share a gradient are summed (colour x weight, and weight)
// and lit together: light comes in when the sum is complete, and then only as a factor.
template <class L>
struct CfMarch {
  typename L::F red, green, blue;     // unlit light: the fused layer, and the background in the end
  typename L::F sum[4];               // of the samples that share a gradient: red, green, blue, weight
  typename L::F lit;                  // t where it is taken, -1: before the first
  typename L::F through, pending, half;
};

// Where completed sums go: this one lights them at once. Packets collect them until every lane has one.
template <class L, int kind>
struct CfLitNow {
  CfLit<L> total;
  CF_METHOD void take(const CfRayScene& s, const CfRays<L>& r, typename L::I, typename L::I, typename L::M which,
                      const CfMarch<L>& m) {
    const CfLit<L> lit = cf_ray_light<L, kind>(s, r, m.lit, m.sum);
    const typename L::F zero = L::splat(0.0f);
    total.red = total.red + L::select(which, lit.red, zero);
    total.green = total.green + L::select(which, lit.green, zero);
    total.blue = total.blue + L::select(which, lit.blue, zero);
  }
};

template <class L>
CF_FN void cf_ray_pass(CfMarch<L>& m, typename L::F weight, float t) {
  m.through = m.through - weight;
  m.half = L::select((m.half < 0.0f) & (m.through < 0.5f), L::splat(t), m.half);
}

// A sample of the lit layer joins the sum at hand, or begins a new one.
template <class L, class Sink>
CF_FN void cf_ray_add(const CfRayScene& s, const CfRays<L>& r, typename L::I px, typename L::I py, CfMarch<L>& m,
                      typename L::I entry, typename L::M seen, typename L::F opacity, float t, Sink& sink) {
  typedef typename L::F F;
  typedef typename L::I I;
  const F zero = L::splat(0.0f), w = L::select(seen, m.through * opacity, zero);
  m.pending = m.pending + w;
  const typename L::M shade = seen & (m.pending > CF_RAY_RESHADE);
  if (s.shade && L::any(shade)) {
    const typename L::M some = shade & (m.sum[3] > 0.0f);
    if (L::any(some)) sink.take(s, r, px, py, some, m);
    for (int i = 0; i < 4; ++i) m.sum[i] = L::select(shade, zero, m.sum[i]);
    m.lit = L::select(shade, L::splat(t), m.lit);
    m.pending = L::select(shade, zero, m.pending);
  }
  const I colour = L::at(s.layer.colour, entry);
  m.sum[0] = m.sum[0] + w * L::real((colour >> 20) & 1023);
  m.sum[1] = m.sum[1] + w * L::real((colour >> 10) & 1023);
  m.sum[2] = m.sum[2] + w * L::real(colour & 1023);
  m.sum[3] = m.sum[3] + w;
  cf_ray_pass<L>(m, w, t);
}

// A sample of the fused layer glows by itself.
template <class L>
CF_FN void cf_ray_glow(CfMarch<L>& m, const CfRayLayer& g, typename L::I entry, typename L::M seen,
                       typename L::F opacity, float t) {
  typedef typename L::F F;
  const typename L::I colour = L::at(g.colour, entry);
  const F w = L::select(seen, m.through * opacity, L::splat(0.0f)), share = w * (1.0f / 1023.0f);
  m.red = m.red + share * L::real((colour >> 20) & 1023);
  m.green = m.green + share * L::real((colour >> 10) & 1023);
  m.blue = m.blue + share * L::real(colour & 1023);
  cf_ray_pass<L>(m, w, t);
}

// The fused volume along the same rays.
template <class L>
struct CfOther {
  CfRays<L> r;
  CfBeam beam;
  typename L::F begin, end;
};

template <class L>
CF_FN CfOther<L> cf_ray_other(const CfRayScene& s, const CfRays<L>& r, float first, float last) {
  CfOther<L> other;
  for (int i = 0; i < 3; ++i) {
    const float* row = s.to_other + 4 * i;
    other.r.o[i] = r.o[0] * row[0] + r.o[1] * row[1] + r.o[2] * row[2] + row[3];
    other.r.d[i] = r.d[0] * row[0] + r.d[1] * row[1] + r.d[2] * row[2];
  }
  other.begin = L::splat(0.0f);
  other.end = L::splat(1e6f);
  for (int i = 0; i < 3; ++i)
    cf_ray_slab<L>(other.r.o[i], other.r.d[i], L::splat(0.0f), L::splat((float)(s.other.size[i] - 1)), other.begin,
                   other.end);
  other.beam = cf_ray_beam(cf_ray_reach<L>(other.r, first, last), first, last);
  return other;
}

template <class L>
CF_FN void cf_ray_sample_other(const CfRayScene& s, const CfOther<L>& other, const CfPlace<L>& p, typename L::M on,
                               float t, CfMarch<L>& m) {
  typedef typename L::I I;
  const typename L::M inside = on & (other.begin <= t) & (other.end >= t);
  if (!L::any(inside)) return;
  const CfPlace<L> q = cf_ray_place<L>(other.r, L::splat(t), s.other.size);
  const I at = cf_ray_index<L>(q, s.other.size);
  const I entry = cf_ray_entry<L>(s.other, cf_ray_value<L, CF_KIND_ASK>(s.other, q, at));
  const typename L::F opacity = L::at(s.other.opacity, entry);
  typename L::M glows = inside & (opacity > 0.0f);
  if (s.keep != 0 && L::any(glows)) glows = glows & cf_ray_kept<L>(s, p, cf_ray_index<L>(p, s.layer.size));
  if (L::any(glows)) cf_ray_glow<L>(m, s.other, entry, glows, opacity, t);
}

// A sample of the lit layer: which lanes see something there, and what by the tables.
template <class L>
struct CfLook {
  typename L::M seen;
  typename L::I entry;
  typename L::F opacity;
};

// Values behind kAhead samples at once, so that one's are on their way while another's are. `seen` comes as the lanes
// that may see something and leaves as those that do; entry and opacity count in these. False: nobody sees anything.
template <class L, int kind>
CF_FN bool cf_ray_look(const CfRayLayer& g, const CfPlace<L>* p, CfLook<L>* look) {
  bool found = false;
  for (int k = 0; k < L::kAhead; ++k) found = found || L::any(look[k].seen);
  if (!found) return false;
  for (int k = 0; k < L::kAhead; ++k) {
    const typename L::I index = cf_ray_index<L>(p[k], g.size);
    look[k].entry = cf_ray_entry<L>(g, cf_ray_value<L, kind>(g, p[k], index));
    look[k].opacity = L::at(g.opacity, look[k].entry);
    look[k].seen = look[k].seen & (look[k].opacity > 0.0f);
  }
  return true;
}

// One packet of rays through pixels (px, py); lanes outside `wanted` do nothing. All lanes are at the same t, so that
// they are near each other in the volume. `fused`: the other layer takes part. Wide packets have a way of their own,
// native/ray_group.h.
template <class L, int kind, bool fused, class Sink>
CF_FN CfMarch<L> cf_ray_march(const CfRayScene& s, typename L::I px, typename L::I py, typename L::M wanted,
                              Sink& sink) {
  typedef typename L::F F;
  typedef typename L::M M;
  const CfRays<L> r = cf_ray_begin<L>(s, px, py);
  const F zero = L::splat(0.0f), never = L::splat(-1.0f);
  F begin, end;
  cf_ray_clip<L>(s, r, begin, end);
  CfMarch<L> m = {zero, zero, zero, {zero, zero, zero, zero}, never, L::splat(1.0f), zero, never};
  // The first whole t at or behind `begin`.
  const F whole = L::real(L::whole(cf_min<L>(begin, L::splat(1e6f))));
  const F start = L::select(whole < begin, whole + 1.0f, whole);
  M alive = wanted & (begin <= end) & (start <= end);
  float t = L::least(L::select(alive, start, L::splat(CF_RAY_FAR)));
  const float last = L::most(L::select(alive, end, never));
  if (t <= last) {
    const CfBeam beam = cf_ray_beam(cf_ray_reach<L>(r, t, last), t, last);
    CfOther<L> other;
    if (fused) other = cf_ray_other<L>(s, r, t, last);
    while (t <= last) {
      const float next = cf_ray_skip(s.layer, beam, t);
      const float then = fused ? cf_ray_skip(s.other, other.beam, t) : next;
      if (next > t && then > t) {
        t = cf_min<CfOneLane>(next, then);
        continue;
      }
      CfPlace<L> p[L::kAhead];
      CfLook<L> look[L::kAhead];
      M on[L::kAhead];
      for (int k = 0; k < L::kAhead; ++k) {
        const float at = t + (float)k;
        p[k] = cf_ray_place<L>(r, L::splat(at), s.layer.size);
        on[k] = (start <= at) & (end >= at);
        look[k].seen = alive & on[k] & cf_ray_may_see<L>(s.layer, p[k]);
      }
      if (!cf_ray_look<L, kind>(s.layer, p, look) && !fused) {
        t = t + (float)L::kAhead;
        continue;
      }
      for (int k = 0; k < L::kAhead; ++k) {
        const float at = t + (float)k;
        M seen = look[k].seen & alive;
        if (s.keep != 0 && L::any(seen)) seen = seen & cf_ray_kept<L>(s, p[k], cf_ray_index<L>(p[k], s.layer.size));
        if (L::any(seen)) {
          cf_ray_add<L>(s, r, px, py, m, look[k].entry, seen, look[k].opacity, at, sink);
          alive = alive & (m.through >= CF_RAY_OPAQUE);
        }
        if (fused) {
          cf_ray_sample_other<L>(s, other, p[k], on[k] & alive, at, m);
          alive = alive & (m.through >= CF_RAY_OPAQUE);
        }
      }
      if (!L::any(alive)) break;
      t = t + (float)L::kAhead;
    }
  }
  const M rest = m.sum[3] > 0.0f;
  if (L::any(rest)) sink.take(s, r, px, py, rest, m);
  m.red = m.red + m.through * s.background[0];
  m.green = m.green + m.through * s.background[1];
  m.blue = m.blue + m.through * s.background[2];
  return m;
}

CF_FN void cf_ray_store(const CfRayScene& s, int x, int y, float red, float green, float blue, float through,
                        float half) {
  const long long at = (long long)y * s.width + x;
  s.rgb[3 * at] = cf_clamp_u8(red * 255.0f);
  s.rgb[3 * at + 1] = cf_clamp_u8(green * 255.0f);
  s.rgb[3 * at + 2] = cf_clamp_u8(blue * 255.0f);
  if (s.seen != 0) {
    s.seen[2 * at] = 1.0f - through;
    s.seen[2 * at + 1] = half < 0.0f ? s.never_mm : s.start_mm + half * s.step_mm;
  }
}

// One pixel by the definition: what a CUDA thread does.
template <int kind, bool fused>
CF_FN void cf_ray_pixel(const CfRayScene& s, int x, int y) {
  CfLitNow<CfOneLane, kind> lit = {{0.0f, 0.0f, 0.0f}};
  const CfMarch<CfOneLane> m = cf_ray_march<CfOneLane, kind, fused>(s, x, y, true, lit);
  cf_ray_store(s, x, y, m.red + lit.total.red, m.green + lit.total.green, m.blue + lit.total.blue, m.through, m.half);
}
