// CPU entry points of volume rendering: packets of rays over tiles that the threads take one after the other, and
// what is prepared per volume (cells), per transfer function (map of empty space) and per cut.
#include "packet.h"
#include "ray_group.h"
#include "ray_maps.h"

#define CF_RAY_TILE 16

namespace {

// Columns and rows of pixels in one packet.
constexpr int kColumns = CF_LANES >= 16 ? 4 : (CF_LANES >= 8 ? 4 : 2);
constexpr int kRows = CF_LANES / kColumns;

// The lit layer of one tile. Few lanes of a packet begin a new gradient at the same time, and a gradient is most of a
// sample's cost: completed sums wait here until all lanes have one, first come first served, so that every ray adds up
// its own in its own order.
template <int kind>
struct LightQueue {
  const int x0, y0;
  int waiting = 0;
  float field[7][2 * CF_LANES] = {};  // of each sum: pixel x, y, where its light is taken, red, green, blue, weight
  float total[CF_RAY_TILE * CF_RAY_TILE][3] = {};

  LightQueue(int left, int top) : x0(left), y0(top) {}

  void take(const CfRayScene& s, const CfRays<CfPacket>&, CfVecI px, CfVecI py, CfVecI which,
            const CfMarch<CfPacket>& m) {
    const unsigned lanes = CfPacket::bits(which);
    CfPacket::pack(lanes, CfPacket::real(px), field[0] + waiting);
    CfPacket::pack(lanes, CfPacket::real(py), field[1] + waiting);
    CfPacket::pack(lanes, m.lit, field[2] + waiting);
    for (int i = 0; i < 4; ++i) CfPacket::pack(lanes, m.sum[i], field[3 + i] + waiting);
    waiting += __builtin_popcount(lanes);
    if (waiting >= CF_LANES) light(s, CF_LANES);
  }

  void finish(const CfRayScene& s) {
    if (waiting > 0) light(s, waiting);
  }

  void light(const CfRayScene& s, int count) {
    const CfVecI px = CfPacket::whole(CfPacket::load(field[0])), py = CfPacket::whole(CfPacket::load(field[1]));
    CfVecF sums[4];
    for (int i = 0; i < 4; ++i) sums[i] = CfPacket::load(field[3 + i]);
    const CfRays<CfPacket> r = cf_ray_begin<CfPacket>(s, px, py);
    const CfLit<CfPacket> lit = cf_ray_light<CfPacket, kind>(s, r, CfPacket::load(field[2]), sums);
    for (int i = 0; i < count; ++i) {
      float* to = total[(py[i] - y0) * CF_RAY_TILE + px[i] - x0];
      to[0] += lit.red[i];
      to[1] += lit.green[i];
      to[2] += lit.blue[i];
    }
    waiting -= count;
    for (int i = 0; i < 7; ++i) __builtin_memcpy(field[i], field[i] + CF_LANES, CF_LANES * sizeof(float));
  }
};

template <int kind, bool fused>
void tile_by_packets(const CfRayScene& s, int x0, int y0, int x1, int y1) {
  CfVecI dx, dy;
  for (int i = 0; i < CF_LANES; ++i) {
    dx[i] = i % kColumns;
    dy[i] = i / kColumns;
  }
  LightQueue<kind> queue(x0, y0);
  constexpr int kAcross = CF_RAY_TILE / kColumns;
  CfMarch<CfPacket> marched[CF_RAY_TILE * CF_RAY_TILE / CF_LANES];
#if CF_LANES >= 8
  Group<kind, fused, LightQueue<kind>> group(s, queue);
  for (int y = y0; y < y1; y += kGroupDown * kRows)
    for (int x = x0; x < x1; x += kGroupAcross * kColumns) {
      for (int i = 0; i < kGroup; ++i) {
        const CfVecI px = dx + (x + i % kGroupAcross * kColumns), py = dy + (y + i / kGroupAcross * kRows);
        group.begin(i, px, py, (px < x1) & (py < y1));
      }
      group.march();
      for (int i = 0; i < kGroup; ++i)
        marched[((y - y0) / kRows + i / kGroupAcross) * kAcross + (x - x0) / kColumns + i % kGroupAcross] =
            group.packet[i].m;
    }
#else
  for (int y = y0; y < y1; y += kRows)
    for (int x = x0; x < x1; x += kColumns) {
      const CfVecI px = dx + x, py = dy + y;
      marched[(y - y0) / kRows * kAcross + (x - x0) / kColumns] =
          cf_ray_march<CfPacket, kind, fused>(s, px, py, (px < x1) & (py < y1), queue);
    }
#endif
  queue.finish(s);
  for (int y = y0; y < y1; y += kRows)
    for (int x = x0; x < x1; x += kColumns) {
      const CfMarch<CfPacket>& m = marched[(y - y0) / kRows * kAcross + (x - x0) / kColumns];
      for (int i = 0; i < CF_LANES; ++i) {
        const int px = x + i % kColumns, py = y + i / kColumns;
        if (px >= x1 || py >= y1) continue;
        const float* lit = queue.total[(py - y0) * CF_RAY_TILE + px - x0];
        cf_ray_store(s, px, py, m.red[i] + lit[0], m.green[i] + lit[1], m.blue[i] + lit[2], m.through[i], m.half[i]);
      }
    }
}

template <int kind, bool fused>
void tile_by_definition(const CfRayScene& s, int x0, int y0, int x1, int y1) {
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x) cf_ray_pixel<kind, fused>(s, x, y);
}

