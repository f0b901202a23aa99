// hls_stream.h for a compiler that is told to synthesise, which the open one refuses: the open one, unaware of it.
#pragma once
#pragma GCC system_header
#undef __SYNTHESIS__
#include_next <hls_stream.h>
#define __SYNTHESIS__
