# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Helpers shared by the scripts of this directory: paths, errors, and where each kernel's headers and image are.

WRING_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WRING_BUILD=$WRING_ROOT/build
# A plain user's path lacks what depmod, bpftool and ip live in.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# The kernel lines Wring supports, oldest first.
# shellcheck disable=SC2034
WRING_KERNELS=(6.1 6.12)

# die MESSAGE: one line on stderr, exit 1.
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

note() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# is_stock_kernel LINE, is_debug_kernel LINE: whether it is one of these, or one of their debug kernels (LINE-KIND, see
# scripts/debug-kernel).
is_stock_kernel() {
	[[ " ${WRING_KERNELS[*]} " == *" $1 "* ]]
}
is_debug_kernel() {
	is_stock_kernel "${1%-*}" && [[ -e $WRING_ROOT/scripts/debug-kernel.d/${1##*-}.config && ${1##*-} != common ]]
}
is_kernel() {
	is_stock_kernel "$1" || is_debug_kernel "$1"
}

# kernel_headers LINE: prints the newest installed headers directory of a kernel line, or fails. The cloud flavour is
# preferred because its image is small.
kernel_headers() {
	local line=$1 flavour dir
	if is_debug_kernel "$line"; then
		dir=$WRING_BUILD/debug/$line
		[[ -e $dir/.built ]] && printf '%s\n' "$dir"
		return
	fi
	for flavour in cloud-amd64 amd64; do
		dir=$(find /usr/src -maxdepth 1 -name "linux-headers-$line.*-$flavour" \
			! -name "*rt-$flavour" | sort -V | tail -n 1)
		if [[ $flavour == amd64 && $dir == *-cloud-amd64 ]]; then
			dir=
		fi
		if [[ -n $dir && -e $dir/Module.symvers ]]; then
			printf '%s\n' "$dir"
			return 0
		fi
	done
	return 1
}

# kernel_release DIR: the release string (uname -r) of a headers directory.
kernel_release() {
	local release header=$1/include/generated/utsrelease.h
	release=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$header" 2>/dev/null) || true
	[[ -n $release ]] || die "$1: not a configured kernel build directory"
	printf '%s\n' "$release"
}

# kernel_line RELEASE: 6.1.0-56-cloud-amd64 -> 6.1
kernel_line() {
	[[ $1 =~ ^([0-9]+\.[0-9]+) ]] || die "$1: not a kernel release"
	printf '%s\n' "${BASH_REMATCH[1]}"
}

# kernel_image RELEASE: prints the root directory ("" for /) with boot/vmlinuz-RELEASE and its modules, or fails.
kernel_image() {
	local root
	for root in "$WRING_BUILD/vm/image-$1" ""; do
		if [[ -r $root/boot/vmlinuz-$1 ]] && kernel_modules "$root" "$1" >/dev/null; then
			printf '%s\n' "$root"
			return 0
		fi
	done
	return 1
}

# kernel_modules ROOT RELEASE: prints the modules directory under an image root (merged /usr or not), or fails.
kernel_modules() {
	local dir
	for dir in "$1/lib/modules/$2" "$1/usr/lib/modules/$2"; do
		if [[ -d $dir/kernel ]]; then
			printf '%s\n' "$dir"
			return 0
		fi
	done
	return 1
}

# spec_features PATH: what modules of a conformance script may contain, by its group, as wring-host names it.
spec_features() {
	case $1 in
	*/w2-*) echo 2.0 ;;
	*/w3-*) echo 3.0 ;;
	*/p-threads/*) echo threads ;;
	*) echo all ;;
	esac
}