typedef void (*Tile)(const CfRayScene&, int, int, int, int);

Tile choose(const CfRayScene& s, bool packets) {
  static const Tile fast[2][3] = {
      {tile_by_packets<CF_KIND_I16, false>, tile_by_packets<CF_KIND_U16, false>, tile_by_packets<CF_KIND_F32, false>},
      {tile_by_packets<CF_KIND_I16, true>, tile_by_packets<CF_KIND_U16, true>, tile_by_packets<CF_KIND_F32, true>}};
  static const Tile plain[2] = {tile_by_definition<CF_KIND_ASK, false>, tile_by_definition<CF_KIND_ASK, true>};
  const int fused = s.other.values != 0;
  return packets ? fast[fused][s.layer.kind] : plain[fused];
}

// Tiles are taken from a common counter, so that no thread waits for another's hard part. 0 = done, 2 = cancelled.
int draw(const CfRayScene& s, bool packets, int* next_tile, const int* cancelled) {
  const Tile tile = choose(s, packets);
  const int columns = (s.width + CF_RAY_TILE - 1) / CF_RAY_TILE, rows = (s.height + CF_RAY_TILE - 1) / CF_RAY_TILE;
  for (;;) {
    if (__atomic_load_n(cancelled, __ATOMIC_RELAXED)) return 2;
    const int number = __atomic_fetch_add(next_tile, 1, __ATOMIC_RELAXED);
    if (number >= columns * rows) return 0;
    const int x0 = number % columns * CF_RAY_TILE, y0 = number / columns * CF_RAY_TILE;
    const int x1 = x0 + CF_RAY_TILE < s.width ? x0 + CF_RAY_TILE : s.width;
    const int y1 = y0 + CF_RAY_TILE < s.height ? y0 + CF_RAY_TILE : s.height;
    tile(s, x0, y0, x1, y1);
  }
}

}  // namespace

