#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
#
# All tests with one command.
set -euo pipefail

usage() {
    cat <<'END'
usage: run.sh [--quick] [--list] [STAGE...]

Builds tunnelcap in every way that its users do and tests each build. As root it installs the
Debian packages that the chosen stages lack; else it names the command that does. One line for
each stage; a stage that cannot run here says why. Stages that mostly wait for packets run beside
the others. Logs stay beside the builds.

  --quick   only the stages that tell most: under two minutes
  --list    name the stages

TUNNELCAP_BUILD_DIR   where to build; build-test/ beside the sources by default
TUNNELCAP_FUZZ_SECONDS   how long to fuzz each target; 10 by default
END
}

quick_stages=(build unit abi vectors)
all_stages=(format shellcheck bare build unit abi vectors fuzz bench programs clang sanitize
    threads valgrind s390x mips armhf aarch64 musl cortex-m4 fuzzing coverage docs interop demo)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
builds=${TUNNELCAP_BUILD_DIR:-$root/build-test}
jobs=$(nproc)
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
PATH=$PATH:/usr/sbin:/sbin
exec </dev/null

# ---------------------------------------------------------------------------------- packages

# What a stage needs, as Debian packages. What only the interop and demo stages need, the scripts
# of these two install themselves.
packages_of() {
    local base="gcc libc6-dev make cmake pkg-config binutils python3"
    local ipsecmb=
    [ "$(uname -m)" != x86_64 ] || ipsecmb=libipsec-mb-dev
    local programs="libjansson-dev libpcap-dev libevent-dev libncurses-dev libnetfilter-queue-dev libmnl-dev"
    case $1 in
    format) echo "clang-format git" ;;
    shellcheck) echo "shellcheck git" ;;
    bare) echo "gcc libc6-dev" ;;
    build) echo "$base check libssl-dev $ipsecmb $programs" ;;
    unit | vectors | fuzz | bench | coverage) packages_of build ;;
    threads) echo "$(packages_of build) iproute2 procps iputils-ping util-linux" ;;
    abi) echo "$(packages_of build) g++ clang abigail-tools" ;;
    programs) echo "$(packages_of build) iproute2 iptables procps iputils-ping iputils-tracepath util-linux ethtool tcpdump chromium fonts-dejavu-core" ;;
    clang) echo "$(packages_of build) clang" ;;
    sanitize) packages_of clang ;;
    valgrind) echo "$(packages_of build) valgrind" ;;
    s390x) echo "$base qemu-user-static gcc-s390x-linux-gnu libc6-dev-s390x-cross" ;;
    mips) echo "$base qemu-user-static gcc-mips-linux-gnu libc6-dev-mips-cross" ;;
    armhf) echo "$base qemu-user-static gcc-arm-linux-gnueabihf libc6-dev-armhf-cross" ;;
    aarch64) echo "$base qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
    musl) echo "$base musl-tools" ;;
    cortex-m4) echo "$base gcc-arm-none-eabi libnewlib-arm-none-eabi" ;;
    fuzzing) echo "clang libclang-rt-14-dev libc6-dev" ;;
    docs) echo "$(packages_of build) doxygen" ;;
    interop | demo) packages_of build ;;
    *)
        echo "run.sh: no stage named $1" >&2
        return 1
        ;;
    esac
}

install_packages() {
    local package try missing=() wanted=()
    for stage in "$@"; do
        read -ra wanted < <(packages_of "$stage")
        for package in "${wanted[@]}"; do
            [[ " ${missing[*]} " == *" $package "* ]] ||
                dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
                missing+=("$package")
        done
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "run.sh: packages are missing; as root:" >&2
        echo "apt-get install -y --no-install-recommends ${missing[*]}" >&2
        return 1
    fi
    echo "installing ${#missing[@]} packages"
    for try in 1 2 3 4 5; do
        apt-get -q -o DPkg::Lock::Timeout=120 update >"$builds/apt.log" 2>&1 &&
            apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends \
                "${missing[@]}" >>"$builds/apt.log" 2>&1 && return 0
        sleep $((try * 3))
    done
    tail -n 20 "$builds/apt.log" >&2
    return 1
}

# ------------------------------------------------------------------------------------ stages

# Stages run with their output in a log. They return 0, 77 (skipped, the reason in the last line
# of the log), or anything else for a failure. A last line "= text" goes behind the result.

# Tracked files whose path or first line matches; a source archive without git has them all.
files() {
    if git -C "$root" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git -C "$root" ls-files
    else
        (cd "$root" && find . -type f -not -path './build*' -printf '%P\n')
    fi | grep -E "$1"
}

