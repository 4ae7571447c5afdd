// Views along the voxel axes: output columns, rows and samples each follow one axis of the volume, so that places are
// found once for each and rows of values are mixed as vectors, without gathers. The sums are those of cf_slab_pixel
// (kernels/slab.h), in its order: along x first, then y, then z, then the samples.
#pragma once

#include "axes.h"
#include "packed_box.h"
#include "pick.h"
#include "samples.h"
#include "sheets.h"
#include "target.h"

namespace {

const int kRows = 32;        // rows of a block
const int kReach = 512;      // voxels that a block's columns may reach over in y or z
const int kChunk = CF_CHUNK;  // samples that are looked at together

// One block of columns: values of its columns along rows of the volume, kept while neighbouring output rows need them.
template <typename T>
class Block {
 public:
  Block(const T* values, const CfSlab& s, const Sheets<T>& sheets, const Axes& axes, const Steps& down,
        const Steps& through)
      : values_(values), grid_(s.grid), sheets_(sheets), axes_(axes), down_(down), through_(through) {
    end_ = values + (long long)grid_.nx * grid_.ny * grid_.nz;
    strides_[0] = 1, strides_[1] = grid_.nx, strides_[2] = (long long)grid_.nx * grid_.ny;
  }

  // Rows along x are read from a copy of the voxels of output rows [row, row_end), all samples and columns, if it fits.
  void pack(const Steps& across, int row, int row_end) {
    int low[3], high[3];
    range(across, across.begin, across.end, &low[0], &high[0]);
    range(down_, row, row_end, &low[axes_.down], &high[axes_.down]);
    range(through_, through_.begin, through_.end, &low[axes_.through], &high[axes_.through]);
    for (int i = 0; i < 3; ++i) ++high[i];
    packed_ = box_.pack(values_, grid_, low, high);
  }

  // Columns [first, first + count); along y or z they reach over fewer than kReach voxels (see aligned).
  void columns(const Steps& across, int first, int count) {
    CfI index[kGroups], lane;
    CfF fraction[kGroups];
    for (int i = 0; i < CF_LANES; ++i) lane[i] = first + i;
    for (int g = 0; g * CF_LANES < count; ++g, lane += CF_LANES) {  // as Steps::place
      const CfF place = within(across.origin + cf_float(lane) * across.step, across.size);
      index[g] = before(place, across.size);
      fraction[g] = place - cf_float(index[g]);
    }
    int* of_each = reinterpret_cast<int*>(index);
    cf_columns(&columns_, of_each, reinterpret_cast<float*>(fraction), count);
    if (axes_.across == 0) return;
    const int low = columns_.low;
    for (int g = 0; g < columns_.groups; ++g) index[g] -= low;
    cf_columns(&columns_, of_each, reinterpret_cast<float*>(fraction), columns_.groups * CF_LANES);
    low_ = low;
  }

  int groups() const { return columns_.groups; }
  bool along_x() const { return axes_.across == 0; }

  // Bound of every sample [k, end) of rows [row, row_end): the cells of the voxels before them.
  float bound(const CfCells& cells, int kind, int row, int row_end, int k, int end) const {
    int low[3], high[3];
    range(down_, row, row_end, &low[axes_.down], &high[axes_.down]);
    range(through_, k, end, &low[axes_.through], &high[axes_.through]);
    low[axes_.across] = columns_.low + low_, high[axes_.across] = columns_.high + low_ - 1;
    for (int i = 0; i < 3; ++i) low[i] >>= CF_CELL_SHIFT, high[i] >>= CF_CELL_SHIFT;
    const float* of = kind == CF_LARGEST ? cells.high : cells.low;
    float bound = of[((long long)low[2] * cells.ny + low[1]) * cells.nx + low[0]];
    for (int z = low[2]; z <= high[2]; ++z)
      for (int y = low[1]; y <= high[1]; ++y) {
        const float* line = of + ((long long)z * cells.ny + y) * cells.nx;
        for (int x = low[0]; x <= high[0]; ++x) bound = cf_beyond(kind, line[x], bound) ? line[x] : bound;
      }
    return bound;
  }

  // Samples [k, k + count) come next.
  void chunk(int k, int count) {
    count_ = count;
    for (int i = 0; i < count; ++i) depth_[i] = through_.place(k + i);
    for (int i = 0; i < kChunk; ++i)
      for (int j = 0; j < 4; ++j) tags_[i][j] = {-1, -1};
  }

