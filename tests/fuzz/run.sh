#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# Fuzz each target for SECONDS (10) with libFuzzer, AddressSanitizer and
# UndefinedBehaviorSanitizer, two at a time. Exit status 1 if one of them crashes; its input is
# left in the build folder, $BUILD (a new one under $TMPDIR). With target names, only those.
#
# usage: run.sh [SECONDS [TARGET...]]
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds=${1:-10}
shift || true
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    targets=(esp_decap fragment gre_decap gso icmp ipip_decap mss peek reassembly replay roundtrip selector table traffic)
fi
build=${BUILD:-$(mktemp -d "${TMPDIR:-/tmp}/tunnelcap-fuzz.XXXXXX")}
cc=${FUZZ_CC:-clang}
flags=(-std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all "-I$root/include")
libs=()
if pkg-config --atleast-version=3.0 libcrypto; then
    flags+=(-DTUNNELCAP_WITH_OPENSSL)
    libs+=(-lcrypto)
fi

finish() {
    echo "$1 passed, $2 failed, $3 skipped"
    [[ $2 -eq 0 ]]
}

supported() {
    echo 'int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n);
          int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n) { return !p && n; }' |
        "$cc" -fsanitize=fuzzer,address,undefined -x c -o "$build/supported" - 2> /dev/null
}

compile() {
    local object
    object=$build/$(basename "$1" .c).o
    "$cc" "${flags[@]}" -fsanitize=fuzzer-no-link,address,undefined -c -o "$object" "$1"
}

build_all() {
    local source pids=()
    for source in "$root"/lib/*.c "$here"/{outer_input,reference,support}.c; do
        compile "$source" &
        pids+=($!)
        if [[ ${#pids[@]} -eq 2 ]]; then
            wait "${pids[0]}"
            pids=("${pids[1]}")
        fi
    done
    wait "${pids[@]}"
    for target in "${targets[@]}"; do
        "$cc" "${flags[@]}" -fsanitize=fuzzer,address,undefined -o "$build/fuzz_$target" \
            "$here/fuzz_$target.c" "$build"/*.o "${libs[@]}"
    done
}

# What the fuzzer finds goes to a corpus of this run; the seeds are only read.
fuzz() {
    local target=$1
    mkdir -p "$build/corpus/$target"
    "$build/fuzz_$target" -max_total_time="$seconds" -max_len=512 -timeout=10 \
        -artifact_prefix="$build/$target-" "$build/corpus/$target" "$here/corpus/$target" \
        > "$build/$target.log" 2>&1
}

judge() {
    local target=$1 status=$2
    if [[ $status -eq 0 ]]; then
        passed=$((passed + 1))
        echo "PASS $target: $(grep -a '^Done' "$build/$target.log")"
    else
        failed=$((failed + 1))
        echo "FAIL $target"
        grep -a -E 'does not hold|ERROR|SUMMARY|Test unit written' "$build/$target.log" || true
    fi
}

if ! supported; then
    echo "SKIP: $cc has no libFuzzer (package libclang-rt-14-dev)"
    finish 0 0 ${#targets[@]}
    exit
fi
build_all
passed=0
failed=0
for ((i = 0; i < ${#targets[@]}; i += 2)); do
    pids=()
    for target in "${targets[@]:i:2}"; do
        fuzz "$target" &
        pids+=($!)
    done
    for j in "${!pids[@]}"; do
        status=0
        wait "${pids[j]}" || status=$?
        judge "${targets[i + j]}" "$status"
    done
done
finish "$passed" "$failed" 0
