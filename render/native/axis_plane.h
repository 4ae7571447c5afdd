// A plane along the voxel axes whose rows of voxels can be read side by side: axial, coronal and sagittal of a volume
// along the patient's axes. Mixed as CfSlab::order says: between the two planes of voxels that it lies between (through),
// between their rows (down), both on whole rows of voxels as vectors, and last, for each pixel, between two neighbours
// of the mixed row (across). Values equal cf_slab_pixel bit by bit.
#pragma once

#include "axes.h"
#include "picked_row.h"
#include "sheets.h"
#include "target.h"

namespace {

const int kBand = 8;  // output rows whose mixed rows are kept in the first cache for one pass over the columns

template <typename T>
class AxisPlane {
 public:
  AxisPlane(const T* values, const CfSlab& s, const Sheets<T>& sheets, const Target& to, const Axes& axes, int begin,
            int end)
      : s_(s),
        to_(to),
        axes_(axes),
        sheets_(sheets),
        across_(steps_of(s, s.across, axes.across, 0, s.width)),
        down_(steps_of(s, s.down, axes.down, begin, end)),
        through_(steps_of(s, s.through, axes.through, 0, 1)),
        begin_(begin),
        end_(end),
        values_(values) {
    stop_ = values + (long long)s.grid.nx * s.grid.ny * s.grid.nz;
    strides_[0] = 1, strides_[1] = s.grid.nx, strides_[2] = (long long)s.grid.nx * s.grid.ny;
  }

  void draw() {
    if (through_.begin == through_.end || across_.begin == across_.end) down_.end = down_.begin;
    for (int y = begin_; y < end_; ++y) {
      const bool hit = y >= down_.begin && y < down_.end;
      store_outside(s_, to_, 0, y, hit ? across_.begin : s_.width);
      if (hit) store_outside(s_, to_, across_.end, y, s_.width - across_.end);
    }
    if (down_.begin >= down_.end) return;
    depth_ = through_.place(0);
    from_sheets_ = axes_.across == 1 && sheets_.have(depth_.index);
    for (int x = across_.begin; x < across_.end; x += columns_.count) {
      picks_of(&columns_, across_, x, across_.end);
      kept_[0] = kept_[1] = -1;
      for (int y = down_.begin; y < down_.end; y += kBand) band(x, y, down_.end - y < kBand ? down_.end - y : kBand);
    }
  }

 private:
  // Voxels [low, low + voxels) of the row at `down` along the columns' axis, mixed between their planes.
  const float* line(int down) {
    float* out = lines_[down & 1];
    if (kept_[down & 1] == down) return out;
    kept_[down & 1] = down;
    const T *a, *b;
    if (axes_.across == 0) {
      a = values_ + depth_.index * strides_[axes_.through] + down * strides_[axes_.down] + columns_.low;
      b = a + strides_[axes_.through];
    } else if (from_sheets_) {
      a = sheets_.of[depth_.index] + down * (long long)s_.grid.ny + columns_.low;
      b = sheets_.of[depth_.index + 1] + down * (long long)s_.grid.ny + columns_.low;
    } else {
      scattered_line(down, out);
      return out;
    }
    mix_voxels(a, takes<T>(depth_.fraction) ? b : nullptr, depth_.fraction, columns_.voxels, out);
    return out;
  }

  // Voxels of a row, between it and another where there is one.
  void mix_voxels(const T* a, const T* b, float f, int count, float* __restrict out) const {
    const T* last = b != nullptr ? b : a;
    if (!from_sheets_ && stop_ - last < count + CF_LANES) {  // no room for whole vectors
      for (int i = 0; i < count; ++i) out[i] = b != nullptr ? cf_mix((float)a[i], (float)b[i], f) : (float)a[i];
    } else if (b != nullptr) {
      const CfF fraction = cf_all(f);
      for (int i = 0; i < count; i += CF_LANES) put(out + i, mix(loaded(a + i), loaded(b + i), fraction));
    } else {
      for (int i = 0; i < count; i += CF_LANES) put(out + i, loaded(a + i));
    }
  }

  // The same across rows of the volume: pairs of neighbours, a cache line each. Those of the next row are asked for.
  void scattered_line(int down, float* out) {
    const int count = columns_.voxels, stride = (int)strides_[1];
    const T* from = values_ + down * strides_[2] + columns_.low * strides_[1] + depth_.index;
    const long long next = down_.step < 0.0f ? -strides_[2] : strides_[2];
    const bool more = down_.step < 0.0f ? down > 0 : down + 1 < s_.grid.nz;
    for (int i = 0; more && i < count; ++i) __builtin_prefetch(from + next + (long long)i * stride, 0, 2);
    const CfI last = cf_all_int(count - 1);
    const CfF fraction = cf_all(depth_.fraction);
    for (int i = 0; i < count; i += CF_LANES) {
      CfI at;
      for (int lane = 0; lane < CF_LANES; ++lane) at[lane] = i + lane;
      put(out + i, mix(cf_gather_pair(from, (at < last ? at : last) * stride), fraction));
    }
  }

  static void put(float* out, CfF value) { memcpy(out, &value, sizeof value); }

  // The row of output row `y`, not yet mixed along the columns' axis.
  void mixed_row(int y, float* out) {
    const Place at = down_.place(y);
    const float* a = line(at.index);
    const int count = columns_.voxels;
    if (!takes<T>(at.fraction)) {
      memcpy(out, a, sizeof(float) * (size_t)count);
      return;
    }
    mix_rows(a, line(at.index + 1), at.fraction, count, out);
  }

