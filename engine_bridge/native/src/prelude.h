// The first include of every source: undefines names that engines and Windows define as macros,
// since system headers use some of them as identifiers. An engine that compiles these sources
// should give each its own translation unit (in Unreal: bUseUnity = false).
#pragma once

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#endif

#undef check
#undef verify
#undef near
#undef far
#undef min
#undef max
#undef GetObject
#undef ERROR
#undef PI
#undef TEXT

#include "c2r_client.h"
