// The numbers of a cache, as lanes of float32; the sums that products with them are.
// Knows dtypes and orders of summation; knows nothing of rows, tiles or memory.
#pragma once

#include <type_traits>

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

// How products are summed: one after another; or in pairs, where both factors are bfloat16 numbers
// (small integers are) or sums of some: of two or three parts, the high ones first.
enum class Terms { single, paired, in_two_parts, in_three_parts };
template <class Element>
constexpr Terms kTerms = Terms::single;
template <>
constexpr Terms kTerms<Bf16> = Terms::paired;
template <>
constexpr Terms kTerms<Int8> = Terms::paired;

constexpr int number_of_parts(Terms terms) {
  return terms == Terms::in_three_parts ? 3 : terms == Terms::in_two_parts ? 2 : 1;
}
template <class Element>
constexpr int kParts = number_of_parts(kTerms<Element>);

template <int parts>
struct InParts {
  F at[parts];
};

// Calls body(i, j) for the parts i of a row's factor and j of a number of the cache whose products
// count, in their order. Those that are left out are as small as what the last parts leave out.
template <int parts, class Body>
inline void for_products(const Body& body) {
#pragma GCC unroll 3
  for (int j = 0; j < parts; j++)
#pragma GCC unroll 3
    for (int i = parts - 1 - j; i >= 0; i--) body(i, j);
}
constexpr int products_of(int parts) { return parts * (parts + 1) / 2; }

template <int parts>
struct ProductSums {
  F at[products_of(parts)];
};

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

inline void clear(F& sum) { sum = zero(); }
template <int parts>
inline void clear(ProductSums<parts>& sums) {
  for (F& sum : sums.at) sum = zero();
}

// A factor of a row in all lanes; its parts lie `apart`.
template <Terms terms>
inline auto factor(const float* number, int apart) {
  constexpr int parts = number_of_parts(terms);
  if constexpr (parts == 1) {
    return set(*number);
  } else {
    InParts<parts> factor;
#pragma GCC unroll 3
    for (int i = 0; i < parts; i++) factor.at[i] = set(number[i * apart]);
    return factor;
  }
}

inline void add_product(F& sum, F factor, F number) { sum = fma(factor, number, sum); }
template <int parts>
inline void add_product(ProductSums<parts>& sums, const InParts<parts>& factor,
                        const InParts<parts>& number) {
  F* sum = sums.at;
  for_products<parts>([&](int i, int j) {
    add_product(*sum, factor.at[i], number.at[j]);
    sum++;
  });
}

inline void add_pairs(F& sum, F even, F odd) { sum = add(sum, add(even, odd)); }
template <int parts>
inline void add_pairs(F& sum, const ProductSums<parts>& even, const ProductSums<parts>& odd) {
  for (int p = 0; p < products_of(parts); p++) add_pairs(sum, even.at[p], odd.at[p]);
}

// Sums in registers, [row][vector].
template <int kRows, int kVectors, class Sum = F>
struct Sums {
  Sum at[kRows][kVectors];

  template <class Body>
  static void for_each(const Body& body) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) body(r, v);
  }
  void clear() {
    for_each([&](int r, int v) { HOMERUN_ISA::clear(at[r][v]); });
  }
};

// Calls add_products(sums, i) for i in [begin, end), one after another; or in the order that
// TDPBF16PS has: of every kPairedTerms terms, counted from 0, first the even and the odd ones are
// summed from 0, each in their order, then these two, and that is added to the sums before. In parts
// each of the products is summed so, and then they are added one after another.
// `begin` is a multiple of kPairedTerms then. A term that is missing counts as 0, or not at all: no
// sum is ever -0, so this is the same.
template <Terms terms, int kRows, int kVectors, class AddProducts>
inline void accumulate(Sums<kRows, kVectors>& sums, int begin, int end,
                       const AddProducts& add_products) {
  if constexpr (terms == Terms::single) {
    for (int i = begin; i < end; i++) add_products(sums, i);
  } else {
    using Sum = std::conditional_t<terms == Terms::paired, F, ProductSums<number_of_parts(terms)>>;
    for (int first = begin; first < end; first += kPairedTerms) {
      const int stop = smaller(first + kPairedTerms, end);
      Sums<kRows, kVectors, Sum> even, odd;
      even.clear();
      for (int i = first; i < stop; i += 2) add_products(even, i);
      odd.clear();
      for (int i = first + 1; i < stop; i += 2) add_products(odd, i);
      sums.for_each([&](int r, int v) { add_pairs(sums.at[r][v], even.at[r][v], odd.at[r][v]); });
    }
  }
}

}  // namespace homerun::HOMERUN_ISA
