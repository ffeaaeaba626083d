// What nearly every test includes. Compiled once per mode by the full checks (CI=true), which build everything anew; without
// it each test compiles by its own includes, so a missing one shows.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
