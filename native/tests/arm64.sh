#!/bin/sh
# Builds agree for ARM64 and runs it: NEON must give the bytes of portable C++.
# Needs Debian's g++-aarch64-linux-gnu, qemu-user-static and cmake.
# Usage: native/tests/arm64.sh [build directory]
set -eu
here=$(dirname "$0")
build=${1:-build/arm64}
cmake -S "$here/../.." -B "$build" -DHOMERUN_NATIVE_TESTS=ON -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
  -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static
cmake --build "$build" --parallel "$(nproc)"
qemu-aarch64-static "$build/native/tests/agree"