  // What output row `row` of sample `i` of the chunk is mixed from.
  Rows rows(int row, const Place& at, int i) {
    Place place[3];
    place[axes_.down] = at;
    place[axes_.through] = depth_[i];
    if (axes_.across == 0) return along_x(place[1], place[2], i);
    return axes_.across == 1 ? along_y(row, place[0], place[2], i) : along_z(row, place[0], place[1], i);
  }

 private:
  static void range(const Steps& steps, int begin, int end, int* low, int* high) {
    const int a = steps.place(begin).index, b = steps.place(end - 1).index;
    *low = a < b ? a : b, *high = a < b ? b : a;
  }

  struct Tag {
    int a, b;
  };

  bool kept(int i, int slot, int a, int b) {
    Tag& tag = tags_[i][slot];
    if (tag.a == a && tag.b == b) return true;
    tag = {a, b};
    return false;
  }

  Rows along_x(const Place& y, const Place& z, int i) {
    Rows r = {{nullptr, nullptr, nullptr, nullptr}, y.fraction, z.fraction, takes<T>(y.fraction), takes<T>(z.fraction)};
    for (int k = 0; k <= (int)r.mixes_z; ++k)
      for (int j = 0; j <= (int)r.mixes_y; ++j) {
        const int iy = y.index + j, iz = z.index + k, slot = (iy & 1) | (iz & 1) << 1;
        CfF* out = lines_[i][slot];
        r.of[2 * k + j] = out;
        if (kept(i, slot, iy, iz)) continue;
        const T* from = packed_ ? box_.row_at(iy, iz) : values_ + iz * strides_[2] + iy * strides_[1];
        cf_lerp_row(from, packed_ ? box_.end() : end_, columns_, out);
      }
    return r;
  }

  // Values between x and the next of the voxels along `axis` (y or z) that the columns need, samples [i, i + count).
  void column(int axis, int other, const Place& x, int i, int count, CfF (*out)[kReach / CF_LANES + 2]) {
    const int last = columns_.high - 1;
    const int stride = (int)strides_[axis];
    const T* from = values_ + other * strides_[3 - axis] + low_ * strides_[axis];
    for (int g = 0; g * CF_LANES <= last + 1; ++g) {
      CfI at;
      for (int lane = 0; lane < CF_LANES; ++lane) at[lane] = g * CF_LANES + lane;
      const CfI final = cf_all_int(last + 1);
      at = (at < final ? at : final) * stride;
      for (int n = i; n < i + count; ++n) {
        const Place& p = axes_.through == 0 ? depth_[n] : x;
        out[n][g] = cf_between(cf_gather_pair(from + p.index, at), cf_all(p.fraction));
      }
    }
  }

  // The same of samples along x that have their sheets: values between two rows.
  void column_of_sheets(int iz, int count) {
    const long long row = (long long)iz * grid_.ny + low_;
    for (int n = 0; n < count; ++n) {
      const Place& p = depth_[n];
      const T *a = sheets_.of[p.index] + row, *b = sheets_.of[p.index + 1] + row;
      for (int g = 0; g * CF_LANES <= columns_.high; ++g) {
        const CfPair pair = {loaded(a + g * CF_LANES), loaded(b + g * CF_LANES)};
        columns_of_[0][n][g] = cf_between(pair, cf_all(p.fraction));
      }
    }
  }

  bool has_sheets(int count) const {
    for (int n = 0; n < count; ++n)
      if (!sheets_.have(depth_[n].index)) return false;
    return true;
  }

  // The next slice's voxels lie a cache line each: they are asked for while this slice is worked on.
  void expect(int iz) const {
    if (iz < 0 || iz >= grid_.nz) return;
    const T* from = values_ + iz * strides_[2] + low_ * strides_[1];
    const T* first = from + depth_[0].index;
    const long long other = depth_[count_ - 1].index - depth_[0].index;
    for (int i = 0; i <= columns_.high; ++i) {
      __builtin_prefetch(first + i * strides_[1], 0, 2);
      if (other != 0) __builtin_prefetch(first + i * strides_[1] + other, 0, 2);
    }
  }

