#include <gyre/task/latch.h>

namespace gyre {

constinit const WaitKind Latch::wait_kind{"latch", WaitList::cancel};

}  // namespace gyre