# configure BUILD OPTIONS... and build all targets.
build_in() {
    local build=$builds/$1
    shift
    cmake -S "$root" -B "$build" -G "Unix Makefiles" "$@"
    cmake --build "$build" -j "$jobs"
}

# ctest_in BUILD LABEL OPTIONS...: the tests of a label.
ctest_in() {
    local build=$builds/$1 label=$2 log=$builds/$1/ctest-$2.txt skipped total
    shift 2
    ctest --test-dir "$build" -L "^$label\$" --output-on-failure "$@" | tee "$log"
    total=$(grep -cE '^ *[0-9]+/[0-9]+ Test' "$log" || true)
    skipped=$(grep -cE '^ *[0-9]+/[0-9]+ Test.*\*\*\*Skipped' "$log" || true)
    if [ "$total" -eq "$skipped" ]; then
        grep -h '^SKIP' "$build/Testing/Temporary/LastTest.log" || true
        echo "${skipped:-0} of $total tests could be run: all skipped"
        return 77
    fi
    echo "= $total tests$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
}

stage_format() {
    local sources
    mapfile -t sources < <(files '\.[ch]$')
    (cd "$root" && clang-format --dry-run -Werror "${sources[@]}")
    echo "= ${#sources[@]} files"
}

stage_shellcheck() {
    local scripts
    mapfile -t scripts < <(cd "$root" && files '' | xargs -d '\n' grep -lE -m1 '^#!.*\b(ba)?sh\b')
    (cd "$root" && shellcheck -x -P SCRIPTDIR "${scripts[@]}")
    echo "= ${#scripts[@]} scripts"
}

