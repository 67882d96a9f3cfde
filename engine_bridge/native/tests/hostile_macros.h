/* Names that game engines and Windows define before anyone else's header is read. */
#ifndef HOSTILE_MACROS_H
#define HOSTILE_MACROS_H
#define check(expression) hostile_check_was_expanded(expression)
#define near hostile_near
#define far hostile_far
#define GetObject GetObjectW
#define ERROR 0
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#endif
