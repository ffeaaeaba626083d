#include <gyre/platform/inherited_descriptors.h>

namespace gyre {

// There is no such protocol here: services of Windows open their sockets themselves. So there never are any.
Result<std::vector<UniqueFd>> take_inherited_descriptors(NativeDescriptor) { return std::vector<UniqueFd>(); }

}  // namespace gyre