# No build system, no flags, no packages: what the README promises to firmware.
stage_bare() {
    mkdir -p "$builds/bare"
    cd "$builds/bare"
    cc -I"$root/include" -c "$root"/lib/*.c
    cc -shared -fPIC -I"$root/include" "$root"/lib/*.c -o libtunnelcap.so
    cc -std=c99 -Wall -Wextra -Wpedantic -Werror -I"$root/include" -c "$root"/lib/*.c
}

stage_build() {
    build_in gcc -DCMAKE_C_COMPILER=gcc
}

# For stages that are run alone.
need_build() {
    [ -e "$builds/gcc/CTestTestfile.cmake" ] || stage_build
}

stage_unit() {
    need_build
    ctest_in gcc unit -j "$jobs"
}

stage_abi() {
    need_build
    ctest_in gcc abi -j "$jobs"
}

stage_vectors() {
    need_build
    ctest_in gcc vectors -j "$jobs"
}

stage_fuzz() {
    need_build
    ctest_in gcc fuzz -j "$jobs"
}

stage_bench() {
    need_build
    ctest_in gcc bench
}

stage_programs() {
    need_build
    ctest_in gcc programs
}

stage_clang() {
    build_in clang -DCMAKE_C_COMPILER=clang
    ctest_in clang unit -j "$jobs"
}

# Leaks count. clang, whose UndefinedBehaviorSanitizer knows more.
stage_sanitize() {
    build_in sanitize -DCMAKE_C_COMPILER=clang -DTUNNELCAP_SANITIZE=address,undefined
    ctest --test-dir "$builds/sanitize" -L '^(unit|abi|vectors|fuzz)$' -j "$jobs" \
        --output-on-failure
}

# libcheck forks by default, which ThreadSanitizer does not follow. Two storms, a minute in all.
# Then gateways whose configurations change while their threads carry packets.
stage_threads() {
    build_in threads -DTUNNELCAP_SANITIZE=thread
    CK_FORK=no TUNNELCAP_STORM_SECONDS=30 "$builds/threads/tests/tunnelcap-unit" \
        threads table_data table_storm table_threads gre_encap replay esp_threads crypto_gcm \
        pmtu_threads watch_threads
    TSAN_OPTIONS=exitcode=66 python3 "$root/tests/programs/check_reload.py" \
        "$builds/threads/examples/gateway/tunnelcap-gateway"
}

stage_valgrind() {
    # ThreadSanitizer has the suites of several threads; of those that draw and count for long,
    # AddressSanitizer tells as much.
    local suites
    need_build
    mapfile -t suites < <(ctest --test-dir "$builds/gcc" -L '^unit$' -N |
        sed -n 's/.*: unit_//p' | grep -vE '^(freestanding|ipsecmb|esp_memory|crypto_evp|.*threads|.*storm)$')
    # shellcheck disable=SC2016 # expanded by the inner shell
    printf '%s\n' "${suites[@]}" | CK_FORK=no xargs -P "$jobs" -I{} valgrind --quiet \
        --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,possible \
        --suppressions="$root/tests/valgrind.supp" --fair-sched=yes "$builds/gcc/tests/tunnelcap-unit" {}
    # No time may depend on secret bytes, and the check must be able to fail.
    valgrind --quiet --error-exitcode=9 "$builds/gcc/tests/tunnelcap-constant-time"
    if valgrind --quiet --error-exitcode=9 "$builds/gcc/tests/tunnelcap-constant-time" memcmp; then
        echo "= memcmp() passes for a comparison in constant time"
        return 1
    fi
    echo "= ${#suites[@]} suites"
}

# The unit tests on another machine.
stage_machine() {
    "$root/tests/cross/check.sh" "$1" "$builds/$1"
}

stage_fuzzing() {
    mkdir -p "$builds/fuzzing"
    BUILD=$builds/fuzzing "$root/tests/fuzz/run.sh" "${TUNNELCAP_FUZZ_SECONDS:-10}"
}

stage_coverage() {
    "$root/tests/coverage.sh" "$builds/coverage"
}

stage_docs() {
    build_in docs -DTUNNELCAP_DOCS=ON -DTUNNELCAP_EXAMPLES=OFF -DTUNNELCAP_TESTS=OFF
    cmake --build "$builds/docs" --target docs
}

stage_interop() {
    need_build
    "$root/tests/interop/run.sh" "$builds/gcc"
}

stage_demo() {
    TUNNELCAP_BUILD_DIR=$builds/demo "$root/examples/demo.sh"
}

# ------------------------------------------------------------------------------------- runner

# Stages that mostly wait for packets run beside the others, which get out of their way.
waiting_stages=(programs interop demo)

is_waiting() {
    [[ " ${waiting_stages[*]} " == *" $1 "* ]]
}

run_stage() {
    local name=$1 log=$builds/$1.log start=$SECONDS status=0 function=stage_$1 note
    case $name in
    s390x | mips | armhf | aarch64 | musl | cortex-m4) function="stage_machine $name" ;;
    esac
    # A new bash: set -e does not hold inside a command whose status is looked at.
    "$BASH" "${BASH_SOURCE[0]}" --stage "$function" >"$log" 2>&1 || status=$?
    note=$(tail -n 1 "$log")
    case $status in
    0)
        echo passed >>"$builds/results"
        [[ $note == "= "* ]] && note="  ${note#= }" || note=
        printf 'PASS  %-11s %4d s%s\n' "$name" $((SECONDS - start)) "$note"
        ;;
    77)
        echo skipped >>"$builds/results"
        note=$(grep '^SKIP' "$log" | tail -n 1 || tail -n 1 "$log")
        printf 'SKIP  %-11s %4d s  %s\n' "$name" $((SECONDS - start)) "${note#SKIP *: }"
        ;;
    *)
        echo failed >>"$builds/results"
        printf 'FAIL  %-11s %4d s  %s\n%s\n' "$name" $((SECONDS - start)) "$log" \
            "$(tail -n 40 "$log" | sed 's/^/    /')"
        ;;
    esac
}

run_waiting() {
    for stage in "$@"; do
        ! is_waiting "$stage" || run_stage "$stage"
    done
}

# The build comes first: all others use it.
run_stages() {
    local stage waiting=
    : >"$builds/results"
    for stage in "$@"; do
        if ! is_waiting "$stage"; then
            run_stage "$stage"
        elif [ -z "$waiting" ]; then
            need_build >"$builds/build.log" 2>&1 || true # a stage that misses it tells why
            run_waiting "$@" &
            waiting=$!
            renice -n 10 -p $$ >/dev/null
        fi
    done
    [ -z "$waiting" ] || wait "$waiting"
}

count_of() {
    grep -c "^$1\$" "$builds/results" || true
}

main() {
    local chosen=() stage
    while [ $# -gt 0 ]; do
        case $1 in
        --quick) chosen=("${quick_stages[@]}") ;;
        --list)
            printf '%s\n' "${all_stages[@]}"
            exit
            ;;
        --stage)
            shift
            # shellcheck disable=SC2086 # a function and its argument
            $1
            exit
            ;;
        -h | --help)
            usage
            exit
            ;;
        -*)
            usage >&2
            exit 2
            ;;
        *) chosen+=("$1") ;;
        esac
        shift
    done
    [ ${#chosen[@]} -gt 0 ] || chosen=("${all_stages[@]}")
    for stage in "${chosen[@]}"; do
        packages_of "$stage" >/dev/null || exit 2
    done
    mkdir -p "$builds"
    install_packages "${chosen[@]}"
    run_stages "${chosen[@]}"
    echo "$(count_of passed) passed, $(count_of failed) failed, $(count_of skipped) skipped"
    [ "$(count_of failed)" -eq 0 ]
}

main "$@"
