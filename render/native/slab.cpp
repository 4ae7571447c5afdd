// CPU entry points over kernels/slab.h, called by ctypes on tiles of rows, or once for all of them. Three paths, by where
// the view's directions lead (docs/render.md); values of each equal cf_slab_pixel bit by bit.
#include "../kernels/slab.h"

#include "aligned.h"
#include "axis_plane.h"
#include "crew.h"
#include "packets.h"
#include "plane.h"

namespace {

// What a view is drawn from.
template <typename T>
struct Source {
  const T* values;
  const CfCells& cells;
  Sheets<T> sheets;
};

template <typename T, int KIND>
int drawn(const Source<T>& from, const CfSlab& s, const Target& to, int y_begin, int y_end) {
  const T* values = from.values;
  const CfCells& cells = from.cells;
  if (aligned<T, KIND>(values, s, cells, from.sheets, to, y_begin, y_end)) return 0;
  if (s.samples == 1 && finite(s.through)) {
    s.cubic ? plane<T, true>(values, s, to, y_begin, y_end) : plane<T, false>(values, s, to, y_begin, y_end);
    return 0;
  }
  return s.cubic ? packets<T, KIND, true>(values, s, cells, to, y_begin, y_end)
                 : packets<T, KIND, false>(values, s, cells, to, y_begin, y_end);
}

void put(const CfSlab& s, const Target& to, const CfReduced sum, int x, int y) {
  const long long at = (long long)y * s.width + x;
  if (to.picture != nullptr) to.picture[at] = cf_slab_shown(sum, to.table, to.outside);
  if (to.reduced != nullptr) to.reduced[at] = sum.count > 0 ? sum.value : to.missing;
}

template <typename T>
int pixels(const T* values, const CfSlab& s, const CfCells* cells, const Target& to, int y_begin, int y_end) {
  const bool skips = cells != nullptr && cells->low != nullptr && s.kind != CF_MEAN && !s.cubic;
  for (int y = y_begin; y < y_end; ++y)
    for (int x = 0; x < s.width; ++x)
      put(s, to, skips ? cf_slab_pixel_skipping<T>(values, &s, cells, x, y) : cf_slab_pixel<T>(values, &s, x, y), x, y);
  return 0;
}

template <typename T>
int slab(const Source<T>& from, const CfSlab& s, const Target& to, int y_begin, int y_end) {
  // Pairs of neighbours are read at once: thin volumes go pixel by pixel.
  if (s.grid.nx < 2 || s.grid.ny < 2 || s.grid.nz < 2) return pixels(from.values, s, nullptr, to, y_begin, y_end);
  if (s.order != CF_XYZ)
    return axis_plane<T>(from.values, s, from.sheets, to, y_begin, y_end)
               ? 0
               : pixels(from.values, s, nullptr, to, y_begin, y_end);
  if (s.kind == CF_LARGEST) return drawn<T, CF_LARGEST>(from, s, to, y_begin, y_end);
  if (s.kind == CF_SMALLEST) return drawn<T, CF_SMALLEST>(from, s, to, y_begin, y_end);
  return drawn<T, CF_MEAN>(from, s, to, y_begin, y_end);
}

template <typename T>
struct Work {
  const Source<T>& from;
  const CfSlab& s;
  const Target& to;

  static int rows(const void* context, int begin, int end) {
    const Work& w = *static_cast<const Work*>(context);
    return slab(w.from, w.s, w.to, begin, end);
  }
};

template <typename T>
struct SheetWork {
  const T* values;
  const CfGrid& grid;
  int first, count;
  T* sheets;
  long long apart;

