// CUDA entry point over fusion.h: one thread per pixel.
#include "fusion.h"

extern "C" __global__ void cf_fuse_u8(const cf_u8* base, const cf_u8* index, const cf_u8* keep, const cf_u16* colour,
                                      cf_u8* out, int width, int height) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height) return;
  const long long at = (long long)y * width + x;
  cf_fuse_pixel(base[at], index[at], keep, colour, out + 3 * at);
}
