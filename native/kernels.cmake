# The library of kernels, without Python: every file of kernels/ once per instruction set.
set(NATIVE ${CMAKE_CURRENT_LIST_DIR})

add_library(homerun_kernels STATIC
  ${NATIVE}/cpu_features.cpp
  ${NATIVE}/thread_pool.cpp
  ${NATIVE}/kernels/kernels.cpp
  ${NATIVE}/ops/linear.cpp
  ${NATIVE}/ops/attention.cpp
  ${NATIVE}/ops/elementwise.cpp
  ${NATIVE}/ops/sampling.cpp
  ${NATIVE}/ops/machine.cpp
  ${NATIVE}/ops/peak_loops.cpp
  ${NATIVE}/ops/checksum.cpp)
target_compile_features(homerun_kernels PUBLIC cxx_std_20)
set_target_properties(homerun_kernels PROPERTIES POSITION_INDEPENDENT_CODE ON)
# A fused multiply-add happens where the source says so and nowhere else: bytes depend on it.
target_compile_options(homerun_kernels PUBLIC -ffp-contract=off)
target_compile_options(homerun_kernels PRIVATE -O3 -Wall -Wextra)
target_include_directories(homerun_kernels PUBLIC ${NATIVE})
find_package(Threads REQUIRED)
target_link_libraries(homerun_kernels PUBLIC Threads::Threads)

# homerun_kernels_for(avx2 "-mavx2;-mfma" file...): the files, in namespace homerun::avx2.
function(homerun_kernels_for isa flags)
  add_library(homerun_${isa} OBJECT ${ARGN})
  target_compile_features(homerun_${isa} PRIVATE cxx_std_20)
  set_target_properties(homerun_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(homerun_${isa} PRIVATE HOMERUN_ISA=${isa} HOMERUN_ISA_${isa}=1)
  target_compile_options(homerun_${isa} PRIVATE -O3 -ffp-contract=off -Wall -Wextra
    -Wno-uninitialized -Wno-maybe-uninitialized # of GCC 12's own intrinsics (its bug 105593)
    ${flags})
  target_include_directories(homerun_${isa} PRIVATE ${NATIVE})
  target_sources(homerun_kernels PRIVATE $<TARGET_OBJECTS:homerun_${isa}>)
  target_compile_definitions(homerun_kernels PRIVATE HOMERUN_HAS_${isa}=1)
endfunction()

set(EVERY_ISA
  ${NATIVE}/kernels/table.cpp
  ${NATIVE}/kernels/linear_int8.cpp
  ${NATIVE}/kernels/linear_float.cpp
  ${NATIVE}/kernels/attention.cpp
  ${NATIVE}/kernels/elementwise.cpp
  ${NATIVE}/kernels/sampling.cpp)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(AVX2 -mavx2 -mfma -mf16c)
  set(AVX512 ${AVX2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512)
  homerun_kernels_for(avx512_vnni "${AVX512}" ${EVERY_ISA})
endif()