  static int slices(const void* context, int begin, int end) {
    const SheetWork& w = *static_cast<const SheetWork*>(context);
    make_sheets(w.values, w.grid, w.first, w.count, w.sheets, w.apart, begin, end);
    return 0;
  }
};

// Status 0 = done, 1 = no memory. Rows [y_begin, y_end) of `picture` and `reduced` (either may be null) are written;
// pixels whose ray misses the volume become `outside` and `missing`. cells.low null: nothing is skipped; sheets null:
// there are none. `slope` and `base`: see Ramp. One structure, which the host copies and completes for each picture.
struct CfSlabCall {
  const void *values, *sheets;
  CfSlab slab;
  CfCells cells;
  CfTable table;
  float slope, base;
  int outside;
  float missing;
  cf_u8* picture;
  float* reduced;
};

template <typename T>
Target target_of(const CfSlabCall& c, bool computed) {
  const Ramp ramp = {computed ? c.slope : 0.0f, computed ? c.base : 0.0f};
  return {c.table, ramp, (cf_u8)c.outside, c.missing, c.picture, c.reduced, is_straight<T>(c.slab, c.table, ramp)};
}

// Cells of the slices of cells [z_begin, z_end): voxels 8c to 8c + 8, the last being the next cell's first.
template <typename T>
int cells_of(const T* values, const CfGrid& g, float* low, float* high, int z_begin, int z_end) {
  const int size = 1 << CF_CELL_SHIFT;
  const int cx = (g.nx + size - 1) / size, cy = (g.ny + size - 1) / size;
  for (int cz = z_begin; cz < z_end; ++cz)
    for (int j = 0; j < cy; ++j) {
      const long long first = ((long long)cz * cy + j) * cx;
      for (int i = 0; i < cx; ++i) low[first + i] = __builtin_inff(), high[first + i] = -__builtin_inff();
      for (int z = cz * size; z <= cz * size + size && z < g.nz; ++z)
        for (int y = j * size; y <= j * size + size && y < g.ny; ++y) {
          const T* row = values + ((long long)z * g.ny + y) * g.nx;
          for (int i = 0; i < cx; ++i) {
            const int begin = i * size, end = begin + size + 1 < g.nx ? begin + size + 1 : g.nx;
            float least = low[first + i], most = high[first + i];
            for (int x = begin; x < end; ++x) {
              const float value = (float)row[x];  // not a number is beyond nothing
              least = value < least ? value : least;
              most = value > most ? value : most;
            }
            low[first + i] = least, high[first + i] = most;
          }
        }
    }
  return 0;
}

}  // namespace

extern "C" {

#define CF_SLAB(NAME, T)                                                                                  \
  int NAME(const CfSlabCall* c, int y_begin, int y_end) {                                                 \
    const Target to = target_of<T>(*c, true);                                                             \
    const Source<T> from = {(const T*)c->values, c->cells, {(const T* const*)c->sheets}};                 \
    return slab<T>(from, c->slab, to, y_begin, y_end);                                                    \
  }                                                                                                       \
  /* All rows, tiles of `tile_rows` shared by `threads` of the crew. */                                    \
  int NAME##_crew(const CfSlabCall* c, int tile_rows, int threads) {                                      \
    const Target to = target_of<T>(*c, true);                                                             \
    const Source<T> from = {(const T*)c->values, c->cells, {(const T* const*)c->sheets}};                 \
    const Work<T> work = {from, c->slab, to};                                                             \
    return cf_crew_run(Work<T>::rows, &work, c->slab.height, tile_rows, threads);                         \
  }                                                                                                       \
  /* Pixel by pixel: without cells the definition, with cells what a CUDA thread does. */                 \
  int NAME##_pixels(const CfSlabCall* c, int y_begin, int y_end) {                                        \
    const Target to = target_of<T>(*c, false);                                                            \
    return pixels<T>((const T*)c->values, c->slab, &c->cells, to, y_begin, y_end);                        \
  }
CF_SLAB(cf_slab_i16, cf_i16)
CF_SLAB(cf_slab_u16, cf_u16)
CF_SLAB(cf_slab_f32, cf_f32)

#define CF_CELLS(NAME, T)                                                                                 \
  int NAME(const T* values, const CfGrid* grid, float* low, float* high, int z_begin, int z_end) {        \
    return cells_of<T>(values, *grid, low, high, z_begin, z_end);                                         \
  }
CF_CELLS(cf_cells_i16, cf_i16)
CF_CELLS(cf_cells_u16, cf_u16)
CF_CELLS(cf_cells_f32, cf_f32)

// Planes x = first to first + count - 1, see sheets.h; at most 32.
#define CF_SHEETS(NAME, T)                                                                                       \
  int NAME(const T* values, const CfGrid* grid, int first, int count, T* sheets, long long apart, int threads) { \
    const SheetWork<T> work = {values, *grid, first, count, sheets, apart};                                      \
    return cf_crew_run(SheetWork<T>::slices, &work, grid->nz, 8, threads);                                       \
  }
CF_SHEETS(cf_sheets_i16, cf_i16)
CF_SHEETS(cf_sheets_u16, cf_u16)
CF_SHEETS(cf_sheets_f32, cf_f32)

}  // extern "C"