extern "C" {

int cf_raycast(const CfRayScene* scene, int* next_tile, const int* cancelled) {
  return draw(*scene, true, next_tile, cancelled);
}

// Ray by ray, for the tests that hold the packets against it.
int cf_raycast_definition(const CfRayScene* scene, int* next_tile, const int* cancelled) {
  return draw(*scene, false, next_tile, cancelled);
}

int cf_raycast_scene_bytes() { return (int)sizeof(CfRayScene); }

// Extremes of blocks of 8 x 8 x 8 voxels, layers [z_begin, z_end); `size` = nx, ny, nz, each at least 2.
int cf_ray_cells(const void* values, int kind, const int* size, float* low, float* high, int z_begin, int z_end) {
  if (kind == CF_KIND_I16)
    blocks((const cf_i16*)values, size, low, high, z_begin, z_end);
  else if (kind == CF_KIND_U16)
    blocks((const cf_u16*)values, size, low, high, z_begin, z_end);
  else
    blocks((const cf_f32*)values, size, low, high, z_begin, z_end);
  return 0;
}

// CfRayLayer.sights of the blocks' layers [z_begin, z_end), into a map of zeros: twice as many words as blocks along x
// and y, four times as many along z. visible_before[i] = number of entries before i that are not fully transparent
// (entries + 1 of them).
int cf_ray_sights(const void* values, int kind, const int* size, const float* low, const float* high, float first,
                 float steps, int entries, const int* visible_before, unsigned* map, int z_begin, int z_end) {
  const Sight sight = {first, steps, entries, visible_before};
  if (kind == CF_KIND_I16)
    sights((const cf_i16*)values, size, low, high, sight, map, z_begin, z_end);
  else if (kind == CF_KIND_U16)
    sights((const cf_u16*)values, size, low, high, sight, map, z_begin, z_end);
  else
    sights((const cf_f32*)values, size, low, high, sight, map, z_begin, z_end);
  return 0;
}

// CfRayLayer.distance from its sights, `cells` along each axis. `kept` (or 0), per block: where it is 0, nothing is
// left after the cuts. Two calls, each for a share of the layers along one axis: first z (x and y are done), then y (z
// is).
int cf_ray_distance(const unsigned* sights, const cf_u8* kept, const int* cells, cf_u8* map, int pass, int begin,
                    int end) {
  const long long row = cells[0], slice = row * cells[1];
  const long long largest = cells[1] > cells[2] ? cells[1] : cells[2];
  cf_u8* copy = (cf_u8*)__builtin_malloc(row * largest);
  if (copy == 0) return 1;
  for (int i = begin; i < end && pass == 0; ++i) {
    for (int y = 0; y < cells[1]; ++y) {
      cf_u8* to = map + i * slice + y * row;
      const cf_u8* left = kept == 0 ? 0 : kept + ((long long)(i / 2) * (cells[1] / 2) + y / 2) * (cells[0] / 2);
      int reach = kFarthest;
      for (int x = 0; x < cells[0]; ++x) {
        const unsigned* both = sights + 2 * i * slice + y * row + x;
        const bool visible = (both[0] | both[slice]) != 0 && (left == 0 || left[x / 2]);
        reach = visible ? 0 : (reach < kFarthest ? reach + 1 : kFarthest);
        to[x] = (cf_u8)reach;
      }
      for (int x = cells[0] - 1; x >= 0; --x) {
        reach = to[x] < reach + 1 ? to[x] : reach + 1;
        to[x] = (cf_u8)reach;
      }
    }
    widen(map + i * slice, cells[1], row, cells[0], copy);
  }
  for (int i = begin; i < end && pass == 1; ++i) widen(map + i * row, cells[2], slice, cells[0], copy);
  __builtin_free(copy);
  return 0;
}

// Which blocks still hold a kept voxel.
int cf_ray_kept_cells(const cf_u8* keep, const int* size, const int* cells, cf_u8* kept, int z_begin, int z_end) {
  const long long row = size[0], slice = row * size[1];
  const int wide = kBlock;
  for (int bz = z_begin; bz < z_end; ++bz)
    for (int by = 0; by < cells[1]; ++by)
      for (int bx = 0; bx < cells[0]; ++bx) {
        cf_u8 any = 0;
        for (int z = bz * wide; z <= bz * wide + wide && z < size[2]; ++z)
          for (int y = by * wide; y <= by * wide + wide && y < size[1]; ++y)
            for (int x = bx * wide; x <= bx * wide + wide && x < size[0]; ++x) any |= keep[z * slice + y * row + x];
        kept[((long long)bz * cells[1] + by) * cells[0] + bx] = any;
      }
  return 0;
}

// Cuts voxels [z_begin, z_end) where every plane gives a x + b y + c z + d >= 0: a plane cuts a half-space, six a box.
// With `outside` the rest is cut instead.
int cf_cut_planes(cf_u8* keep, const int* size, const double* planes, int count, int outside, int z_begin, int z_end) {
  for (int z = z_begin; z < z_end; ++z)
    for (int y = 0; y < size[1]; ++y) {
      cf_u8* row = keep + ((long long)z * size[1] + y) * size[0];
      for (int x = 0; x < size[0]; ++x) {
        int inside = 1;
        for (int i = 0; i < count; ++i) {
          const double* p = planes + 4 * i;
          inside &= p[0] * x + p[1] * y + p[2] * z + p[3] >= 0.0;
        }
        if (inside != outside) row[x] = 0;
      }
    }
  return 0;
}

// Cuts voxels by a bitmap (height, width) of the view: `project` holds rows of x, y, w; the voxel belongs to the pixel
// round(x / w), round(y / w); what lies beside the bitmap or behind the viewer (w <= 0) counts as outside.
int cf_cut_bitmap(cf_u8* keep, const int* size, const double* project, const cf_u8* bitmap, int width, int height,
                  int outside, int z_begin, int z_end) {
  for (int z = z_begin; z < z_end; ++z)
    for (int y = 0; y < size[1]; ++y) {
      cf_u8* row = keep + ((long long)z * size[1] + y) * size[0];
      for (int x = 0; x < size[0]; ++x) {
        const double* p = project;
        const double w = p[8] * x + p[9] * y + p[10] * z + p[11];
        int inside = 0;
        if (w > 0.0) {
          const double u = (p[0] * x + p[1] * y + p[2] * z + p[3]) / w + 0.5;
          const double v = (p[4] * x + p[5] * y + p[6] * z + p[7]) / w + 0.5;
          if (u >= 0.0 && v >= 0.0 && u < width && v < height) inside = bitmap[(long long)v * width + (long long)u];
        }
        if (inside != outside) row[x] = 0;
      }
    }
  return 0;
}

}  // extern "C"
