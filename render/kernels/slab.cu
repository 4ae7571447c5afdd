// CUDA entry points over slab.h: one thread per output pixel; largest and smallest values skip by cells.
#include "slab.h"

template <typename T>
static __device__ void slab_pixel(const T* values, const CfSlab& slab, const CfCells& cells, const CfTable& table,
                                  int outside, float missing, cf_u8* picture, float* reduced) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= slab.width || y >= slab.height) return;
  const bool skips = cells.low != nullptr && slab.kind != CF_MEAN && !slab.cubic && slab.samples > CF_CHUNK;
  const CfReduced sum = skips ? cf_slab_pixel_skipping<T>(values, &slab, &cells, x, y)
                              : cf_slab_pixel<T>(values, &slab, x, y);
  const long long at = (long long)y * slab.width + x;
  if (picture != nullptr) picture[at] = cf_slab_shown(sum, table, (cf_u8)outside);
  if (reduced != nullptr) reduced[at] = sum.count > 0 ? sum.value : missing;
}

#define CF_SLAB(NAME, T)                                                                                           \
  extern "C" __global__ void NAME(const T* values, CfSlab slab, CfCells cells, CfTable table, int outside,         \
                                  float missing, cf_u8* picture, float* reduced) {                                 \
    slab_pixel<T>(values, slab, cells, table, outside, missing, picture, reduced);                                 \
  }
CF_SLAB(cf_slab_i16, cf_i16)
CF_SLAB(cf_slab_u16, cf_u16)
CF_SLAB(cf_slab_f32, cf_f32)
