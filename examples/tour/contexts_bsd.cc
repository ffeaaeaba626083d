#include "switches.h"

// swapcontext() is not shown here: macOS has deprecated it, and has none on its own processors.
void tour::show_contexts() {}
