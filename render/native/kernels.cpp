// CPU entry points over render/kernels/*.h, called by ctypes on tiles of rows. Gray pictures: gray.h. Colour sums whole
// source rows (vectorised over columns), then gathers columns (vectorised over outputs); both add in the same order as
// cf_resample_pixel.
#include "../kernels/resample.h"
#include "../kernels/similarity.h"
#include "gray.h"

#include <stdlib.h>

#define CF_ABI_VERSION 9

namespace {

// Floats for one row of a source, with `padding` zeros behind it. False when there is no memory.
class Row {
 public:
  Row(long size, long padding) : values_(static_cast<float*>(calloc((size_t)(size + padding), sizeof(float)))) {}
  ~Row() { free(values_); }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;
  float* get() const { return values_; }

 private:
  float* values_;
};

int largest(const CfTaps& taps) {
  int most = 0;
  for (int i = 0; i < taps.outputs; ++i) most = taps.count[i] > most ? taps.count[i] : most;
  return most;
}

template <typename T>
void sum_rows(const T* source, int stride, const CfTaps& ty, int y, int begin, int end, float* __restrict row) {
  const int count = ty.count[y];
  const T* at = source + (long long)ty.start[y] * stride;
  const float* weight = ty.weight + y;
  const long long step = ty.outputs;
  for (int x = begin; x < end; ++x) row[x] = weight[0] * (float)at[x];
  int j = 1;
  for (; j + 4 <= count; j += 4) {
    const T *a = at + (long long)j * stride, *b = a + stride, *c = b + stride, *d = c + stride;
    const float wa = weight[j * step], wb = weight[(j + 1) * step], wc = weight[(j + 2) * step];
    const float wd = weight[(j + 3) * step];
    for (int x = begin; x < end; ++x) {
      row[x] = (((row[x] + wa * (float)a[x]) + wb * (float)b[x]) + wc * (float)c[x]) + wd * (float)d[x];
    }
  }
  for (; j < count; ++j) {
    const T* a = at + (long long)j * stride;
    const float w = weight[j * step];
    for (int x = begin; x < end; ++x) row[x] += w * (float)a[x];
  }
}

// sums[x] for all outputs; `taps` = the most taps of any output (the row has that many zeros behind it).
void sum_columns(const float* __restrict row, const CfTaps& tx, int taps, int step, int channel,
                 float* __restrict sums) {
  const int* __restrict start = tx.start;
  for (int x = 0; x < tx.outputs; ++x) sums[x] = tx.weight[x] * row[start[x] * step + channel];
  for (int i = 1; i < taps; ++i) {
    const float* __restrict weight = tx.weight + (long long)i * tx.outputs;
    const float* __restrict at = row + i * step + channel;
    for (int x = 0; x < tx.outputs; ++x) sums[x] += weight[x] * at[start[x] * step];
  }
}

// One row of weighted sums over CF_SSIM_TAPS rows from `y`; `sums` holds five rows of `width` floats.
void ssim_rows(const cf_u8* a, const cf_u8* b, int width, int y, const float* weight, float* __restrict sums) {
  float *__restrict sa = sums, *__restrict sb = sa + width, *__restrict saa = sb + width;
  float *__restrict sbb = saa + width, *__restrict sab = sbb + width;
  for (int x = 0; x < 5 * width; ++x) sums[x] = 0.0f;
  for (int j = 0; j < CF_SSIM_TAPS; ++j) {
    const cf_u8 *ra = a + (long long)(y + j) * width, *rb = b + (long long)(y + j) * width;
    const float w = weight[j];
    for (int x = 0; x < width; ++x) {
      const float va = (float)ra[x], vb = (float)rb[x], wa = w * va, wb = w * vb;
      sa[x] += wa;
      sb[x] += wb;
      saa[x] += wa * va;
      sbb[x] += wb * vb;
      sab[x] += wa * vb;
    }
  }
}

}  // namespace

