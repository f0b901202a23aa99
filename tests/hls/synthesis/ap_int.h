// ap_int.h for a compiler that is told to synthesise, which the open one refuses: the open one, unaware of it.
#pragma once
#pragma GCC system_header
#undef __SYNTHESIS__
#include_next <ap_int.h>
#define __SYNTHESIS__
