// CPU entry points over render/kernels/*.h, called by ctypes on tiles of rows. The fast path sums whole source rows
// (vectorised over columns) and then gathers columns; it adds in the same order as cf_resample_pixel.
#include "../kernels/resample.h"

#include <cstdlib>
#include <new>

#define CF_ABI_VERSION 1

namespace {

template <typename T>
void sum_rows(const T* source, int stride, const CfTaps& ty, int y, int begin, int end, float* row) {
  const float* weight = ty.weight + (long long)y * ty.max_taps;
  const T* at = source + (long long)ty.start[y] * stride;
  for (int x = begin; x < end; ++x) row[x] = weight[0] * (float)at[x];
  for (int j = 1; j < ty.count[y]; ++j) {
    at += stride;
    const float w = weight[j];
    for (int x = begin; x < end; ++x) row[x] += w * (float)at[x];
  }
}

float sum_columns(const float* row, const CfTaps& tx, int x, int step, int channel) {
  const float* weight = tx.weight + (long long)x * tx.max_taps;
  const float* at = row + tx.start[x] * step + channel;
  float sum = 0.0f;
  for (int i = 0; i < tx.count[x]; ++i) sum += weight[i] * at[i * step];
  return sum;
}

bool is_identity(const CfTaps& taps, int size) {
  for (int i = 0; i < size; ++i)
    if (taps.count[i] != 1 || taps.weight[(long long)i * taps.max_taps] != 1.0f || taps.start[i] != taps.start[0] + i)
      return false;
  return true;
}

template <typename T>
int gray(const T* source, int stride, const CfTaps& tx, const CfTaps& ty, const cf_u8* table, int first, int size,
         cf_u8* out, int width, int y_begin, int y_end) {
  if (is_identity(tx, width) && ty.count[y_begin] == 1 && ty.weight[(long long)y_begin * ty.max_taps] == 1.0f &&
      y_end > y_begin) {
    bool plain = true;
    for (int y = y_begin; y < y_end; ++y) plain = plain && ty.count[y] == 1;
    if (plain) {
      for (int y = y_begin; y < y_end; ++y) {
        const T* at = source + (long long)ty.start[y] * stride + tx.start[0];
        cf_u8* to = out + (long long)y * width;
        for (int x = 0; x < width; ++x) {
          const int index = (int)at[x] - first;
          to[x] = table[index < 0 ? 0 : (index >= size ? size - 1 : index)];
        }
      }
      return 0;
    }
  }
  const int begin = tx.start[0] < tx.start[width - 1] ? tx.start[0] : tx.start[width - 1];
  int end = 0;
  for (int x = 0; x < width; ++x) {
    const int last = tx.start[x] + tx.count[x];
    end = last > end ? last : end;
  }
  float* row = static_cast<float*>(std::malloc(sizeof(float) * (unsigned long)(end > 0 ? end : 1)));
  if (row == nullptr) return 1;
  for (int y = y_begin; y < y_end; ++y) {
    sum_rows(source, stride, ty, y, begin, end, row);
    cf_u8* to = out + (long long)y * width;
    for (int x = 0; x < width; ++x) to[x] = table[cf_table_index(sum_columns(row, tx, x, 1, 0), first, size)];
  }
  std::free(row);
  return 0;
}

}  // namespace

extern "C" {

int cf_abi_version() { return CF_ABI_VERSION; }

#define CF_GRAY(NAME, T)                                                                                               \
  int NAME(const T* source, int stride, const int* x0, const int* nx, const float* wx, int max_x, const int* y0,      \
           const int* ny, const float* wy, int max_y, const cf_u8* table, int first, int size, cf_u8* out, int width, \
           int y_begin, int y_end) {                                                                                   \
    const CfTaps tx = {x0, nx, wx, max_x}, ty = {y0, ny, wy, max_y};                                                   \
    return gray<T>(source, stride, tx, ty, table, first, size, out, width, y_begin, y_end);                            \
  }
CF_GRAY(cf_gray_u8, cf_u8)
CF_GRAY(cf_gray_i16, cf_i16)
CF_GRAY(cf_gray_u16, cf_u16)

int cf_rgb_u8(const cf_u8* source, int stride, const int* x0, const int* nx, const float* wx, int max_x, const int* y0,
              const int* ny, const float* wy, int max_y, cf_u8* out, int width, int y_begin, int y_end) {
  const CfTaps tx = {x0, nx, wx, max_x}, ty = {y0, ny, wy, max_y};
  int end = 0;
  for (int x = 0; x < width; ++x) end = tx.start[x] + tx.count[x] > end ? tx.start[x] + tx.count[x] : end;
  float* row = static_cast<float*>(std::malloc(sizeof(float) * 3ul * (unsigned long)(end > 0 ? end : 1)));
  if (row == nullptr) return 1;
  for (int y = y_begin; y < y_end; ++y) {
    sum_rows(source, stride, ty, y, 0, end * 3, row);
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c) out[((long long)y * width + x) * 3 + c] = cf_clamp_u8(sum_columns(row, tx, x, 3, c));
  }
  std::free(row);
  return 0;
}

// The definition of kernels/resample.h, pixel by pixel, for the tests that hold the fast path against it.
int cf_gray_i16_definition(const cf_i16* source, int stride, const int* x0, const int* nx, const float* wx, int max_x,
                           const int* y0, const int* ny, const float* wy, int max_y, const cf_u8* table, int first,
                           int size, cf_u8* out, int width, int y_begin, int y_end) {
  const CfTaps tx = {x0, nx, wx, max_x}, ty = {y0, ny, wy, max_y};
  for (int y = y_begin; y < y_end; ++y)
    for (int x = 0; x < width; ++x)
      out[(long long)y * width + x] = table[cf_table_index(cf_resample_pixel<cf_i16>(source, stride, 1, tx, ty, x, y), first, size)];
  return 0;
}

}  // extern "C"