  Rows along_y(int row, const Place& x, const Place& z, int i) {
    Rows r = {{nullptr, nullptr, nullptr, nullptr}, 0.0f, z.fraction, false, takes<T>(z.fraction)};
    for (int k = 0; k <= (int)r.mixes_z; ++k) {
      const int iz = z.index + k, slot = iz & 1;
      r.of[2 * k] = lines_[i][slot];
      const int of = axes_.through == 0 ? 0 : row;
      if (kept(i, slot, iz, of)) continue;
      // Samples along x lie side by side: all of the chunk are taken while their lines are in the cache.
      const int first = axes_.through == 0 ? 0 : i, count = axes_.through == 0 ? count_ : 1;
      if (axes_.through == 0 && has_sheets(count)) {
        column_of_sheets(iz, count);
      } else {
        column(1, iz, x, first, count, columns_of_[0]);
        if (axes_.through == 0) expect(iz + (down_.step < 0.0f ? -1 : 1));
      }
      for (int n = first; n < first + count; ++n) {
        tags_[n][slot] = {iz, of};
        const float* from = reinterpret_cast<const float*>(columns_of_[0][n]);
        cf_lerp_row(from, from + kReach + 2 * CF_LANES, columns_, lines_[n][slot]);
      }
    }
    return r;
  }

  Rows along_z(int row, const Place& x, const Place& y, int i) {
    const bool mixes = takes<T>(y.fraction);
    for (int j = 0; j <= (int)mixes; ++j) {
      const int iy = y.index + j, slot = iy & 1, of = axes_.through == 0 ? 0 : row;
      if (kept(i, slot, iy, of)) continue;
      const int first = axes_.through == 0 ? 0 : i, count = axes_.through == 0 ? count_ : 1;
      column(2, iy, x, first, count, columns_of_[slot]);
      for (int n = first; n < first + count; ++n) tags_[n][slot] = {iy, of};
    }
    const CfF* a = columns_of_[y.index & 1][i];
    const CfF* b = columns_of_[(y.index + 1) & 1][i];
    CfF* mixed = mixed_;
    for (int g = 0; g * CF_LANES <= columns_.high; ++g)
      mixed[g] = mixes ? a[g] + y.fraction * (b[g] - a[g]) : a[g];
    const float* from = reinterpret_cast<const float*>(mixed);
    cf_lerp_row(from, from + kReach + 2 * CF_LANES, columns_, lines_[i][0]);
    return {{lines_[i][0], nullptr, nullptr, nullptr}, 0.0f, 0.0f, false, false};
  }

  const T* values_;
  const T* end_;
  const CfGrid grid_;
  const Sheets<T> sheets_;
  const Axes axes_;
  const Steps down_, through_;
  long long strides_[3];
  CfColumns columns_;
  int low_ = 0, count_ = 0;
  bool packed_ = false;
  PackedBox<T> box_;
  Place depth_[kChunk];
  Tag tags_[kChunk][4];
  CfF lines_[kChunk][4][kGroups];
  CfF columns_of_[2][kChunk][kReach / CF_LANES + 2];
  CfF mixed_[kReach / CF_LANES + 2];
};

// One tile of a view: blocks of columns and rows, each with its samples in chunks.
template <typename T, int KIND>
class Tile {
 public:
  Tile(const T* values, const CfSlab& s, const CfCells& cells, const Sheets<T>& sheets, const Target& to,
       const Axes& axes, int begin, int end)
      : s_(s),
        cells_(cells),
        to_(to),
        across_(steps_of(s, s.across, axes.across, 0, s.width)),
        down_(steps_of(s, s.down, axes.down, begin, end)),
        through_(steps_of(s, s.through, axes.through, 0, s.samples)),
        block_(values, s, sheets, axes, down_, through_),
        begin_(begin),
        end_(end) {
    skips_ = cells.low != nullptr && KIND != CF_MEAN && s.samples > CF_CHUNK;
  }

