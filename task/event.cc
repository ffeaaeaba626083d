#include <gyre/task/event.h>

namespace gyre {

constinit const WaitKind Event::wait_kind{"event", WaitList::cancel};

}  // namespace gyre
