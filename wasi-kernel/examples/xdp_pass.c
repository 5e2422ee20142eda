// SPDX-License-Identifier: GPL-2.0
// The empty program: what an invocation costs before it does anything.
#include <wring.h>

WRING_LICENSE("GPL");

WRING_XDP(pass, pkt)
{
	return XDP_PASS;
}
