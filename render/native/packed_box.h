// Voxels of a box, side by side: in the volume its rows lie far apart, in pages and cache sets that evict each other, and
// each waits for memory by itself. Copying takes them in order.
#pragma once

#include <string.h>

#include "../kernels/sample.h"

namespace {

const int kBoxBytes = 640 << 10;  // stays in the second cache
const int kBehind = 64;           // voxels that vectors may read behind the last

template <typename T>
class PackedBox {
 public:
  // False where voxels low to high, both included, are too many.
  bool pack(const T* values, const CfGrid& g, const int* low, const int* high) {
    const long long wide = high[0] - low[0] + 1, tall = high[1] - low[1] + 1, deep = high[2] - low[2] + 1;
    if (wide * tall * deep + kBehind > (long long)(kBoxBytes / sizeof(T))) return false;
    T* to = buffer();
    at_ = to, row_ = wide, slice_ = wide * tall;
    first_ = (low[2] * tall + low[1]) * wide + low[0];
    for (int z = low[2]; z <= high[2]; ++z)
      for (int y = low[1]; y <= high[1]; ++y, to += wide)
        memcpy(to, values + ((long long)z * g.ny + y) * g.nx + low[0], sizeof(T) * (size_t)wide);
    end_ = to + kBehind;
    return true;
  }

  const T* end() const { return end_; }

  // Where voxel x = 0 of a row would be: only columns of the box are read.
  const T* row_at(int iy, int iz) const { return at_ + (iz * slice_ + iy * row_ - first_); }

 private:
  static T* buffer() {
    static __thread __attribute__((aligned(64))) char of_thread[kBoxBytes];
    return reinterpret_cast<T*>(of_thread);
  }

  const T* at_ = nullptr;
  const T* end_ = nullptr;
  long long row_ = 0, slice_ = 0, first_ = 0;
};

}  // namespace
