#include "switches.h"

// Its swapcontext() is deprecated, and not there on Apple's own processors.
void tour::show_contexts() {}
