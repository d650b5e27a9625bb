// The Python faces of ops/, one function per file of bindings/.
#pragma once

#include <nanobind/nanobind.h>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace nb = nanobind;

// Other Python threads run during its life, as with nb::gil_scoped_release. But if Python has ended
// meanwhile, a daemon thread (the engine's is one) must not go on: before 3.14 Python ends it by an
// unwinding that aborts the process at the first frame of C++ that forbids exceptions.
class GilReleased {
 public:
  GilReleased() noexcept : state_(PyEval_SaveThread()) {}
  ~GilReleased() {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {
#if defined(__unix__) || defined(__APPLE__)
      for (;;) pause();  // until the process is gone
#endif
    }
  }
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* state_;
};

void bind_linear(nb::module_& m);
void bind_lora(nb::module_& m);
void bind_attention(nb::module_& m);
void bind_layers(nb::module_& m);
void bind_elementwise(nb::module_& m);
void bind_sampling(nb::module_& m);
void bind_machine(nb::module_& m);
void bind_checksum(nb::module_& m);
void bind_memory(nb::module_& m);
