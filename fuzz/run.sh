#!/usr/bin/env bash
# Runs every fuzz target for SECONDS over its committed corpus, with the same seed each time, and prints a table.
# Installs nothing: it needs cargo-fuzz (cargo install cargo-fuzz --locked --version 0.13.2) and a C++ compiler.
# What a run finds interesting stays in a temporary directory; a crash is kept in fuzz/artifacts/TARGET and fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -lt 1 ] || ! [[ $1 =~ ^[0-9]+$ ]]; then
    echo "usage: fuzz/run.sh SECONDS [TARGET...]     (EXFIL_AGENT_SEED=n for another seed)" >&2
    exit 64
fi
seconds=$1
shift
seed=${EXFIL_AGENT_SEED:-1}

# The sanitizer and the coverage counters are unstable flags; this lets a stable compiler take them.
export RUSTC_BOOTSTRAP=1
cargo fuzz --version >/dev/null 2>&1 || {
    echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked --version 0.13.2" >&2
    exit 69
}
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    mapfile -t targets < <(cargo fuzz list)
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"

# A lock file that is behind the product's would be rewritten by the build, unseen.
cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null || {
    echo "fuzz/Cargo.lock is not up to date: cargo update --workspace --manifest-path fuzz/Cargo.toml, and commit it" >&2
    exit 65
}

began=$SECONDS
cargo fuzz build
echo "built in $((SECONDS - began)) s"

rows=()
failed=()
why=()
for target in "${targets[@]}"; do
    mkdir -p "$work/$target"
    verdict=ok
    # The agent behind the socket goes on between inputs: a thread that is just beginning looks like a leak.
    leaks=1
    [ "$target" != control ] || leaks=0
    # New inputs go to the first directory; the committed corpus is only read.
    cargo fuzz run "$target" "$work/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -seed="$seed" -detect_leaks=$leaks -max_len=4096 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        >"$work/$target.log" 2>&1 || verdict=CRASH
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log")
    rss=$(sed -n 's/^stat::peak_rss_mb: *//p' "$work/$target.log")
    found=$(find "$work/$target" -type f | wc -l)
    rows+=("$(printf '%-10s %-6s %10s %10s %8s' "$target" "$verdict" "${runs:-?}" "$found" "${rss:-?}")")
    if [ "$verdict" != ok ]; then
        failed+=("$target")
        grep -v '^#' "$work/$target.log" | tail -60
        # The end of a log is what is read first: why, and with what input.
        why+=("$(grep -A 1 -E 'panicked at|ERROR: |^Base64: ' "$work/$target.log" | sed -E '/^Base64/!s/^(.{600}).*/\1 .../')")
    fi
done

printf '%-10s %-6s %10s %10s %8s\n' target result runs "new inputs" "RSS MiB"
printf '%s\n' "${rows[@]}"
if [ ${#failed[@]} -gt 0 ]; then
    printf '%s\n' "${why[@]}"
    echo "to repeat: EXFIL_AGENT_SEED=$seed fuzz/run.sh $seconds ${failed[*]}"
    echo "one input: RUSTC_BOOTSTRAP=1 cargo fuzz run TARGET fuzz/artifacts/TARGET/FILE"
    echo "when it is mended, the input goes to fuzz/corpus/TARGET/ under a name that says what it was"
    exit 1
fi
