/* The header is C, needs nothing before it, and survives what engines define. */
#include "hostile_macros.h"

#include "c2r_client.h"

int main(void) {
  return c2r_abi_version() == C2R_ABI_VERSION ? 0 : 1;
}
