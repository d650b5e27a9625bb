# The library of kernels, without Python: every file of kernels/ once per instruction set.
set(NATIVE ${CMAKE_CURRENT_LIST_DIR})

add_library(homerun_kernels STATIC
  ${NATIVE}/cpu_features.cpp
  ${NATIVE}/thread_pool.cpp
  ${NATIVE}/kernels/kernels.cpp
  ${NATIVE}/ops/linear.cpp
  ${NATIVE}/ops/lora.cpp
  ${NATIVE}/ops/layers.cpp
  ${NATIVE}/ops/attention.cpp
  ${NATIVE}/ops/elementwise.cpp
  ${NATIVE}/ops/penalties.cpp
  ${NATIVE}/ops/philox.cpp
  ${NATIVE}/ops/sampling.cpp
  ${NATIVE}/ops/machine.cpp
  ${NATIVE}/ops/peak_loops.cpp
  ${NATIVE}/ops/checksum.cpp
  ${NATIVE}/ops/memory.cpp)
target_compile_features(homerun_kernels PUBLIC cxx_std_20)
set_target_properties(homerun_kernels PROPERTIES POSITION_INDEPENDENT_CODE ON)
# A fused multiply-add happens where the source says so and nowhere else: bytes depend on it, and on
# what -ffast-math in CXXFLAGS would change.
target_compile_options(homerun_kernels PUBLIC -fno-fast-math -ffp-contract=off)
target_compile_options(homerun_kernels PRIVATE -O3 -Wall -Wextra)
target_include_directories(homerun_kernels PUBLIC ${NATIVE})
find_package(Threads REQUIRED)
target_link_libraries(homerun_kernels PUBLIC Threads::Threads)

set(HOMERUN_COMMON_FLAGS
  -O3 -fno-fast-math -ffp-contract=off -fno-math-errno -Wall -Wextra
  -Wno-uninitialized -Wno-maybe-uninitialized) # of GCC 12's own intrinsics (its bug 105593)

# homerun_kernels_for(avx2 "-mavx2;-mfma" file...): the files, in namespace homerun::avx2.
function(homerun_kernels_for isa flags)
  add_library(homerun_${isa} OBJECT ${ARGN})
  target_compile_features(homerun_${isa} PRIVATE cxx_std_20)
  set_target_properties(homerun_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(homerun_${isa} PRIVATE HOMERUN_ISA=${isa} HOMERUN_ISA_${isa}=1)
  target_compile_options(homerun_${isa} PRIVATE ${HOMERUN_COMMON_FLAGS} ${flags})
  target_include_directories(homerun_${isa} PRIVATE ${NATIVE})
  target_sources(homerun_kernels PRIVATE $<TARGET_OBJECTS:homerun_${isa}>)
  target_compile_definitions(homerun_kernels PRIVATE HOMERUN_HAS_${isa}=1)
  set(HOMERUN_ISAS ${HOMERUN_ISAS} ${isa} PARENT_SCOPE)
  set(HOMERUN_FLAGS_${isa} ${flags} PARENT_SCOPE)
endfunction()

# Adds the set only if the compiler knows its flags.
include(CheckCXXCompilerFlag)
macro(homerun_kernels_if_known isa flags)
  string(REPLACE ";" " " HOMERUN_ALL_FLAGS "${flags}")
  check_cxx_compiler_flag("${HOMERUN_ALL_FLAGS}" HOMERUN_COMPILES_${isa})
  if(HOMERUN_COMPILES_${isa})
    homerun_kernels_for(${isa} "${flags}" ${ARGN})
  endif()
endmacro()

# The whole table, written with lanes/.
set(WHOLE_TABLE
  ${NATIVE}/kernels/table.cpp
  ${NATIVE}/kernels/linear_int8.cpp
  ${NATIVE}/kernels/linear_float.cpp
  ${NATIVE}/kernels/lora.cpp
  ${NATIVE}/kernels/attention.cpp
  ${NATIVE}/kernels/elementwise.cpp
  ${NATIVE}/kernels/sampling.cpp)

# Which sets the library has: HOMERUN_ISAS. kernels/kernels.cpp chooses among them at run time.
homerun_kernels_for(portable "" ${WHOLE_TABLE})

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(AVX2 -mavx2 -mfma -mf16c)
  set(AVX512 ${AVX2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
    -mprefer-vector-width=512)
  homerun_kernels_if_known(avx2 "${AVX2}" ${WHOLE_TABLE})
  homerun_kernels_if_known(avx512_vnni "${AVX512}" ${WHOLE_TABLE})

  # These replace some products only, by their own instructions.
  file(GLOB BF16_KERNELS CONFIGURE_DEPENDS ${NATIVE}/kernels/avx512_bf16/*.cpp)
  file(GLOB AMX_KERNELS CONFIGURE_DEPENDS ${NATIVE}/kernels/amx/*.cpp)
  if(BF16_KERNELS)
    homerun_kernels_if_known(avx512_bf16 "${AVX512};-mavx512bf16" ${BF16_KERNELS})
  endif()
  if(AMX_KERNELS)
    homerun_kernels_if_known(amx "${AVX512};-mavx512bf16;-mamx-tile;-mamx-int8;-mamx-bf16"
      ${AMX_KERNELS})
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
  homerun_kernels_for(neon "" ${WHOLE_TABLE})
endif()
