#include "ops/philox.hpp"

#include <algorithm>

namespace homerun {

double uniform(std::uint64_t seed, std::uint64_t position, std::uint64_t choice,
               std::uint64_t purpose) {
  using Wide = unsigned __int128;
  std::uint64_t c[4] = {position, choice, purpose, 0};
  std::uint64_t k[2] = {seed, 0};
  for (int round = 0; round < 10; round++) {
    const Wide left = Wide{0xD2E7470EE14C6C93} * c[0];
    const Wide right = Wide{0xCA5A826395121157} * c[2];
    const std::uint64_t next[4] = {
        static_cast<std::uint64_t>(right >> 64) ^ c[1] ^ k[0], static_cast<std::uint64_t>(right),
        static_cast<std::uint64_t>(left >> 64) ^ c[3] ^ k[1], static_cast<std::uint64_t>(left)};
    std::copy_n(next, 4, c);
    k[0] += 0x9E3779B97F4A7C15;
    k[1] += 0xBB67AE8584CAA73B;
  }
  return static_cast<double>(c[0] >> 11) * 0x1p-53;
}

}  // namespace homerun
