// The checksum of packed files: how contents are told from damaged contents, at memory speed.
// src/homerun/model/checksum.py says the same in NumPy.
//
//   word i of a chunk (32 bits, little-endian; the last one padded with zeros) counts
//     word · multiplier(i),  multiplier(i) = 1 + i · kStep mod 2^32, all odd and all different
//   a chunk's sum (mod 2^64) is mixed with the chunk's number, and the results are added up.
//
// A changed word changes its chunk's sum for certain: a difference below 2^32 times an odd number
// below 2^32 is not 0 mod 2^64. So do two words of a chunk that changed places. Anything else
// that happens by accident goes unnoticed with a chance of about 2^-64.
#pragma once

#include <cstddef>
#include <cstdint>

namespace homerun {

// On all threads of the pool.
std::uint64_t checksum(const unsigned char* data, std::size_t size);

}  // namespace homerun
