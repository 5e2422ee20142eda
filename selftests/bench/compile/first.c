// SPDX-License-Identifier: GPL-2.0
// What the compile benchmark calls first.
__attribute__((export_name("first"))) unsigned long long first(unsigned n);

unsigned long long first(unsigned n)
{
	return n;
}