  void draw() {
    if (through_.begin == through_.end || across_.begin == across_.end) down_.end = down_.begin;
    for (int y = begin_; y < end_; ++y) {
      const bool hit = y >= down_.begin && y < down_.end;
      store_outside(s_, to_, 0, y, hit ? across_.begin : s_.width);
      if (hit) store_outside(s_, to_, across_.end, y, s_.width - across_.end);
    }
    // Small blocks skip more; columns along y or z share cache lines with their rows' neighbours.
    const int wide = !skips_ ? kColumns : (block_.along_x() ? kColumns / 2 : kColumns / 4);
    const int tall = !skips_ ? kRows : (block_.along_x() ? kRows / 4 : kRows / 2);
    const bool packs = block_.along_x() && !skips_ && s_.samples > 1;
    const int step = packs ? tall : (down_.end > down_.begin ? down_.end - down_.begin : 1);
    for (int top = down_.begin; top < down_.end; top += step) {
      const int bottom = down_.end - top < step ? down_.end : top + step;
      if (packs) block_.pack(across_, top, bottom);
      for (int x = across_.begin; x < across_.end; x += wide) {
        const int columns = across_.end - x < wide ? across_.end - x : wide;
        block_.columns(across_, x, columns);
        for (int y = top; y < bottom; y += tall) block(x, y, columns, bottom - y < tall ? bottom - y : tall);
      }
    }
  }

 private:
  void block(int x, int y, int columns, int rows) {
    const int groups = block_.groups();
    for (int r = 0; r < rows; ++r) {
      places_[r] = down_.place(y + r);
      for (int g = 0; g < groups; ++g) sums_[r][g] = cf_all(KIND == CF_MEAN ? 0.0f : s_.start);
    }
    if (skips_)
      best_chunks(y, rows);
    else
      for (int k = through_.begin; k < through_.end; k += kChunk) chunk(y, rows, k);
    const float count = (float)(through_.end - through_.begin);
    for (int r = 0; r < rows; ++r) {
      for (int g = 0; KIND == CF_MEAN && s_.samples > 1 && g < groups; ++g) sums_[r][g] = sums_[r][g] / count;
      store_row(s_, to_, sums_[r], x, y + r, columns);
    }
  }

  void chunk(int y, int rows, int k) {
    const int count = through_.end - k < kChunk ? through_.end - k : kChunk;
    block_.chunk(k, count);
    Rows samples[kChunk];
    for (int r = 0; r < rows; ++r) {
      for (int i = 0; i < count; ++i) samples[i] = block_.rows(y + r, places_[r], i);
      accumulate<KIND>(samples, count, block_.groups(), sums_[r]);
    }
  }

  // The sum that is farthest from being settled.
  float weakest(int rows) const {
    CfF least = sums_[0][0];
    for (int r = 0; r < rows; ++r)
      for (int g = 0; g < block_.groups(); ++g)
        least = KIND == CF_LARGEST ? cf_least(least, sums_[r][g]) : cf_most(least, sums_[r][g]);
    return KIND == CF_LARGEST ? cf_lowest_lane(least) : -cf_lowest_lane(-least);
  }

  // Largest or smallest: chunks in the order of their cells' bounds, until no bound is beyond the weakest value.
  void best_chunks(int y, int rows) {
    float bounds[CF_MOST_SAMPLES / kChunk + 1];
    const int count = (through_.end - through_.begin + kChunk - 1) / kChunk;
    for (int i = 0; i < count; ++i) {
      const int k = through_.begin + i * kChunk, end = k + kChunk < through_.end ? k + kChunk : through_.end;
      bounds[i] = block_.bound(cells_, KIND, y, y + rows, k, end);
    }
    float least = s_.start;
    while (!cf_beyond(KIND, least, s_.enough)) {
      int best = 0;
      for (int i = 1; i < count; ++i) best = cf_beyond(KIND, bounds[i], bounds[best]) ? i : best;
      if (!cf_beyond(KIND, bounds[best], least)) break;
      bounds[best] = s_.start;
      chunk(y, rows, through_.begin + best * kChunk);
      least = weakest(rows);
    }
  }

  const CfSlab& s_;
  const CfCells& cells_;
  const Target& to_;
  Steps across_, down_, through_;
  Block<T> block_;
  int begin_, end_;
  bool skips_;
  Place places_[kRows];
  CfF sums_[kRows][kGroups];
};

// False where the view is not along the axes, or so small that its columns are far apart.
template <typename T, int KIND>
bool aligned(const T* values, const CfSlab& s, const CfCells& cells, const Sheets<T>& sheets, const Target& to,
             int begin, int end) {
  Axes axes;
  if (s.cubic || !aligned_axes(s, &axes)) return false;
  const float step = s.across[axes.across];
  if (axes.across != 0 && (step < 0.0f ? -step : step) * kColumns > kReach - 2) return false;
  Tile<T, KIND>(values, s, cells, sheets, to, axes, begin, end).draw();
  return true;
}

}  // namespace
