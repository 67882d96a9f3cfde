// Names that Windows and game engines define before anyone else's header is read.
#pragma once
#define near
#define far
#define GetObject GetObjectW
#define ERROR 0
#ifndef C2R_STUB_ENGINE
#define check(expression) hostile_check_was_expanded(expression)
#endif
