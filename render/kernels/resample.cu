// CUDA entry points over resample.h: one thread per output pixel.
#include "resample.h"

template <typename T>
static __device__ void gray(const T* source, int stride, CfTaps tx, CfTaps ty, CfTable table, cf_u8* out, int width,
                            int height) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height) return;
  const float value = cf_resample_pixel<T>(source, stride, 1, tx, ty, x, y);
  out[(long long)y * width + x] = table.entries[cf_table_index(value, table.first, table.steps, table.size)];
}

#define CF_GRAY(NAME, T)                                                                                          \
  extern "C" __global__ void NAME(const T* source, int stride, const int* x0, const int* nx, const float* wx,     \
                                  const int* y0, const int* ny, const float* wy, const cf_u8* table, float first, \
                                  float steps, int size, cf_u8* out, int width, int height) {                     \
    const CfTaps tx = {x0, nx, wx, width}, ty = {y0, ny, wy, height};                                             \
    gray<T>(source, stride, tx, ty, {table, first, steps, size}, out, width, height);                             \
  }
CF_GRAY(cf_gray_u8, cf_u8)
CF_GRAY(cf_gray_i16, cf_i16)
CF_GRAY(cf_gray_u16, cf_u16)
CF_GRAY(cf_gray_f32, cf_f32)

extern "C" __global__ void cf_rgb_u8(const cf_u8* source, int stride, const int* x0, const int* nx, const float* wx,
                                     const int* y0, const int* ny, const float* wy, cf_u8* out, int width,
                                     int height) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height) return;
  const CfTaps tx = {x0, nx, wx, width}, ty = {y0, ny, wy, height};
  for (int c = 0; c < 3; ++c) {
    out[((long long)y * width + x) * 3 + c] = cf_clamp_u8(cf_resample_pixel<cf_u8>(source + c, stride, 3, tx, ty, x, y));
  }
}
