// CPU entry points over render/kernels/*.h, called by ctypes on tiles of rows. The fast path sums whole source rows
// (vectorised over columns), then gathers columns (vectorised over outputs); it adds in the same order as
// cf_resample_pixel.
#include "../kernels/resample.h"

#include <cstdlib>

#define CF_ABI_VERSION 2

namespace {

// Floats for one row of a source, with `padding` zeros behind it. False when there is no memory.
class Row {
 public:
  Row(long size, long padding) : values_(static_cast<float*>(std::calloc((size_t)(size + padding), sizeof(float)))) {}
  ~Row() { std::free(values_); }
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

int first_used(const CfTaps& taps) {
  int first = taps.start[0];
  for (int i = 1; i < taps.outputs; ++i) first = taps.start[i] < first ? taps.start[i] : first;
  return first;
}

int end_used(const CfTaps& taps) {
  int end = 0;
  for (int i = 0; i < taps.outputs; ++i) {
    const int last = taps.start[i] + taps.count[i];
    end = last > end ? last : end;
  }
  return end;
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

bool is_identity(const CfTaps& taps, int begin, int end) {
  for (int i = begin; i < end; ++i)
    if (taps.count[i] != 1 || taps.weight[i] != 1.0f || taps.start[i] != taps.start[begin] + i - begin) return false;
  return true;
}

template <typename T>
void look_up(const T* at, const CfTable& table, int width, cf_u8* to) {
  for (int x = 0; x < width; ++x)
    to[x] = table.entries[cf_table_index((float)at[x], table.first, table.steps, table.size)];
}

template <typename T>
int gray(const T* source, int stride, const CfTaps& tx, const CfTaps& ty, const CfTable& table, cf_u8* out, int y_begin,
         int y_end) {
  const int width = tx.outputs;
  if (is_identity(tx, 0, width) && is_identity(ty, y_begin, y_end)) {
    for (int y = y_begin; y < y_end; ++y)
      look_up(source + (long long)ty.start[y] * stride + tx.start[0], table, width, out + (long long)y * width);
    return 0;
  }
  const int begin = first_used(tx), end = end_used(tx), taps = largest(tx);
  const Row row(end, taps), sums(width, 1);
  if (row.get() == nullptr || sums.get() == nullptr) return 1;
  for (int y = y_begin; y < y_end; ++y) {
    sum_rows(source, stride, ty, y, begin, end, row.get());
    sum_columns(row.get(), tx, taps, 1, 0, sums.get());
    look_up(sums.get(), table, width, out + (long long)y * width);
  }
  return 0;
}

}  // namespace

extern "C" {

int cf_abi_version() { return CF_ABI_VERSION; }

// Status 0 = done, 1 = no memory. Rows [y_begin, y_end) of `out` are written.
#define CF_GRAY(NAME, T)                                                                                           \
  int NAME(const T* source, int stride, const int* x0, const int* nx, const float* wx, int width, const int* y0,   \
           const int* ny, const float* wy, int height, const cf_u8* table, float first, float steps, int size,     \
           cf_u8* out, int y_begin, int y_end) {                                                                   \
    return gray<T>(source, stride, {x0, nx, wx, width}, {y0, ny, wy, height}, {table, first, steps, size}, out,    \
                   y_begin, y_end);                                                                                \
  }                                                                                                                \
  /* The definition of kernels/resample.h, pixel by pixel, for the tests that hold the fast path against it. */    \
  int NAME##_definition(const T* source, int stride, const int* x0, const int* nx, const float* wx, int width,     \
                        const int* y0, const int* ny, const float* wy, int height, const cf_u8* table, float first, \
                        float steps, int size, cf_u8* out, int y_begin, int y_end) {                               \
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

}  // extern "C"