  static void mix_rows(const float* a, const float* b, float f, int count, float* __restrict out) {
    const CfF fraction = cf_all(f);
    for (int i = 0; i < count; i += CF_LANES) put(out + i, mix(loaded(a + i), loaded(b + i), fraction));
  }

  void band(int x, int y, int rows) {
    for (int r = 0; r < rows; ++r) {
      expect_output(x, y + r);
      mixed_row(y + r, mixed_[r]);
    }
    if (columns_.picks == kOneLoad)
      across<kOneLoad>(x, y, rows);
    else if (columns_.picks == kTwoLoads)
      across<kTwoLoads>(x, y, rows);
    else
      across<kGathers>(x, y, rows);
  }

  // A row's cache lines, most of which other work has put out since the last picture, are asked for while rows are mixed.
  void expect_output(int x, int y) const {
    const long long at = (long long)y * s_.width + x;
    const int kLine = 64;
    for (int i = 0; to_.reduced != nullptr && i < columns_.count; i += kLine / 4)
      __builtin_prefetch(to_.reduced + at + i, 1, 3);
    for (int i = 0; to_.picture != nullptr && i < columns_.count; i += kLine)
      __builtin_prefetch(to_.picture + at + i, 1, 3);
  }

  template <int PICKS>
  void across(int x, int y, int rows) {
    // Whole numbers: 0 + value is the value, as is the larger of it and nothing.
    const bool any = s_.kind == CF_MEAN || s_.start == (s_.kind == CF_LARGEST ? -__builtin_inff() : __builtin_inff());
    const bool plain = any && sizeof(T) == 2;
    if (plain && to_.picture == nullptr)
      across<PICKS, kValues>(x, y, rows);
    else if (plain && to_.straight && to_.reduced == nullptr)
      across<PICKS, kShades>(x, y, rows);
    else
      across<PICKS, kAny>(x, y, rows);
  }

  enum { kValues, kShades, kAny };

  template <int PICKS, int GIVES>
  void across(int x, int y, int rows) {
    for (int i = 0; i < columns_.count; i += kTogether) {
      const int count = columns_.count - i < kTogether ? columns_.count - i : kTogether;
      const long long at = (long long)y * s_.width + x + i;
      if (GIVES == kValues && count == kTogether)
        give_values<PICKS>(columns_.of + i / CF_LANES, rows, to_.reduced + at);
      else if (GIVES == kShades && count == kTogether)
        give_shades<PICKS>(columns_.of + i / CF_LANES, rows, to_.picture + at);
      else
        give_any<PICKS>(columns_.of + i / CF_LANES, x + i, y, rows, count);
    }
  }

  template <int PICKS>
  void give_values(const Picks* picks, int rows, float* __restrict out) const {
    const long long width = s_.width;
    for (int j = 0; j < kTogether / CF_LANES; ++j) {
      const Picks p = picks[j];
      for (int r = 0; r < rows; ++r) put(out + r * width + j * CF_LANES, picked<PICKS>(mixed_[r], p));
    }
  }

  template <int PICKS>
  void give_shades(const Picks* picks, int rows, cf_u8* __restrict out) const {
    const Shade shade = shade_of(to_);
    const long long width = s_.width;
    Picks p[kTogether / CF_LANES];
#pragma GCC unroll 4
    for (int j = 0; j < kTogether / CF_LANES; ++j) p[j] = picks[j];
    for (int r = 0; r < rows; ++r) {
      CfI shown[kTogether / CF_LANES];
#pragma GCC unroll 4
      for (int j = 0; j < kTogether / CF_LANES; ++j) shown[j] = shaded(shade, picked<PICKS>(mixed_[r], p[j]));
      cf_narrow(shown, out + r * width);
    }
  }

  template <int PICKS>
  void give_any(const Picks* picks, int x, int y, int rows, int count) {
    for (int r = 0; r < rows; ++r) {
      CfF value[kTogether / CF_LANES];
      for (int j = 0; j < kTogether / CF_LANES; ++j) value[j] = picked<PICKS>(mixed_[r], picks[j]);
      store_any(value, x, y + r, count);
    }
  }

  void store_any(CfF* value, int x, int y, int count) {
    for (int j = 0; j * CF_LANES < count; ++j)
      value[j] = s_.kind == CF_MEAN ? 0.0f + value[j] : reduced_once(s_, value[j]);
    store_row(s_, to_, value, x, y, count);
  }

  const CfSlab& s_;
  const Target& to_;
  const Axes axes_;
  const Sheets<T> sheets_;
  Steps across_, down_, through_;
  int begin_, end_;
  const T* values_;
  const T* stop_;
  long long strides_[3];
  bool from_sheets_ = false;
  Place depth_;
  PickedColumns columns_;
  int kept_[2];
  alignas(64) float lines_[2][kSpan + 64];
  alignas(64) float mixed_[kBand][kSpan + 64];
};

// False where the view has another order of mixing, is not finite, or so small that its columns are far apart.
template <typename T>
bool axis_plane(const T* values, const CfSlab& s, const Sheets<T>& sheets, const Target& to, int begin, int end) {
  Axes axes;
  if (!aligned_axes(s, &axes) || order_of(axes) != s.order) return false;
  const float step = s.across[axes.across];
  if ((step < 0.0f ? -step : step) * kTogether > kSpan - 2) return false;
  AxisPlane<T>(values, s, sheets, to, axes, begin, end).draw();
  return true;
}

}  // namespace
