// All of Gyre. Including only what is used compiles faster.
#pragma once

#include <gyre/platform/check.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/error.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/io.h>
#include <gyre/reactor/reactor.h>
#include <gyre/reactor/run.h>
#include <gyre/task/as_completed.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/dump.h>
#include <gyre/task/interval.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>
#include <gyre/task/task_local.h>
#include <gyre/task/timeout.h>
#include <gyre/task/when_all.h>
#include <gyre/task/when_any.h>
