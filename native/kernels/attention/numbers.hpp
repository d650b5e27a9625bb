// The numbers of a cache, as lanes of float32; the sums that products with them are.
// Knows dtypes and orders of summation; knows nothing of rows, tiles or memory.
#pragma once

#include "kernels/attention.hpp"
#include "lanes/lanes.hpp"

namespace homerun::HOMERUN_ISA {

struct Fp16 {
  std::uint16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};
struct Int8 {  // times a scale per position
  std::int8_t value;
};

inline F read(const float* p) { return load(p); }
inline F read(const Fp16* p) { return load_fp16(&p->bits); }
inline F read(const Bf16* p) { return load_bf16(&p->bits); }
inline F read(const Int8* p) { return load_int8(&p->value); }
inline F read(const float* p, int n) { return load(p, n); }
inline F read(const Fp16* p, int n) { return load_fp16(&p->bits, n); }
inline F read(const Bf16* p, int n) { return load_bf16(&p->bits, n); }
inline F read(const Int8* p, int n) { return load_int8(&p->value, n); }

inline F load_some(const float* p, int n) { return n == 16 ? load(p) : load(p, n); }
inline void store_some(float* p, F v, int n) {
  if (n == 16) {
    store(p, v);
  } else {
    store(p, v, n);
  }
}

// Calls body(offset, lanes) for vectors of a row of `width` numbers.
template <class Body>
inline void for_vectors(int width, const Body& body) {
  for (int i = 0; i < width; i += 16) body(i, smaller(16, width - i));
}

inline int max_of(int a, int b) { return a > b ? a : b; }

// Whether both factors of a product are bfloat16 numbers (small integers are), summed in pairs.
template <class Element>
constexpr bool kPaired = false;
template <>
constexpr bool kPaired<Bf16> = true;
template <>
constexpr bool kPaired<Int8> = true;

inline F round_bf16(F v) {
  alignas(64) std::uint16_t bits[16];
  store_bf16(bits, v);
  return load_bf16(bits);
}
// The same, and 0 below kLeastBf16: products of such numbers, and their sums, are never denormal.
inline F round_factor(F v) {
  const F rounded = round_bf16(v);
  return where_below(abs(rounded), set(kLeastBf16), zero(), rounded);
}

// Sums in registers, [row][vector].
template <int kRows, int kVectors>
struct Sums {
  F at[kRows][kVectors];

  void clear() {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) at[r][v] = zero();
  }
  void add_each(const Sums& other) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) at[r][v] = add(at[r][v], other.at[r][v]);
  }
};

// Calls add_product(sums, i) for i in [begin, end), one after another; or, if `paired`, in the
// order that TDPBF16PS has: of every kPairedTerms terms, counted from 0, first the even and the odd ones
// are summed from 0, each in their order, then these two, and that is added to the sums before.
// `begin` is a multiple of kPairedTerms then. A term that is missing counts as 0, or not at all: no
// sum is ever -0, so this is the same.
template <bool paired, class AnySums, class AddProduct>
inline void accumulate(AnySums& sums, int begin, int end, const AddProduct& add_product) {
  if constexpr (paired) {
    for (int first = begin; first < end; first += kPairedTerms) {
      const int stop = smaller(first + kPairedTerms, end);
      AnySums even, odd;
      even.clear();
      for (int i = first; i < stop; i += 2) add_product(even, i);
      odd.clear();
      for (int i = first + 1; i < stop; i += 2) add_product(odd, i);
      even.add_each(odd);
      sums.add_each(even);
    }
  } else {
    for (int i = begin; i < end; i++) add_product(sums, i);
  }
}

}  // namespace homerun::HOMERUN_ISA
