#include "ops/linear.hpp"
namespace homerun {}