extern "C" {

int cf_abi_version() { return CF_ABI_VERSION; }

// Status 0 = done, 1 = no memory. Rows [y_begin, y_end) of `out` are written.
#define CF_GRAY(NAME, T)                                                                                           \
  int NAME(const T* source, int stride, const int* x0, const int* nx, const float* wx, int width, const int* y0,   \
           const int* ny, const float* wy, int height, const cf_u8* table, float first, float steps, int size,     \
           float slope, float base, cf_u8* out, int y_begin, int y_end) {                                          \
    return gray_rows<T>(source, stride, {x0, nx, wx, width}, {y0, ny, wy, height}, {table, first, steps, size},    \
                        {slope, base}, out, y_begin, y_end)                                                        \
               ? 0                                                                                                 \
               : 1;                                                                                                \
  }                                                                                                                \
  /* The definition of kernels/resample.h, pixel by pixel, for the tests that hold the fast path against it. */    \
  int NAME##_definition(const T* source, int stride, const int* x0, const int* nx, const float* wx, int width,     \
                        const int* y0, const int* ny, const float* wy, int height, const cf_u8* table, float first, \
                        float steps, int size, float, float, cf_u8* out, int y_begin, int y_end) {                 \
    const CfTaps tx = {x0, nx, wx, width}, ty = {y0, ny, wy, height};                                              \
    for (int y = y_begin; y < y_end; ++y)                                                                          \
      for (int x = 0; x < width; ++x)                                                                              \
        out[(long long)y * width + x] = table[cf_table_index(                                                      \
            cf_resample_pixel<T>(source, stride, 1, tx, ty, x, y), first, steps, size)];                           \
    return 0;                                                                                                      \
  }
CF_GRAY(cf_gray_u8, cf_u8)
CF_GRAY(cf_gray_i16, cf_i16)
CF_GRAY(cf_gray_u16, cf_u16)
CF_GRAY(cf_gray_f32, cf_f32)

int cf_rgb_u8(const cf_u8* source, int stride, const int* x0, const int* nx, const float* wx, int width, const int* y0,
              const int* ny, const float* wy, int height, cf_u8* out, int y_begin, int y_end) {
  const CfTaps tx = {x0, nx, wx, width}, ty = {y0, ny, wy, height};
  const int begin = first_used(tx) * 3, end = end_used(tx) * 3, taps = largest(tx);
  const Row row(end, 3L * taps), sums(width, 1);
  if (row.get() == nullptr || sums.get() == nullptr) return 1;
  for (int y = y_begin; y < y_end; ++y) {
    sum_rows(source, stride, ty, y, begin, end, row.get());
    for (int c = 0; c < 3; ++c) {
      sum_columns(row.get(), tx, taps, 3, c, sums.get());
      cf_u8* to = out + (long long)y * width * 3 + c;
      for (int x = 0; x < width; ++x) to[3LL * x] = cf_clamp_u8(sums.get()[x]);
    }
  }
  return 0;
}

// Sums of similarities over the window rows [y_begin, y_end) go to row_sums[y]; images are (rows, width), contiguous.
int cf_ssim_rows(const cf_u8* a, const cf_u8* b, int width, const float* weight, double* row_sums, int y_begin,
                 int y_end) {
  const int windows = width - CF_SSIM_TAPS + 1;
  const Row sums(5L * width, 1), means(5L * windows, 1);
  if (sums.get() == nullptr || means.get() == nullptr) return 1;
  for (int y = y_begin; y < y_end; ++y) {
    ssim_rows(a, b, width, y, weight, sums.get());
    for (int field = 0; field < 5; ++field) {
      const float* __restrict from = sums.get() + (long long)field * width;
      float* __restrict to = means.get() + (long long)field * windows;
      for (int x = 0; x < windows; ++x) to[x] = weight[0] * from[x];
      for (int i = 1; i < CF_SSIM_TAPS; ++i)
        for (int x = 0; x < windows; ++x) to[x] += weight[i] * from[x + i];
    }
    const float *ma = means.get(), *mb = ma + windows, *maa = mb + windows, *mbb = maa + windows, *mab = mbb + windows;
    double total = 0.0;
    for (int x = 0; x < windows; ++x) total += cf_ssim(ma[x], mb[x], maa[x], mbb[x], mab[x]);
    row_sums[y] = total;
  }
  return 0;
}

}  // extern "C"
